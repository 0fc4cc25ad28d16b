/**
 * <ps-map-viewer>: an explanation's maps over the image they belong to, all zoomed and moved as one.
 *
 * Set `explanation` (as the API gives it); the arrays behind the maps are fetched and painted here, so that the opacity
 * can be chosen; without them the server's finished pictures are shown. Keys: + and - zoom, arrows move, 0 resets.
 */

import { at, button, define, h, PsElement } from "./core.js";
import { shortNumber } from "./charts.js";
import { colourAt, cssGradient } from "./colour-maps.js";
import { uid } from "./follow.js";
import { readNpz } from "./npz.js";
import { fileName, saveCsv } from "./plot.js";

const PICTURE_PX = 448;
const OPACITY = 40;
const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
const STEP = 0.12;
/** Older explanations do not say which of their maps are looked at first. */
const FIRST_SHOWN = ["original", "grad_cam", "attention", "difference"];
const isShown = (map) => map.shown ?? FIRST_SHOWN.includes(map.kind);

class MapViewer extends PsElement {
  start() {
    this.view = { zoom: 0, x: 0.5, y: 0.5 };
    if (this.current) this.load();
  }

  set explanation(explanation) {
    this.current = explanation;
    if (this.isConnected) this.load();
  }

  async load() {
    const address = this.addressOf("arrays");
    try {
      const answer = await fetch(address, { credentials: "same-origin", signal: this.signal });
      this.arrays = answer.ok ? readNpz(await answer.arrayBuffer()) : {};
    } catch (error) {
      if (error.name === "AbortError") return;
      this.arrays = {}; // the pictures made by the server are shown instead
    }
    this.build();
  }

  addressOf(kind) {
    return at(`/api/v1/explanations/${encodeURIComponent(this.current.id)}/maps/${encodeURIComponent(kind)}`);
  }

  build() {
    const maps = this.current.maps;
    this.panes = maps.map((map) => this.pane(map));
    this.status = h("span", { class: "ps-visually-hidden", role: "status" });
    const canFade = maps.some((map) => this.arrays[map.kind]);
    this.stage = h(
      "div",
      { class: "ps-panes" },
      this.panes.map((pane) => pane.box),
    );
    this.stage.addEventListener("keydown", (event) => this.onKey(event));
    this.show(h("div", { class: "ps-stack-s" }, this.tools(canFade), this.stage, this.status));
    this.fade(OPACITY);
    this.move();
  }

  tools(canFade) {
    const id = uid("opacity");
    const slider = h("input", { type: "range", id, min: "0", max: "100", step: "5", value: String(OPACITY) });
    const shown = h("output", { for: id }, `${OPACITY} %`);
    slider.addEventListener("input", () => {
      shown.textContent = `${slider.value} %`;
      this.fade(Number(slider.value));
    });
    const tool = (words, label, act) => {
      const made = button(words, act, "small");
      made.setAttribute("aria-label", label);
      return made;
    };
    const others = this.panes.filter((pane) => !isShown(pane.map));
    return h(
      "div",
      { class: "ps-viewer-tools" },
      canFade
        ? h("div", { class: "ps-opacity" }, h("label", { for: id }, "Strength of the colours"), slider, shown)
        : null,
      h(
        "div",
        { class: "ps-actions ps-zoom", role: "group", "aria-label": "Zoom and move all pictures" },
        tool("−", "Zoom out", () => this.zoom(-1)),
        tool("+", "Zoom in", () => this.zoom(1)),
        tool("←", "Move left", () => this.pan(-1, 0)),
        tool("→", "Move right", () => this.pan(1, 0)),
        tool("↑", "Move up", () => this.pan(0, -1)),
        tool("↓", "Move down", () => this.pan(0, 1)),
        tool("Reset", "Show the whole pictures", () => this.reset()),
      ),
      others.length
        ? h(
            "fieldset",
            { class: "ps-more-maps" },
            h("legend", {}, "Show also"),
            others.map((pane) => this.paneSwitch(pane)),
          )
        : null,
    );
  }

