/**
 * Head by head, for the Attention page: where each head gathers its attention and of which kind it is, and the map of one
 * layer, head and number of zero vectors, chosen by sliders.
 */

import { api, at, busy, define, errorNotice, h, percent, PsElement } from "./core.js";
import { shortNumber } from "./charts.js";
import { radios } from "./choices.js";
import { colourAt, cssGradient } from "./colour-maps.js";
import { curves } from "./figures.js";
import { uid } from "./follow.js";
import { readNpz } from "./npz.js";
import { dataTable, fileName } from "./plot.js";
import "./plot.js";

const PICTURE_PX = 448;
const STRENGTH = 0.6;
const NEGLIGIBLE = 1e-3;
const FIRST_COUNT = 4;
const MODES = [
  { value: "insert", words: "added beside the patches" },
  { value: "replace", words: "in place of the first patches" },
];

/** The card; what it shows is computed when it is opened. */
export function headsCard(found) {
  const place = h("div");
  const box = h(
    "details",
    { class: "ps-card ps-unfold" },
    h("summary", {}, "Why: sinks and maps, head by head"),
    place,
  );
  box.addEventListener("toggle", () => {
    if (!box.open || place.childElementCount) return;
    const node = h("ps-attention-heads");
    node.explanation = found;
    place.replaceChildren(node);
  });
  return box;
}

class AttentionHeads extends PsElement {
  async start() {
    const id = encodeURIComponent(this.explanation.id);
    this.path = `/explanations/${id}`;
    this.arrays = {};
    this.sinksPlace = h("div", { class: "ps-stack-s" }, busy("Measuring where heads gather their attention …"));
    this.mapsPlace = h("div", { class: "ps-stack-s" }, busy("Sending the image through the tower with 0 to 16 zero vectors …"));
    this.show(h("div", { class: "ps-stack" }, this.sinksPlace, this.mapsPlace));
    await this.showSinks();
    await this.showMaps();
  }

  // sinks -----------------------------------------------------------------------------------------------------------

  async showSinks() {
    try {
      this.sinks = await api.get(`${this.path}/sinks`, { signal: this.signal });
    } catch (error) {
      if (error.name !== "AbortError") this.sinksPlace.replaceChildren(errorNotice(error, () => this.showSinks()));
      return;
    }
    const { heads, summary, meanings } = this.sinks;
    const table = dataTable(
      ["Layer, head", "Gathers on", "Mean share", "Queries with half or more there", "Length written / others", "Stable rank", "Kind"],
      heads.map((row) => [
        `${row.layer}, ${row.head}`,
        row.sink,
        percent(row.mass),
        percent(row.routed, 0),
        shortNumber(row.rho_out),
        shortNumber(row.stable_rank),
        row.label ?? "no sink",
      ]),
    );
    this.sinksPlace.replaceChildren(
      h("h3", {}, "Sinks"),
      h("p", {}, summary.caption),
      h(
        "ul",
        { class: "ps-soft" },
        Object.entries(meanings).map(([name, meaning]) => h("li", {}, h("strong", {}, name), `: ${meaning}`)),
        h("li", {}, "no sink: fewer than 90 % of queries put half or more of their attention on one token"),
      ),
      h(
        "details",
        { class: "ps-unfold" },
        h("summary", {}, `Show all ${heads.length} heads`),
        h("div", { class: "ps-table-scroll ps-tall-table", tabindex: "0", role: "region", "aria-label": "Sinks of all heads" }, table),
      ),
    );
  }

  // maps ------------------------------------------------------------------------------------------------------------

  async showMaps() {
    this.mode = this.mode ?? radios(MODES, "insert");
    try {
      await this.load("insert");
    } catch (error) {
      if (error.name !== "AbortError") this.mapsPlace.replaceChildren(errorNotice(error, () => this.showMaps()));
      return;
    }
    this.buildMaps();
    this.draw();
  }

  /** The arrays of a mode, asked for once. */
  async load(mode) {
    if (this.arrays[mode]) return;
    const answer = await fetch(at(`/api/v1${this.path}/heads/${mode}`), { credentials: "same-origin", signal: this.signal });
    if (!answer.ok) {
      const told = await answer.json().catch(() => null);
      throw new Error(told?.error?.message ?? "The maps of heads could not be had. Try again.");
    }
    this.arrays[mode] = readNpz(await answer.arrayBuffer());
  }

  buildMaps() {
    const [, layers, heads] = this.arrays.insert.attention.shape;
    const counts = [...this.arrays.insert.counts.data];
    this.layer = this.slider("Layer", layers - 1, layers - 1);
    this.head = this.slider("Head", heads - 1, 0);
    this.count = this.slider("Zero vectors (k)", counts.length - 1, Math.min(FIRST_COUNT, counts.length - 1));
    const picture = at(`/api/v1/explanations/${encodeURIComponent(this.explanation.id)}/maps/original`);
    this.canvas = h("canvas", { width: PICTURE_PX, height: PICTURE_PX, "aria-hidden": "true" });
    this.frame = h("div", { class: "ps-head-map", role: "img" }, h("img", { src: picture, alt: "" }), this.canvas);
    this.words = h("p", { role: "status" });
    this.legend = h("div", { class: "ps-head-scale" });
    this.plot = h("ps-plot");
    this.mode.node.addEventListener("change", async () => {
      try {
        await this.load(this.mode.value);
        this.draw();
      } catch (error) {
        if (error.name !== "AbortError") this.words.replaceChildren(errorNotice(error));
      }
    });
    this.mapsPlace.replaceChildren(
      h("h3", {}, "Maps by layer, head and number of zero vectors"),
      h("p", { class: "ps-soft" }, "Of the frozen tower, the same for every class. Every number is a real pass; nothing is trained."),
      h(
        "div",
        { class: "ps-pair" },
        h("div", { class: "ps-stack-s" }, this.frame, this.legend),
        h(
          "div",
          { class: "ps-stack-s" },
          h("fieldset", {}, h("legend", {}, "The vectors stand"), this.mode.node),
          this.layer.node,
          this.head.node,
          this.count.node,
          this.words,
        ),
      ),
      this.plot,
    );
  }

