/**
 * <ps-answers>: what one or several runs answered: confusion matrix, classes and reliability.
 *
 * Set `ask` = {runs: [id], parts: [name], name}. Counts of several seeds are summed. Each cell of the confusion matrix that
 * counts something is a button that opens its images.
 */

import { api, busy, button, count, define, errorNotice, field, h, percent, probability, PsElement } from "./core.js";
import { shorten } from "./charts.js";
import { colourAt, cssColour, inkOn } from "./colour-maps.js";
import { reliability } from "./experiment-charts.js";
import { uid } from "./follow.js";
import { arrange } from "./keep-place.js";
import { focusPager, pager } from "./pager.js";
import { dataTable, fileName, saveCsv } from "./plot.js";

const PER_PAGE = 48;

class Answers extends PsElement {
  set ask(ask) {
    const what = ({ name, parts }) => JSON.stringify([name, parts]);
    const grown = this.body && what(ask) === what(this.asked);
    this.asked = ask;
    if (!this.isConnected) return;
    if (grown) this.load(this.measuredOn, true);
    else this.start();
  }

  start() {
    if (!this.asked) return;
    const { parts } = this.asked;
    this.body = h("div", { class: "ps-stack" });
    const measured = parts.filter((part) => !part.startsWith("mean of") && !/^H[12],/.test(part));
    const select =
      measured.length > 1 &&
      h(
        "select",
        {},
        measured.map((part) => h("option", { value: part }, part)),
      );
    if (select) select.addEventListener("change", () => this.load(select.value));
    this.show(h("div", { class: "ps-stack" }, select && field("Measured on", select), this.body));
    this.load(measured[0]);
  }

  /** quietly: what stands there stays until the new counts have come. */
  async load(part, quietly = false) {
    const asked = this.asked;
    this.measuredOn = part;
    if (!quietly) this.body.replaceChildren(busy("Counting answers …"));
    try {
      const summary = await api.get(`/runs/summary?${this.query(part)}`, { signal: this.signal });
      if (asked === this.asked && part === this.measuredOn) this.draw(summary);
    } catch (error) {
      if (error.name !== "AbortError") this.body.replaceChildren(errorNotice(error, () => this.load(part)));
    }
  }

  query(part, more = {}) {
    const asked = new URLSearchParams(more);
    for (const run of this.asked.runs) asked.append("run", run);
    if (part) asked.set("part", part);
    return asked;
  }

  draw(summary) {
    const plot = reliability(summary, this.asked.name);
    const chart = (old) => {
      const node = old ?? h("ps-plot", {});
      node.content = { ...plot, cautions: this.asked.cautions };
      return node;
    };
    const counts = () =>
      h(
        "div",
        { class: "ps-pair" },
        h("div", { class: "ps-stack-s" }, this.confusion(summary)),
        h("div", { class: "ps-stack-s" }, perClass(summary, this.asked)),
      );
    arrange(this.body, [
      { key: "counts", told: [summary, this.asked], make: counts },
      ...(plot ? [{ key: "chart", told: plot, make: chart }] : []),
    ]);
  }

  /** Counts by true class (rows) and answer (columns): the shade is the share of its row, the number says the count. */
  confusion(summary) {
    const { classes, confusion } = summary;
    const seeds = summary.n_runs > 1 ? ` Summed over ${count(summary.n_runs, "seed")}.` : "";
    const hint = `Rows: true class. Columns: what the model said. Brighter: a larger share of the row. Outlined: correct. Press a number to see its images.${seeds}`;
    const columns = ["True class", ...classes];
    const cell = (value, row, at, to) => {
      const place = 0.08 + (0.92 * value) / (row.reduce((sum, one) => sum + one, 0) || 1);
      const style = { background: cssColour("cividis", place), color: inkOn(colourAt("cividis", place)) };
      const mark = `ps-cell ${at === to ? "ps-cell-right" : ""}`;
      if (!value) return h("td", { class: mark, style }, "0");
      const open = button(String(value), () => this.open(classes[at], classes[to], value), "quiet");
      open.setAttribute("aria-label", `${classes[at]} called ${classes[to]}: ${value}. Show the images`);
      return h("td", { class: mark, style }, open);
    };
    const wrong = confusion
      .flatMap((row, at) => row.map((value, to) => ({ value, from: classes[at], to: classes[to], same: at === to })))
      .filter((one) => !one.same && one.value)
      .sort((a, b) => b.value - a.value)[0];
    const sentence = wrong
      ? `Most common mistake: '${wrong.from}' taken for '${wrong.to}', ${count(wrong.value, "answer")}.`
      : "No test image was misclassified.";
    const head = columns.map((name, at) =>
      h("th", { scope: "col", class: at ? "ps-cell" : "" }, at ? shorten(name, 40) : name),
    );
    const line = (row, at) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, classes[at]),
        row.map((value, to) => cell(value, row, at, to)),
      );
    const csv = {
      columns,
      rows: confusion.map((row, at) => [classes[at], ...row]),
      file: fileName(this.asked.name, "confusion"),
      cautions: this.asked.cautions,
    };
    return [
      h("h3", {}, "Confusion matrix"),
      h("small", { class: "ps-hint" }, hint),
      h(
        "div",
        { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": "Confusion matrix" },
        h(
          "table",
          { class: "ps-table ps-confusion" },
          h("thead", {}, h("tr", {}, head)),
          h("tbody", {}, confusion.map(line)),
        ),
      ),
      h("p", {}, sentence),
      button("Download CSV", () => saveCsv(csv), "quiet ps-button-small ps-self-start"),
    ];
  }

  open(label, predicted, answers) {
    new Images((offset) =>
      api.get(`/runs/predictions?${this.query(this.measuredOn, { label, predicted, limit: PER_PAGE, offset })}`, {
        signal: this.signal,
      }),
    ).show(label, predicted, answers, this.asked.runs.length);
  }
}

