// Evidence sentence by sentence: verdict in words, effect with its interval as a bar, agreement; sorted by effect.
import { at, button, chip, count, field, fill, h, svg } from "./core.js";
import { effectsContent } from "./description-evidence-charts.js";
import { plainNumber, pText, signed } from "./description-evidence-words.js";
import { VERDICTS } from "./description-words.js";
import { focusPager, pager } from "./pager.js";
import { thumbnailUrl } from "./thumbnails.js";

const PER_PAGE = 25;
const BAR_PX = 120;
const finite = Number.isFinite;
const ORDERS = {
  best: ["Best effect first", (a, b) => (b.effect ?? -Infinity) - (a.effect ?? -Infinity)],
  worst: ["Worst effect first", (a, b) => (a.effect ?? Infinity) - (b.effect ?? Infinity)],
  suspects: ["Suspected ones first", (a, b) => Boolean(b.suspect_class) - Boolean(a.suspect_class) || (a.effect ?? Infinity) - (b.effect ?? Infinity)],
  agreement: ["Lowest agreement first", (a, b) => (a.agreement ?? 1) - (b.agreement ?? 1)],
};
const RANK = { harmful: 0, helpful: 1, cannot_tell: 2 };

export class EvidenceTable {
  // read(row): opens a sentence in the view Review.
  constructor(result, name, read) {
    this.rows = result.sentences;
    this.read = read;
    this.reach = Math.max(...this.rows.flatMap((row) => [row.effect, row.low, row.high]).filter(finite).map(Math.abs), 1e-9);
    this.body = h("div", { class: "ps-stack-s" });
    this.order = h("select", {}, Object.entries(ORDERS).map(([value, [words]]) => h("option", { value }, words)));
    this.verdict = h("select", {}, h("option", { value: "" }, "All"), Object.keys(RANK).filter((verdict) => this.rows.some((row) => row.verdict === verdict))
      .map((verdict) => h("option", { value: verdict }, VERDICTS[verdict][0])));
    this.className = h("select", {}, h("option", { value: "" }, "All"), [...new Set(this.rows.map((row) => row.class))].map((each) => h("option", { value: each }, each)));
    for (const node of [this.order, this.verdict, this.className]) node.addEventListener("change", () => this.#draw(0));
    const content = effectsContent(this.rows, name);
    const plot = content && h("ps-plot");
    if (plot) plot.content = content;
    this.node = h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-sentences-title" },
      h("h3", { id: "ps-sentences-title" }, "Sentence by sentence"),
      h("div", { class: "ps-grid" }, field("Order", this.order), field("Verdict", this.verdict), field("Class", this.className)),
      this.body,
      plot && h("details", { class: "ps-fold" }, h("summary", {}, "As a chart"), plot));
    this.#draw(0);
  }

