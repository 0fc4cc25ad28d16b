/**
 * <ps-region-editor>: marks a region on an image, in pixels of the upright original: by pointer, keyboard or typed
 * numbers, or by uploading a mask. The part that the model does not see is hatched.
 *
 * Set `explanation` (image_id, frame, region). Fires "region" (detail: id of a region, `set` for the image set's mask).
 * Keys on the picture: arrows move the cross (Shift: by one pixel), Space adds a corner or paints, Enter closes a
 * polygon, Backspace takes back.
 */

import { announce, api, at, button, define, errorNotice, h, listOf, PsElement, send } from "./core.js";
import { uid } from "./follow.js";
import "./image-drop.js";
import { MaskTint, paintRegion } from "./region-paint.js";

const PICTURE_PX = 1024;
const STEP = 0.02;
const OWN = "set";

class RegionEditor extends PsElement {
  async start() {
    this.shapes = [];
    this.points = [];
    this.tool = "polygon";
    if (this.current) await this.build();
  }

  set explanation(found) {
    this.current = found;
    if (this.isConnected) this.build();
  }

  get size() {
    return this.current.frame.original_px;
  }

  async build() {
    const [width, height] = this.size;
    this.radius = Math.max(1, Math.round(Math.max(width, height) / 40));
    this.cursor = null;
    this.picture = h("img", {
      src: at(`/api/v1/images/${encodeURIComponent(this.current.image_id)}/thumbnail?size_px=${PICTURE_PX}`),
      alt: "The whole image; what the model does not see is hatched.",
      draggable: "false",
    });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.stage = h(
      "div",
      {
        class: "ps-region-stage",
        tabindex: "0",
        role: "group",
        "aria-label":
          "Draw on the image. Arrows move the cross, with Shift by one pixel; Space adds a corner or paints; Enter closes the polygon; Backspace takes back.",
        style: { "aspect-ratio": `${width} / ${height}`, "max-width": `min(100%, ${Math.round((32 * width) / height)}rem)` },
      },
      this.picture,
      this.canvas,
    );
    this.listen();
    this.place = h("output", { class: "ps-hint" });
    this.trouble = h("div", { role: "status" });
    this.known = h("div");
    this.save = button("Measure the maps in this region", () => this.keep(), "main");
    this.show(
      h(
        "div",
        { class: "ps-stack-s" },
        this.known,
        this.tools(),
        this.stage,
        this.place,
        h("p", { class: "ps-hint" }, this.frameWords()),
        this.byNumbers(),
        h("div", { class: "ps-actions" }, this.save),
        this.trouble,
        this.byFile(),
      ),
    );
    this.watchSize();
    this.changed();
    await this.showKnown();
  }

  frameWords() {
    const [width, height] = this.size;
    const { crop_box: [left, top, right, bottom], seen_share: seen } = this.current.frame;
    if (seen > 1 - 1e-9) return `The model sees the whole image, ${width} x ${height} px.`;
    const [l, t, r, b] = [left, top, right, bottom].map(Math.round);
    return `The model sees columns ${l} to ${r} and rows ${t} to ${b} of ${width} x ${height} px; what is hatched it does not see, and marks there are counted but not measured.`;
  }

  // what is there already ------------------------------------------------------------------------------------------

  async showKnown() {
    const image = encodeURIComponent(this.current.image_id);
    const [record, regions] = await Promise.all([
      api.get(`/images/${image}`, { signal: this.signal }),
      api.get(`/images/${image}/regions?limit=20`, { signal: this.signal }).then(listOf),
    ]);
    const shown = this.current.region?.id || (this.current.region ? OWN : "");
    const options = [
      ...(record.has_mask ? [[OWN, "the image set's mask"]] : []),
      ...regions.map((one) => [
        one.id,
        `${one.source}, ${one.marked_px.toLocaleString("en")} px, ${new Date(one.created_at).toLocaleString("en-GB")}`,
      ]),
    ];
    this.tint = null;
    if (shown) this.tint = new MaskTint(at(`/api/v1/images/${image}/regions/${encodeURIComponent(shown)}/mask`), () => this.paint());
    if (!options.length) return this.known.replaceChildren();
    const id = uid("known");
    const select = h(
      "select",
      { id },
      shown ? null : h("option", { value: "" }, "none"),
      options.map(([value, words]) => h("option", { value }, words)),
    );
    select.value = shown;
    select.addEventListener("change", () => select.value && this.give(select.value));
    const forget =
      shown && shown !== OWN
        ? button("Delete this region", () => this.forget(shown), "small")
        : null;
    this.known.replaceChildren(
      h("div", { class: "ps-input-line" }, h("label", { for: id }, "Measured against"), select, forget),
    );
  }