/** A dialog with the images behind one number. */
class Images {
  constructor(ask) {
    this.ask = ask;
  }

  show(label, predicted, answers, runs) {
    this.runs = runs;
    const title = uid("images");
    const words = label === predicted ? `'${label}', recognised` : `'${label}' taken for '${predicted}'`;
    this.wall = h("div", { class: "ps-stack-s" }, busy("Loading images …"));
    this.dialog = h(
      "dialog",
      { class: "ps-dialog ps-images-dialog", "aria-labelledby": title },
      // first, so that it has the focus in sight: below the images it would lie outside the window
      h(
        "header",
        { class: "ps-dialog-head" },
        h("h2", { id: title }, words),
        button("Close", () => this.dialog.close(), "small"),
      ),
      h("p", { class: "ps-soft" }, `${count(answers, "answer")}${runs > 1 ? ` of ${count(runs, "run")}` : ""}.`),
      this.wall,
    );
    this.dialog.addEventListener("close", () => this.dialog.remove());
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.go(0);
  }

  async go(offset, focus) {
    try {
      const page = await this.ask(offset);
      if (!this.dialog.isConnected) return;
      this.wall.replaceChildren(
        h(
          "ul",
          { class: "ps-wall" },
          page.items.map((row) => h("li", {}, this.tile(row))),
        ),
        ...[
          pager(
            "Pages of images",
            ["image"],
            { offset, shown: page.items.length, total: page.total, perPage: PER_PAGE },
            (to, name) => this.go(to, name),
          ),
        ].filter(Boolean),
      );
      focusPager(this.wall, focus);
    } catch (error) {
      if (error.name !== "AbortError") this.wall.replaceChildren(errorNotice(error, () => this.go(offset)));
    }
  }

  tile(row) {
    const address = (size) => `/api/v1/images/${encodeURIComponent(row.image_id)}/thumbnail?size_px=${size}`;
    const picture = row.image_id
      ? h(
          "a",
          { href: address(1024), target: "_blank", "aria-label": `${row.file}, large` },
          h("img", { src: address(240), alt: "", loading: "lazy", width: 160, height: 160 }),
        )
      : h("p", { class: "ps-soft" }, "The image was deleted.");
    const times = this.runs > 1 ? `${row.n_runs} of ${this.runs} runs, ` : "";
    return h(
      "div",
      { class: "ps-stack-s ps-answer" },
      picture,
      h("span", { class: "ps-break" }, row.file),
      h("span", { class: "ps-hint" }, `${times}stated ${probability(row.probability, 0)}`),
    );
  }
}

function perClass({ per_class: rows, n_runs: runs }, { name, cautions }) {
  const share = (value) => (Number.isFinite(value) ? percent(value) : "–");
  const columns = ["Class", "Test images", "Recall", "Precision", "F1", "AUROC"];
  const shown = rows.map((row) => [
    row.class,
    row.n,
    share(row.recall),
    share(row.precision),
    share(row.f1),
    Number.isFinite(row.auroc) ? row.auroc.toFixed(3) : "–",
  ]);
  const csvRows = rows.map((row) => [row.class, row.n, row.recall, row.precision, row.f1, row.auroc]);
  const hint = `Recall: share of the class that was found. Precision: share of answers with this class that were right.${runs > 1 ? ` Means of ${count(runs, "seed")}.` : ""}`;
  return [
    h("h3", {}, "Per class"),
    h(
      "div",
      { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": "Per class" },
      dataTable(columns, shown, hint),
    ),
    button(
      "Download CSV",
      () => saveCsv({ columns, rows: shown, csvRows, file: fileName(name, "per-class"), cautions }),
      "quiet ps-button-small ps-self-start",
    ),
  ];
}

define("ps-answers", Answers);
