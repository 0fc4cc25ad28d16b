/**
 * <ps-image-drop>: a place to drop images on, around a real file input that works by keyboard and without dragging.
 *
 * Fires "files" (detail: File[]). Attributes: label, single (one file only).
 */

import { define, h, PsElement } from "./core.js";
import { uid } from "./follow.js";

const ACCEPTED = ".png,.jpg,.jpeg,.tif,.tiff,.bmp,.webp,image/*";

class ImageDrop extends PsElement {
  start() {
    if (this.input) return;
    const single = this.hasAttribute("single");
    const id = uid("files");
    this.input = h("input", {
      type: "file",
      id,
      accept: ACCEPTED,
      multiple: !single,
      "aria-describedby": `${id}-help`,
    });
    this.input.addEventListener("change", () => this.give(this.input.files));
    const words = this.getAttribute("label") || "Drop images here, or choose files";
    const help = h(
      "small",
      { class: "ps-hint", id: `${id}-help` },
      "PNG, JPEG, TIFF, BMP or WebP. They stay on this machine.",
    );
    this.zone = h(
      "div",
      { class: "ps-dropzone" },
      h("label", { for: id, class: "ps-dropzone-label" }, words),
      this.input,
      help,
    );
    for (const name of ["dragenter", "dragover"]) this.zone.addEventListener(name, (event) => this.over(event, true));
    for (const name of ["dragleave", "drop"]) this.zone.addEventListener(name, (event) => this.over(event, false));
    this.zone.addEventListener("drop", (event) => this.give(event.dataTransfer.files));
    this.show(this.zone);
  }

  over(event, inside) {
    event.preventDefault();
    this.zone.classList.toggle("ps-dropzone-over", inside);
  }

  give(list) {
    const files = [...list];
    if (files.length) this.dispatchEvent(new CustomEvent("files", { detail: files }));
    this.input.value = ""; // the same file may be chosen again
  }

  set disabled(value) {
    if (this.input) this.input.disabled = value;
  }
}

define("ps-image-drop", ImageDrop);