  async forget(id) {
    try {
      await api.delete(`/images/${encodeURIComponent(this.current.image_id)}/regions/${encodeURIComponent(id)}`);
      this.give("");
    } catch (error) {
      this.trouble.replaceChildren(errorNotice(error));
    }
  }

  // tools ----------------------------------------------------------------------------------------------------------

  tools() {
    const group = uid("tool");
    const radio = ([value, words]) => {
      const input = h("input", { type: "radio", name: group, value, checked: value === this.tool });
      input.addEventListener("change", () => {
        this.closePolygon();
        this.tool = value;
        this.changed();
      });
      return h("label", { class: "ps-radio" }, input, words);
    };
    const id = uid("radius");
    const radius = h("input", { type: "number", id, min: "1", max: String(Math.max(...this.size)), value: this.radius });
    radius.addEventListener("input", () => {
      if (radius.valueAsNumber > 0) this.radius = radius.valueAsNumber;
      this.paint();
    });
    return h(
      "fieldset",
      {},
      h("legend", {}, "Draw with"),
      h(
        "div",
        { class: "ps-radios" },
        [
          ["polygon", "corners of a polygon"],
          ["brush", "a brush"],
          ["erase", "an eraser"],
        ].map(radio),
        h("div", { class: "ps-input-line" }, h("label", { for: id }, "Brush radius, px"), radius),
        button("Take back", () => this.undo(), "small"),
        button("Clear", () => this.clear(), "small"),
      ),
    );
  }

