// A wall of thumbnails with a choice of class and part, in pages; each opens large, with the mask where there is one.
import { PsElement, announce, api, at, button, busy, chip, count, define, errorNotice, field, fill, h } from "./core.js";
import { PARTS } from "./class-counts.js";
import { FINDINGS, pictureNotice, windowingLine } from "./picture-words.js";

const PER_PAGE = 48;

export const thumbnailUrl = (id, size = 240) => `/api/v1/images/${encodeURIComponent(id)}/thumbnail?size_px=${size}`;

export function thumbnail(image, size = 240) {
  return h("img", {
    src: thumbnailUrl(image.id, size),
    alt: `${image.class}, ${PARTS[image.part]?.toLowerCase() ?? ""} part`,
    loading: "lazy",
    decoding: "async",
    width: 160,
    height: 160,
  });
}

class Thumbnails extends PsElement {
  #set = null;
  #offset = 0;
  #page = { items: [], total: 0 };
  #asked = 0;

  // An image set: { id, classes: [{ name }] }
  set data(imageSet) {
    this.#set = imageSet;
    this.#offset = 0;
    if (this.isConnected) this.start();
  }

  start() {
    if (!this.#set) return;
    this.classSelect = choice("All classes", this.#set.classes.map((row) => [row.name, row.name]));
    this.partSelect = choice("All parts", Object.entries(PARTS).filter(([part]) => this.#set.classes.some((c) => c[part])));
    this.wall = h("div", { class: "ps-stack" }, busy("Loading images…"));
    for (const select of [this.classSelect, this.partSelect])
      select.addEventListener("change", () => this.#go(0));
    this.show(
      h(
        "div",
        { class: "ps-stack" },
        h("div", { class: "ps-wall-filters" }, field("Class", this.classSelect), field("Part", this.partSelect)),
        this.wall,
      ),
    );
    this.#go(0);
  }

  async #go(offset, focus = null) {
    const asked = (this.#asked += 1);
    this.wall.setAttribute("aria-busy", "true");
    const query = new URLSearchParams({ limit: PER_PAGE, offset });
    if (this.classSelect.value) query.set("class", this.classSelect.value);
    if (this.partSelect.value) query.set("part", this.partSelect.value);
    try {
      const page = await api.get(`/image-sets/${this.#set.id}/images?${query}`, { signal: this.signal });
      if (asked !== this.#asked) return;
      this.#offset = offset;
      this.#page = page;
      this.#draw(focus);
    } catch (error) {
      if (error.name !== "AbortError") this.wall.replaceChildren(errorNotice(error, () => this.#go(offset)));
    }
  }

  #draw(focus) {
    const { items, total } = this.#page;
    this.wall.removeAttribute("aria-busy");
    if (!items.length) {
      this.wall.replaceChildren(h("p", { class: "ps-soft" }, "No image in this class and part."));
      announce("No images");
      return;
    }
    const tiles = items.map((image, index) => h("li", {}, this.#tile(image, index)));
    fill(this.wall, h("ul", { class: "ps-wall" }, tiles), total > items.length && this.#pages(items.length, total));
    announce(`Images ${this.#offset + 1} to ${this.#offset + items.length} of ${total}`);
    if (focus) this.wall.querySelector(`[data-go="${focus}"]:not(:disabled)`)?.focus();
  }

  #tile(image, index) {
    return h(
      "button",
      { type: "button", class: "ps-tile", onclick: () => this.#open(index) },
      thumbnail(image),
      h("span", { class: "ps-tile-name" }, image.class),
      h("span", { class: "ps-hint" }, PARTS[image.part] ?? image.part),
      image.findings?.length > 0 && chip(FINDINGS[image.findings[0].problem] ?? "look closer", "warn"),
    );
  }

  #pages(shown, total) {
    const step = (text, name, offset, possible) => {
      const node = button(text, () => this.#go(offset, name), "small");
      node.dataset.go = name;
      node.disabled = !possible;
      return node;
    };
    const start = this.#offset;
    return h(
      "nav",
      { class: "ps-row", "aria-label": "Pages of images" },
      step("Earlier images", "back", Math.max(0, start - PER_PAGE), start > 0),
      h("span", { class: "ps-soft" }, `${start + 1} to ${start + shown} of ${count(total, "image")}`),
      step("Further images", "on", start + PER_PAGE, start + shown < total),
    );
  }

  #open(index) {
    showImages(this.#page.items, index);
  }
}

function choice(all, options) {
  const rows = [["", all], ...options];
  return h("select", {}, rows.map(([value, text]) => h("option", { value }, text)));
}

// Opens one of some images large, with its neighbours.
export const showImages = (images, index) => new Viewer(images, index).show();

// One image large, in a dialog. Arrow keys and buttons go to its neighbours.
class Viewer {
  constructor(images, index) {
    this.images = images;
    this.index = index;
    this.withMask = false;
  }

  show() {
    this.body = h("div", { class: "ps-stack-s" });
    this.dialog = h("dialog", { class: "ps-dialog ps-viewer", "aria-label": "Image" }, this.body);
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight") this.#step(1);
      if (event.key === "ArrowLeft") this.#step(-1);
    });
    this.dialog.addEventListener("close", () => this.dialog.remove());
    document.body.append(this.dialog);
    this.#draw();
    this.dialog.showModal();
  }

  #step(by) {
    const next = this.index + by;
    if (next < 0 || next >= this.images.length) return;
    const focused = document.activeElement?.dataset?.viewer;
    this.index = next;
    this.#draw();
    (this.body.querySelector(`[data-viewer="${focused}"]:not(:disabled)`) ?? this.body.querySelector("button")).focus();
    announce(`${this.images[next].class}, image ${next + 1} of ${this.images.length}`);
  }

  #draw() {
    const image = this.images[this.index];
    const turn = (text, by) => {
      const node = button(text, () => this.#step(by), "small");
      node.dataset.viewer = text;
      node.disabled = !this.images[this.index + by];
      return node;
    };
    this.body.replaceChildren(
      h("h2", { class: "ps-break" }, image.class),
      h("div", { class: "ps-viewer-picture" }, large(image), image.has_mask && this.withMask && overlay(image)),
      h("p", { class: "ps-soft ps-break" }, facts(image)),
      windowingLine(image),
      pictureNotice(image),
      h(
        "div",
        { class: "ps-actions" },
        turn("Previous", -1),
        turn("Next", 1),
        image.has_mask && this.#maskSwitch(),
        button("Close", () => this.dialog.close(), "small"),
      ),
    );
  }

  #maskSwitch() {
    const node = button(this.withMask ? "Hide the mask" : "Show the mask", () => {
      this.withMask = !this.withMask;
      this.#draw();
      this.body.querySelector('[data-viewer="mask"]').focus();
    }, "small");
    node.dataset.viewer = "mask";
    node.setAttribute("aria-pressed", String(this.withMask));
    return node;
  }
}

const large = (image) => h("img", { src: thumbnailUrl(image.id, 1024), alt: `${image.class}: ${image.name}` });

function overlay(image) {
  const picture = `url("${at(`/api/v1/images/${encodeURIComponent(image.id)}/mask`)}")`;
  return h("div", { class: "ps-viewer-mask", style: { "mask-image": picture }, "aria-hidden": "true" });
}

function facts(image) {
  const group = image.group ? `, group ${image.group}` : "";
  return `${image.name}, ${PARTS[image.part] ?? image.part} part, ${image.width} × ${image.height} px${group}`;
}

define("ps-thumbnails", Thumbnails);