  paneSwitch(pane) {
    const id = uid("pane");
    const box = h("input", { type: "checkbox", id });
    box.addEventListener("change", () => (pane.box.hidden = !box.checked));
    return h("div", { class: "ps-check" }, box, h("label", { for: id }, pane.map.title));
  }

  pane(map) {
    const array = this.arrays[map.kind];
    const isOverlay = Boolean(array && map.scale);
    const source = isOverlay ? "original" : map.kind;
    const image = h("img", {
      src: this.addressOf(source),
      alt: map.alt || map.title,
      class: isOverlay ? "ps-under" : "",
      draggable: "false",
    });
    const layers = h("div", { class: "ps-layers" }, image);
    const canvas = isOverlay && h("canvas", { width: PICTURE_PX, height: PICTURE_PX, "aria-hidden": "true" });
    if (canvas) {
      paint(canvas, array, map);
      layers.append(canvas);
    }
    const frame = h(
      "div",
      {
        class: "ps-frame",
        tabindex: "0",
        role: "group",
        "aria-label": `${map.title}. Plus and minus zoom, arrows move.`,
      },
      layers,
    );
    this.drag(frame);
    const box = h(
      "figure",
      { class: "ps-pane", hidden: !isShown(map), "data-kind": map.kind },
      h("figcaption", {}, map.title),
      frame,
      map.scale ? colourBar(map) : null,
      map.scale ? h("small", { class: "ps-hint" }, map.alt) : null,
      h("div", { class: "ps-actions" }, this.downloads(map, array)),
    );
    return { map, box, layers, canvas };
  }

  downloads(map, array) {
    const name = fileName(this.current.image || "image", map.kind);
    const picture = h(
      "a",
      { href: this.addressOf(map.kind), download: `${name}.png`, class: "ps-button ps-button-quiet ps-button-small" },
      "PNG",
    );
    picture.setAttribute("aria-label", `Download ${map.title} as PNG`);
    if (!array) return [picture];
    const drawing = h(
      "a",
      {
        href: `${this.addressOf(map.kind)}?form=svg`,
        download: `${name}.svg`,
        class: "ps-button ps-button-quiet ps-button-small",
      },
      "SVG",
    );
    drawing.setAttribute("aria-label", `Download ${map.title} as SVG with its table`);
    const table = button("CSV", () => saveCsv(gridCsv(array, name, this.current.frame)), "quiet ps-button-small");
    table.setAttribute("aria-label", `Download the values of ${map.title} as CSV`);
    return [picture, drawing, table];
  }

  // zoom, move, fade --------------------------------------------------------------------------------------------------

  fade(opacity) {
    for (const pane of this.panes) if (pane.canvas) pane.canvas.style.opacity = String(opacity / 100);
  }

  zoom(steps) {
    this.view.zoom = Math.min(ZOOMS.length - 1, Math.max(0, this.view.zoom + steps));
    this.move();
    this.status.textContent = `Zoom ${ZOOMS[this.view.zoom]} times`;
  }

  pan(right, down) {
    const step = STEP / ZOOMS[this.view.zoom];
    this.view.x += right * step * 2;
    this.view.y += down * step * 2;
    this.move();
  }

  reset() {
    this.view = { zoom: 0, x: 0.5, y: 0.5 };
    this.move();
    this.status.textContent = "Whole pictures";
  }