  byNumbers() {
    const id = uid("corners");
    const text = h("input", { type: "text", id, placeholder: "10,20 30,20 30,40", class: "ps-wide-input", autocomplete: "off" });
    const add = () => {
      const points = readCorners(text.value);
      const [width, height] = this.size;
      if (!points || points.length < 3)
        return this.say("Type at least three corners as x,y pairs in pixels with spaces between, such as 10,20 30,20 30,40.");
      const wrong = points.find(([x, y]) => x < 0 || y < 0 || x > width || y > height);
      if (wrong) return this.say(`(${wrong.join(", ")}) lies outside the image, 0 to ${width} across and 0 to ${height} down.`);
      this.shapes.push({ kind: "polygon", points, erase: false });
      text.value = "";
      this.changed();
      announce("The polygon is added.");
    };
    text.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), add()));
    this.list = h("ul", { class: "ps-hint" });
    return h(
      "div",
      { class: "ps-stack-s" },
      h(
        "div",
        { class: "ps-input-line" },
        h("label", { for: id }, "Or corners in px of the original"),
        text,
        button("Add polygon", add, "small"),
      ),
      this.list,
    );
  }

  byFile() {
    const drop = h("ps-image-drop", { single: true, label: "Or a mask file of the image's size, white on the region" });
    drop.addEventListener("files", async (event) => {
      const form = new FormData();
      form.append("files", event.detail[0], event.detail[0].name);
      try {
        const made = await send(`/images/${encodeURIComponent(this.current.image_id)}/region-files`, form).done;
        this.give(made.id);
      } catch (error) {
        this.trouble.replaceChildren(errorNotice(error));
      }
    });
    return h("details", { class: "ps-unfold" }, h("summary", {}, "Upload a mask"), drop);
  }

  say(words) {
    this.trouble.replaceChildren(h("p", { class: "ps-notice" }, words));
  }

  // drawing ----------------------------------------------------------------------------------------------------------

  listen() {
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.moved(event));
    for (const name of ["pointerup", "pointercancel"]) this.stage.addEventListener(name, () => this.up());
    this.stage.addEventListener("dblclick", () => this.closePolygon());
    this.stage.addEventListener("keydown", (event) => this.onKey(event));
    this.stage.addEventListener("focus", () => {
      if (!this.cursor) this.cursor = this.size.map((side) => side / 2);
      this.paint();
    });
  }

  placeOf(event) {
    const box = this.stage.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return this.within(share.map((value, axis) => value * this.size[axis]));
  }

  within(point) {
    return point.map((value, axis) => Math.round(10 * Math.min(this.size[axis], Math.max(0, value))) / 10);
  }

  down(event) {
    if (event.button) return;
    this.cursor = this.placeOf(event);
    if (this.tool === "polygon") return this.addCorner();
    this.stage.setPointerCapture(event.pointerId);
    this.stroke = this.newStroke();
    this.changed();
  }

  moved(event) {
    this.cursor = this.placeOf(event);
    if (this.stroke) this.stroke.points.push(this.cursor);
    this.paint();
  }

  up() {
    if (!this.stroke) return;
    this.stroke = null;
    this.changed();
  }

  newStroke() {
    const stroke = { kind: "brush", points: [this.cursor], radius: this.radius, erase: this.tool === "erase" };
    this.shapes.push(stroke);
    return stroke;
  }

  addCorner() {
    const last = this.points.at(-1);
    if (!last || last[0] !== this.cursor[0] || last[1] !== this.cursor[1]) this.points.push(this.cursor);
    this.changed();
  }

  closePolygon() {
    if (this.points.length >= 3) {
      this.shapes.push({ kind: "polygon", points: this.points, erase: false });
      announce(`A polygon of ${this.points.length} corners.`);
    }
    this.points = [];
    this.changed();
  }

  undo() {
    if (this.points.length) this.points.pop();
    else this.shapes.pop();
    this.changed();
  }

  clear() {
    this.shapes = [];
    this.points = [];
    this.changed();
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const acts = {
      " ": () => (this.tool === "polygon" ? this.addCorner() : (this.newStroke(), this.changed())),
      Enter: () => this.closePolygon(),
      Backspace: () => this.undo(),
    };
    if (!arrows[event.key] && !acts[event.key]) return;
    event.preventDefault();
    if (acts[event.key]) return acts[event.key]();
    const step = event.shiftKey ? 1 : Math.max(1, STEP * Math.max(...this.size));
    this.cursor = this.within(this.cursor.map((value, axis) => value + step * arrows[event.key][axis]));
    this.paint();
  }

  /** After each change: picture, list of shapes, and whether there is something to measure. */
  changed() {
    this.save.disabled = !this.shapes.length && this.points.length < 3;
    this.list.replaceChildren(
      ...this.shapes.map((shape) => h("li", {}, shapeWords(shape))),
      ...(this.points.length ? [h("li", {}, `polygon being drawn: ${cornersText(this.points)}`)] : []),
    );
    this.trouble.replaceChildren();
    this.paint();
  }

  // showing ----------------------------------------------------------------------------------------------------------

  watchSize() {
    const watcher = new ResizeObserver(() => this.paint());
    watcher.observe(this.stage);
    this.signal.addEventListener("abort", () => watcher.disconnect());
  }

  paint() {
    this.place.textContent = this.cursor ? `x ${this.cursor[0].toFixed(1)}, y ${this.cursor[1].toFixed(1)} px` : "\u00a0";
    paintRegion(this.canvas, this.stage, {
      frame: this.current.frame,
      shapes: this.shapes,
      points: this.points,
      cursor: this.cursor,
      radius: this.tool === "polygon" ? 0 : this.radius,
      tint: this.shapes.length || this.points.length ? null : this.tint,
    });
  }

  async keep() {
    this.closePolygon();
    this.save.disabled = true;
    try {
      const address = `/images/${encodeURIComponent(this.current.image_id)}/regions`;
      const made = await api.post(address, { shapes: this.shapes }, { signal: this.signal });
      this.clear();
      this.give(made.id);
    } catch (error) {
      this.save.disabled = false;
      if (error.name !== "AbortError") this.trouble.replaceChildren(errorNotice(error));
    }
  }

  give(id) {
    this.dispatchEvent(new CustomEvent("region", { detail: id }));
  }
}

function shapeWords(shape) {
  if (shape.kind === "polygon") return `polygon: ${cornersText(shape.points)}`;
  const from = shape.points[0].map((value) => value.toFixed(0)).join(",");
  return `${shape.erase ? "erased" : "brush"} stroke from ${from}, radius ${shape.radius} px`;
}

const cornersText = (points) => points.map(([x, y]) => `${x},${y}`).join(" ");

/** "10,20 30,20" as [[10, 20], [30, 20]], or null. */
function readCorners(text) {
  const pairs = text.trim().split(/[\s;]+/).map((pair) => pair.split(",").map(Number));
  return pairs.every((pair) => pair.length === 2 && pair.every(Number.isFinite)) ? pairs : null;
}

define("ps-region-editor", RegionEditor);
