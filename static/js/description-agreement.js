// The Agreement view: how far readers agree, who caught planted sentences, and a paragraph for a paper.
import { PsElement, announce, busy, button, chip, count, define, duration, empty, errorNotice, fill, h, percent, table } from "./core.js";

const MOST_LINKS = 30;

const number = (value) => (Number.isFinite(value) ? value.toFixed(2).replace("-", "−") : "not defined");
const within = (value, low, high) => (Number.isFinite(low) && Number.isFinite(high) ? `${number(value)} (${number(low)} to ${number(high)})` : number(value));
const share = (value) => (Number.isFinite(value) ? percent(value) : "not defined");

class DescriptionAgreement extends PsElement {
  async start() {
    this.show(busy("Comparing readers…"));
    const [found, written] = await Promise.all([this.desk.get("/agreement"), this.#methods()]);
    this.show(h("div", { class: "ps-stack" },
      this.#readers(found.readers, found.catch),
      found.pairs.length ? found.pairs.map((pair, place) => this.#pair(pair, `ps-pair-${place}`)) : this.#alone(found.readers.length),
      several(found.several),
      written && this.#written(written)));
  }

  #readers(readers, caught) {
    if (!readers.length) return null;
    const times = new Map(this.desk.summary.readers.map((row) => [row.reader, row.median_seconds]));
    const catches = new Map(caught.map((row) => [row.reader, row]));
    return h("section", { class: "ps-card", "aria-labelledby": "ps-readers-title" },
      h("h3", { id: "ps-readers-title" }, "Readers"),
      table("What each reader decided; planted sentences are wrong on purpose and counted in the last column only", [
        { title: "Reader", cell: (row) => h("span", { class: "ps-break" }, row.reader) },
        { title: "Decided", cell: (row) => String(row.decided), number: true },
        { title: "Approved", cell: (row) => String(row.approved), number: true },
        { title: "Rejected", cell: (row) => String(row.rejected), number: true },
        { title: "Flagged", cell: (row) => String(row.flagged), number: true },
        { title: "Median time", cell: (row) => duration(times.get(row.reader)) || "not known", number: true },
        { title: "As others decided", cell: (row) => (row.shared ? `${share(row.percent)} of ${row.shared}` : "nobody else yet"), number: true },
        { title: "Planted caught", cell: (row) => caughtText(catches.get(row.reader)) },
      ], readers));
  }

  #alone(n) {
    return empty(n ? "One reader so far" : "Nobody has read yet",
      "Agreement needs two readers of the same sentences. Ask a colleague to open this page and say who they are; with blind reading on, neither sees what the other decided.",
      h("div", { class: "ps-actions" }, button("Go to Review", () => this.#go("review"), "main")));
  }

  // The paragraph for a paper; the rest stands without it.
  async #methods() {
    const found = await this.desk.get("/methods-section").catch(() => null);
    return found?.text;
  }

  #go(view, sentence = null) {
    this.dispatchEvent(new CustomEvent("ps-open-view", { detail: { view, sentence } }));
  }

  #pair(pair, id) {
    return h("section", { class: "ps-card", "aria-labelledby": id },
      h("h3", { id, class: "ps-break" }, `${pair.a} and ${pair.b}`),
      h("dl", { class: "ps-numbers" },
        figure("Sentences read by both", String(pair.n)),
        figure("Agreement", shareWithin(pair)),
        figure("Cohen’s kappa", within(pair.kappa, pair.kappa_low, pair.kappa_high)),
        figure("Gwet’s AC1", within(pair.ac1, pair.ac1_low, pair.ac1_high))),
      pair.per_class?.length > 0 && h("details", { class: "ps-inline-fold" }, h("summary", {}, "Class by class"),
        table("Agreement on the sentences of each class, with 95 % bootstrap intervals", [
          { title: "Class", cell: (row) => row.class },
          { title: "Sentences", cell: (row) => String(row.n), number: true },
          { title: "Agreement", cell: (row) => share(row.percent), number: true },
          { title: "Kappa", cell: (row) => within(row.kappa, row.kappa_low, row.kappa_high), number: true },
          { title: "AC1", cell: (row) => within(row.ac1, row.ac1_low, row.ac1_high), number: true },
        ], pair.per_class)),
      this.#disagreements(pair.disagreements ?? []));
  }

  #disagreements(ids) {
    if (!ids.length) return h("p", { class: "ps-soft" }, "They agree on every sentence.");
    const list = h("ol", { class: "ps-disagreements" });
    const fold = h("details", { class: "ps-inline-fold" }, h("summary", {}, `${count(ids.length, "disagreement")}`), list);
    fold.addEventListener("toggle", () => this.#fillDisagreements(list, ids), { once: true });
    return fold;
  }

  async #fillDisagreements(list, ids) {
    fill(list, h("li", {}, busy("Loading the sentences…")));
    try {
      const rows = await Promise.all(ids.slice(0, MOST_LINKS).map((id) => this.desk.get(`/sentences/${encodeURIComponent(id)}`)));
      fill(list, rows.map((row) => h("li", {},
        h("button", { type: "button", class: "ps-queue-row", onclick: () => this.#go("review", row.id) },
          h("span", { class: "ps-break" }, row.text),
          h("span", { class: "ps-queue-facts" }, h("span", { class: "ps-hint" }, row.class),
            row.reviews.map(({ reader, decision }) => chip(`${reader}: ${decision}`, { approve: "good", reject: "bad", flag: "warn" }[decision])))))),
      ids.length > MOST_LINKS && h("li", { class: "ps-hint" }, `and ${ids.length - MOST_LINKS} more, in the queue Flagged`));
    } catch (error) {
      if (error.name !== "AbortError") fill(list, h("li", {}, errorNotice(error)));
    }
  }

  #written(text) {
    const said = h("span", { role: "status", class: "ps-soft" });
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(text);
        fill(said, "Copied.");
      } catch {
        getSelection().selectAllChildren(this.querySelector(".ps-methods-text"));
        fill(said, "Marked; press Ctrl+C to copy.");
      }
      announce(said.textContent);
    };
    return h("section", { class: "ps-card", "aria-labelledby": "ps-methods-title" },
      h("h3", { id: "ps-methods-title" }, "For the methods section of a paper"),
      h("blockquote", { class: "ps-methods-text" }, text),
      h("div", { class: "ps-actions" }, button("Copy the text", copy, "small"), said));
  }
}

const figure = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

function shareWithin({ percent: value, percent_low: low, percent_high: high }) {
  return Number.isFinite(low) ? `${share(value)} (${share(low)} to ${share(high)})` : share(value);
}

function caughtText(row) {
  if (!row?.planted_read) return "none read";
  return `${row.planted_caught} of ${row.planted_read} (${share(row.low)} to ${share(row.high)})`;
}

function several(found) {
  if (!found) return null;
  return h("section", { class: "ps-card", "aria-labelledby": "ps-several-title" },
    h("h3", { id: "ps-several-title" }, "All readers together"),
    h("dl", { class: "ps-numbers" },
      figure("Sentences read by several", String(found.n)),
      figure("Agreement", shareWithin(found)),
      figure("Krippendorff’s alpha", within(found.alpha, found.alpha_low, found.alpha_high)),
      figure("Gwet’s AC1", within(found.ac1, found.ac1_low, found.ac1_high))));
}

define("ps-description-agreement", DescriptionAgreement);