  get #shown() {
    const kept = this.rows.filter((row) => (!this.verdict.value || row.verdict === this.verdict.value) && (!this.className.value || row.class === this.className.value));
    return kept.sort(ORDERS[this.order.value][1]);
  }

  #draw(offset, from = null) {
    const shown = this.#shown;
    const page = shown.slice(offset, offset + PER_PAGE);
    const pages = pager("Pages of sentences", ["sentence"], { offset, shown: page.length, total: shown.length, perPage: PER_PAGE }, (next, name) => this.#draw(next, name));
    fill(this.body, h("p", { class: "ps-hint", role: "status" }, count(shown.length, "sentence")), this.#table(page), pages);
    focusPager(this.body, from);
  }

  #table(rows) {
    const head = ["Sentence", "Class", "Verdict", "Effect in nats, 95 % interval", "Agreement", "p, corrected", ""];
    const cells = (row) => [
      h("th", { scope: "row", class: "ps-break ps-evidence-text" }, row.sentence, row.verdict !== "cannot_tell" && row.reason && h("span", { class: "ps-hint ps-evidence-reason" }, row.reason),
        row.suspect_class && h("span", { class: "ps-hint ps-evidence-reason" }, `Seems to tell of “${row.suspect_class}”: read it first.`), this.#pictures(row)),
      h("td", { class: "ps-break" }, row.class),
      h("td", {}, chip(...(VERDICTS[row.verdict] ?? [row.verdict, ""])), row.verdict === "cannot_tell" && h("span", { class: "ps-hint ps-evidence-reason" }, unseenWords(row))),
      h("td", { class: "ps-number" }, this.#bar(row), h("span", { class: "ps-nowrap" }, signed(row.effect), finite(row.low) && finite(row.high) ? ` (${signed(row.low)} to ${signed(row.high)})` : "")),
      h("td", { class: "ps-number" }, plainNumber(row.agreement)),
      h("td", { class: "ps-number" }, pText(row.p_adjusted)),
      h("td", {}, named(button("Read", () => this.read(row), "small"), `Read “${row.sentence}”`)),
    ];
    return h("div", { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": "Evidence by sentence" },
      h("table", { class: "ps-table ps-evidence-table" },
        h("caption", { class: "ps-visually-hidden" }, "Evidence by sentence"),
        h("thead", {}, h("tr", {}, head.map((words, at) => h("th", { scope: "col", class: at > 2 && at < 6 ? "ps-number" : "" }, words || h("span", { class: "ps-visually-hidden" }, "Open"))))),
        h("tbody", {}, rows.map((row) => h("tr", {}, cells(row))))));
  }

  // The images nearest to a sentence and the farthest of its class; loaded once somebody unfolds them.
  #pictures(row) {
    if (!row.nearest?.length) return null;
    const shown = h("div", { class: "ps-stack-s" });
    const fold = h("details", { class: "ps-inline-fold" }, h("summary", {}, "Nearest and farthest images"), shown);
    fold.setAttribute("aria-label", `Images of “${row.sentence}”`);
    fold.addEventListener("toggle", () => fill(shown,
      strip("Nearest, of any class", row.nearest, row.class), strip(`Farthest of ${row.class}`, row.farthest, row.class)), { once: true });
    return fold;
  }

  // The interval as a bar on a scale all rows share, zero in the middle; the numbers stand beside it.
  #bar(row) {
    if (!finite(row.effect)) return null;
    const place = (value) => BAR_PX * (0.5 + (0.47 * value) / this.reach);
    const line = (x1, x2, y1, y2, name) => svg("line", { x1, x2, y1, y2, class: name });
    return svg("svg", { class: `ps-evidence-bar ps-evidence-${row.verdict}`, width: BAR_PX, height: 18, viewBox: `0 0 ${BAR_PX} 18`, "aria-hidden": "true" },
      line(BAR_PX / 2, BAR_PX / 2, 1, 17, "ps-bar-zero"),
      finite(row.low) && finite(row.high) && line(place(row.low), place(row.high), 9, 9, "ps-bar-range"),
      svg("circle", { cx: place(row.effect), cy: 9, r: 4.5, class: "ps-bar-mark" }));
  }
}

// Why nothing can be told: what is too small to be seen, or too few images.
const unseenWords = (row) => (finite(row.smallest_effect) ? `effects below ${row.smallest_effect.toPrecision(2)} cannot be seen` : row.reason);

// Images in a row; those of another class have a dashed edge and say so.
function strip(title, images, own) {
  const tile = ({ image, class: name, cosine }) => {
    const words = `${name}, cosine ${plainNumber(cosine, 3)}`;
    const isOther = name !== own;
    const picture = image ? h("a", { href: at(thumbnailUrl(image, 1024)), target: "_blank", "aria-label": `${words}, large` },
      h("img", { src: thumbnailUrl(image, 96), alt: "", loading: "lazy", width: 72, height: 72, class: isOther ? "ps-of-other" : "" })) : h("span", { class: "ps-hint" }, "deleted");
    return h("li", {}, picture, h("span", { class: "ps-hint ps-break" }, isOther ? words : plainNumber(cosine, 3)));
  };
  return h("div", {}, h("p", { class: "ps-hint" }, title), h("ul", { class: "ps-evidence-images" }, images.map(tile)));
}

function named(node, words) {
  node.setAttribute("aria-label", words);
  return node;
}