  slider(name, most, first) {
    const id = uid("slider");
    const input = h("input", { type: "range", id, min: "0", max: String(most), step: "1", value: String(first) });
    const shown = h("output", { for: id }, String(first));
    input.addEventListener("input", () => {
      shown.textContent = input.value;
      this.draw();
    });
    const node = h("div", { class: "ps-opacity" }, h("label", { for: id }, name), input, shown);
    return {
      node,
      get value() {
        return Number(input.value);
      },
    };
  }

  draw() {
    const arrays = this.arrays[this.mode.value];
    if (!arrays) return;
    const [counts, layers, heads, rows, columns] = arrays.attention.shape;
    const k = Math.min(this.count.value, counts - 1);
    const unit = (at_) => (at_ * layers + this.layer.value) * heads + this.head.value;
    const cells = rows * columns;
    const mapOf = (at_) => arrays.attention.data.subarray(unit(at_) * cells, (unit(at_) + 1) * cells);
    const all = Array.from({ length: counts }, (_, at_) => Math.max(...[...mapOf(at_)].filter(Number.isFinite)));
    const top = Math.max(...all);
    const own = [...mapOf(k)].filter(Number.isFinite);
    const onPatches = own.reduce((sum, value) => sum + value, 0);
    const onVectors = arrays.vectors.data[unit(k)];
    const onClass = arrays.class_token.data[unit(k)];
    const nothing = onPatches < NEGLIGIBLE;
    paint(this.canvas, nothing ? null : mapOf(k), rows, columns, top);
    const label = this.sinks?.heads.find((row) => row.layer === this.layer.value && row.head === this.head.value)?.label;
    const where = `Layer ${this.layer.value}, head ${this.head.value}, ${k} zero vector${k === 1 ? "" : "s"}`;
    const shares = `${percent(onPatches)} of the class token's attention on patches, ${percent(onClass)} on itself, ${percent(onVectors)} on the vectors`;
    const tale = nothing
      ? `${where}: next to nothing lies on patches (${onPatches.toExponential(1)}), so no map is painted.`
      : `${where}: ${shares}.`;
    this.words.textContent = `${tale}${label ? ` As this model was trained, the head is ${label} here.` : ""}`;
    this.frame.setAttribute("aria-label", tale);
    this.legend.replaceChildren(
      h("div", { class: "ps-scale-bar", style: { background: cssGradient("cividis"), height: "0.75rem" }, "aria-hidden": "true" }),
      h("p", { class: "ps-hint" }, `0 (left) to ${shortNumber(top)} (right), one scale for all k of this head`),
    );
    this.drawPlot(arrays, unit, mapOf, counts);
  }

  drawPlot(arrays, unit, mapOf, counts) {
    const table = Array.from({ length: counts }, (_, k) => {
      const patches = [...mapOf(k)].filter(Number.isFinite).reduce((sum, value) => sum + value, 0);
      return [arrays.counts.data[k], patches, arrays.class_token.data[unit(k)], arrays.vectors.data[unit(k)]];
    });
    const line = (column) => table.map((row) => [row[0], row[column]]);
    const last = table.at(-1);
    this.plot.content = {
      title: `Layer ${this.layer.value}, head ${this.head.value}: shares of the class token's attention`,
      sentence: `With ${last[0]} zero vectors they take ${percent(last[3])}; the image keeps ${percent(last[1])}.`,
      figure: curves({
        x: { title: "zero vectors" },
        y: { low: 0, high: 1, format: (value) => percent(value, 0) },
        series: [
          { name: "image patches", points: line(1), kind: 1 },
          { name: "class token", points: line(2), kind: 2 },
          { name: "zero vectors", points: line(3), kind: 3 },
        ],
      }),
      columns: ["Zero vectors", "On patches", "On class token", "On zero vectors"],
      rows: table.map(([k, ...values]) => [String(k), ...values.map((value) => percent(value, 2))]),
      csvRows: table,
      file: fileName("head", String(this.layer.value), String(this.head.value), this.mode.value, this.explanation.image || ""),
    };
  }
}

/** Cells as areas of colour over the picture; replaced cells stay empty. values null: nothing is painted. */
function paint(canvas, values, rows, columns, top) {
  const pen = canvas.getContext("2d");
  const [width, height] = [canvas.width / columns, canvas.height / rows];
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (!values) return;
  values.forEach((value, cell) => {
    if (!Number.isFinite(value)) return;
    const rgb = colourAt("cividis", top > 0 ? value / top : 0);
    pen.fillStyle = `rgb(${rgb.join(" ")} / ${STRENGTH})`;
    pen.fillRect((cell % columns) * width, Math.floor(cell / columns) * height, width, height);
  });
}

define("ps-attention-heads", AttentionHeads);
