/**
 * <ps-plot>: a chart with its sentence, the table behind it and downloads as CSV, PNG and SVG.
 *
 * Set `content` = {title, sentence, figure (see `charts.js`), columns: [text], rows: [[text or number]], file}; csvRows and
 * csvColumns give full precision where the table rounds. Setting it again redraws in place, so that an open table stays
 * open while a curve grows. `cautions` (sentences) go along with every file, for numbers that are better than honest ones.
 */

import { announce, button, define, h, PsElement } from "./core.js";
import { chartFile, drawChart, forgetChart } from "./charts.js";

class Plot extends PsElement {
  start() {
    if (!this.area) this.build();
    const redraw = () => {
      this.drawnWidth = 0;
      this.draw();
    };
    const watcher = new ResizeObserver(() => this.draw());
    watcher.observe(this);
    const chosen = new MutationObserver(redraw);
    chosen.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw, { signal: this.signal });
    this.signal.addEventListener("abort", () => {
      watcher.disconnect();
      chosen.disconnect();
      forgetChart(this.area);
      this.drawnWidth = 0;
    });
  }

  build() {
    this.caption = h("figcaption", { class: "ps-plot-title" });
    this.area = h("div", { class: "ps-plot-area" });
    this.trouble = h("p", { class: "ps-hint", role: "status" });
    this.sentence = h("p", { class: "ps-hint" });
    this.table = h("div", { class: "ps-table-scroll", tabindex: "0", role: "region" });
    const details = h("details", { class: "ps-plot-table" }, h("summary", {}, "Show as table"), this.table);
    const save = (words, act) => {
      const node = button(words, act, "quiet ps-button-small");
      node.setAttribute("aria-label", `Download ${words}`);
      return node;
    };
    const downloads = h(
      "div",
      { class: "ps-downloads" },
      h("span", { class: "ps-hint", "aria-hidden": "true" }, "Download"),
      save("CSV", () => saveCsv(this.content)),
      save("PNG", () => this.savePicture("png")),
      save("SVG", () => this.savePicture("svg")),
    );
    const tools = h("div", { class: "ps-plot-tools" }, details, downloads);
    this.show(h("figure", { class: "ps-plot" }, this.caption, this.area, this.trouble, this.sentence, tools));
  }

  set content(content) {
    this.current = content;
    if (!this.area) this.build();
    this.caption.textContent = content.title || "";
    this.caption.hidden = !content.title;
    this.sentence.textContent = content.sentence.replaceAll(" %", "\u00a0%"); // a number keeps its unit
    this.table.setAttribute("aria-label", `Table: ${content.title || content.sentence}`);
    this.table.replaceChildren(dataTable(content.columns, content.rows));
    this.drawnWidth = 0;
    this.draw();
  }

  get content() {
    return this.current;
  }

  /** Draws at the present width; a width that did not change draws nothing, else resizing would never settle. */
  async draw() {
    const width = Math.floor(this.area?.clientWidth || 0);
    if (!this.current || width < 40 || width === this.drawnWidth) return;
    this.drawnWidth = width;
    try {
      await drawChart(this.area, this.current.figure, width, this.current.sentence);
      this.trouble.textContent = "";
    } catch (error) {
      this.trouble.textContent = error.message;
    }
  }

  async savePicture(kind) {
    try {
      saveFile(
        await chartFile(this.current.figure, this.current.title || this.current.sentence, kind, this.current.cautions),
        `${this.current.file}.${kind}`,
      );
    } catch (error) {
      this.trouble.textContent = error.message;
      announce(error.message, { urgent: true });
    }
  }
}

/** A plain table of texts and numbers; the first column heads its row, all others are set right. */
export function dataTable(columns, rows, caption) {
  const cell = (value, index) =>
    index === 0 ? h("th", { scope: "row" }, value) : h("td", { class: "ps-number" }, value ?? "–");
  const head = columns.map((name, index) => h("th", { scope: "col", class: index ? "ps-number" : "" }, name));
  return h(
    "table",
    { class: "ps-table" },
    caption && h("caption", {}, caption),
    h("thead", {}, h("tr", {}, head)),
    h(
      "tbody",
      {},
      rows.map((row) => h("tr", {}, row.map(cell))),
    ),
  );
}

/** Rows as RFC 4180 text. Texts that a spreadsheet would run as a formula get a leading apostrophe. */
export function csvText(columns, rows) {
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    const isFormula = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && !Number.isFinite(Number(value));
    const text = isFormula ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Offers the rows of a plot's content as a file; what its cautions say stands in a column of its own. */
export function saveCsv({ columns, rows, csvColumns, csvRows, file, cautions }) {
  const more = cautions?.length ? [cautions.join(" ")] : [];
  const text = csvText(
    [...(csvColumns || columns), ...more.map(() => "caution")],
    (csvRows || rows).map((row) => [...row, ...more]),
  );
  saveFile(new Blob([text], { type: "text/csv;charset=utf-8" }), `${file}.csv`);
}

/** Hands a blob to the browser's download. */
export function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A safe file name from labels. */
export function fileName(...parts) {
  return parts
    .join(" ")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}

define("ps-plot", Plot);