  /** Puts all pictures at the same place: (x, y) of the picture in the middle of its frame, never beyond the edge. */
  move() {
    const zoom = ZOOMS[this.view.zoom];
    const margin = 0.5 / zoom;
    this.view.x = Math.min(1 - margin, Math.max(margin, this.view.x));
    this.view.y = Math.min(1 - margin, Math.max(margin, this.view.y));
    const shift = (place) => `${((0.5 - place * zoom) * 100).toFixed(3)}%`;
    for (const pane of this.panes)
      pane.layers.style.transform = `translate(${shift(this.view.x)}, ${shift(this.view.y)}) scale(${zoom})`;
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !event.target.closest(".ps-frame")) return;
    const acts = {
      "+": () => this.zoom(1),
      "=": () => this.zoom(1),
      "-": () => this.zoom(-1),
      0: () => this.reset(),
      ArrowLeft: () => this.pan(-1, 0),
      ArrowRight: () => this.pan(1, 0),
      ArrowUp: () => this.pan(0, -1),
      ArrowDown: () => this.pan(0, 1),
    };
    if (!acts[event.key]) return;
    // Unzoomed there is nothing to move: the arrows then scroll the page as everywhere.
    if (event.key.startsWith("Arrow") && this.view.zoom === 0) return;
    event.preventDefault();
    acts[event.key]();
  }

  drag(frame) {
    let from = null;
    frame.addEventListener("pointerdown", (event) => {
      if (this.view.zoom === 0) return;
      from = { x: event.clientX, y: event.clientY, view: { ...this.view } };
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      if (!from) return;
      const size = frame.clientWidth * ZOOMS[this.view.zoom];
      this.view.x = from.view.x - (event.clientX - from.x) / size;
      this.view.y = from.view.y - (event.clientY - from.y) / size;
      this.move();
    });
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, () => (from = null));
    frame.addEventListener("dblclick", () => this.zoom(1));
  }
}

/** Paints a grid of values in the map's colours; cells that are not-a-number (replaced patches) stay clear. */
function paint(canvas, { shape, data }, map) {
  const [rows, columns] = shape;
  const [low, high] = map.scale;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(PICTURE_PX, PICTURE_PX);
  for (let y = 0; y < PICTURE_PX; y += 1) {
    for (let x = 0; x < PICTURE_PX; x += 1) {
      const value = valueAt(data, rows, columns, x / PICTURE_PX, y / PICTURE_PX);
      if (value === null) continue;
      const position = high > low ? (value - low) / (high - low) : low < 0 ? 0.5 : 0;
      picture.data.set([...colourAt(map.colour_map, position), 255], 4 * (y * PICTURE_PX + x));
    }
  }
  context.putImageData(picture, 0, 0);
}

/** Bilinear value at (x, y) in [0, 1), averaged over the cells that are there; null inside a missing cell. */
function valueAt(data, rows, columns, x, y) {
  const here = data[Math.floor(y * rows) * columns + Math.floor(x * columns)];
  if (!Number.isFinite(here)) return null;
  const column = x * columns - 0.5;
  const row = y * rows - 0.5;
  const [left, top] = [Math.floor(column), Math.floor(row)];
  let [sum, weights] = [0, 0];
  for (const [dy, dx] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]) {
    const at = Math.min(rows - 1, Math.max(0, top + dy)) * columns + Math.min(columns - 1, Math.max(0, left + dx));
    if (!Number.isFinite(data[at])) continue;
    const weight = (dx ? column - left : 1 - column + left) * (dy ? row - top : 1 - row + top);
    sum += weight * data[at];
    weights += weight;
  }
  return weights > 0 ? sum / weights : here;
}

/** What the colours mean: the ends and the middle as numbers, with the unit. */
function colourBar(map) {
  const [low, high] = map.scale;
  const sign = (value) => (map.colour_map === "vik" && value > 0 ? `+${shortNumber(value)}` : shortNumber(value));
  return h(
    "div",
    { class: "ps-colour-bar" },
    h("div", { class: "ps-colour-strip", "aria-hidden": "true", style: { background: cssGradient(map.colour_map) } }),
    h(
      "div",
      { class: "ps-colour-numbers" },
      [low, (low + high) / 2, high].map((value) => h("span", {}, sign(value))),
    ),
    h("small", { class: "ps-hint" }, map.unit),
  );
}

/** One row a row of patches; the crop box, in pixels of the upright original, stands at the end of each. */
function gridCsv({ shape, data }, file, frame) {
  const [rows, columns] = shape;
  const cells = Array.from({ length: rows }, (_, row) => [
    row + 1,
    ...Array.from(data.slice(row * columns, (row + 1) * columns), (value) => (Number.isFinite(value) ? value : "")),
    ...(frame?.crop_box ?? ["", "", "", ""]),
  ]);
  return {
    columns: [
      "patch row",
      ...Array.from({ length: columns }, (_, column) => `column ${column + 1}`),
      ...["crop_left", "crop_top", "crop_right", "crop_bottom"],
    ],
    rows: cells,
    file,
  };
}

define("ps-map-viewer", MapViewer);
