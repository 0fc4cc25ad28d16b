/**
 * <ps-plot>: a plot with its sentence, the table behind it and a CSV download.
 *
 * Set `content` = {title, sentence, draw(width) -> svg, columns: [text], rows: [[text or number]], file}. Setting it
 * again redraws in place, so that an open table stays open while a curve grows.
 */

import { h } from "./core.js";

class PlotFigure extends HTMLElement {
  connectedCallback() {
    if (!this.built) this.build();
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this);
  }

  disconnectedCallback() {
    this.watcher?.disconnect();
  }

  build() {
    this.built = true;
    this.caption = h("figcaption", { class: "plot-title" });
    this.area = h("div", { class: "plot-area" });
    this.sentence = h("p", { class: "plot-sentence" });
    this.table = h("div", { class: "table-scroll", tabindex: "0", role: "region" });
    this.details = h("details", { class: "plot-table" }, h("summary", {}, "Show as table"), this.table);
    this.download = h("button", { type: "button", class: "button quiet small" }, "Download CSV");
    this.download.addEventListener("click", () => saveCsv(this.content));
    this.replaceChildren(
      h(
        "figure",
        { class: "plot" },
        this.caption,
        this.area,
        this.sentence,
        h("div", { class: "plot-tools" }, this.details, this.download),
      ),
    );
  }

  set content(content) {
    this.current = content;
    if (!this.built) this.build();
    this.caption.textContent = content.title || "";
    this.caption.hidden = !content.title;
    this.sentence.textContent = content.sentence;
    this.table.setAttribute("aria-label", `Table: ${content.title || content.sentence}`);
    this.table.replaceChildren(dataTable(content.columns, content.rows));
    this.drawnWidth = 0;
    this.draw();
  }

  get content() {
    return this.current;
  }

  /** Draws at the present width; a width that did not change draws nothing (else resizing would never settle). */
  draw() {
    const width = Math.floor(this.area?.clientWidth || 0);
    if (!this.current || width < 40 || width === this.drawnWidth) return;
    this.drawnWidth = width;
    this.area.replaceChildren(this.current.draw(width));
  }
}

/** A plain table; cells are texts, numbers are set right. */
export function dataTable(columns, rows, caption) {
  const cell = (value, index) =>
    index === 0
      ? h("th", { scope: "row" }, String(value))
      : h("td", { class: isNumber(value) ? "number" : "" }, value instanceof Node ? value : String(value ?? "–"));
  return h(
    "table",
    { class: "data" },
    caption ? h("caption", {}, caption) : null,
    h("thead", {}, h("tr", {}, ...columns.map((name, index) => h("th", { scope: "col", class: index ? "number" : "" }, name)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map(cell)))),
  );
}

function isNumber(value) {
  return typeof value === "number" || /^[–\-+]?[\d.,]+( %)?( |$)/.test(String(value ?? "–"));
}

/** Rows as RFC 4180 text. Cells that a spreadsheet would run as a formula get a leading apostrophe. */
export function csvText(columns, rows) {
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value instanceof Node ? value.textContent : value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text))) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Offers rows as a file. `csvColumns`/`csvRows` win over the shown ones where a plot gives full precision. */
export function saveCsv({ columns, rows, csvColumns, csvRows, file }) {
  saveFile(new Blob([csvText(csvColumns || columns, csvRows || rows)], { type: "text/csv;charset=utf-8" }), `${file}.csv`);
}

/** Hands a blob to the browser's download. */
export function saveFile(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

if (!customElements.get("ps-plot")) customElements.define("ps-plot", PlotFigure);
