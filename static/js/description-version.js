// One version in full: its sentences as they stood, who wrote them, and the runs that were trained on it.
import { chip, count, h, moment } from "./core.js";
import { reasonWord, stateChip } from "./description-words.js";
import { linkTo } from "./follow.js";

// found: an answer of /description-sets/{id}/versions/{version}.
export function versionInFull(found) {
  const { version, sentences, signed_by: signed } = found;
  const classes = [...new Set(sentences.map((row) => row.class))];
  return h("div", { class: "ps-stack-s" },
    h("h4", { tabindex: "-1" }, `Version ${version}`),
    h("p", { class: "ps-row" }, h("span", { class: "ps-break" }, `${count(sentences.length, "sentence")}, saved by ${found.author || "nobody named"}`), moment(found.created_at),
      signed && chip(`Signed by ${signed}`, "good")),
    found.note && h("p", { class: "ps-break ps-soft" }, found.note),
    trainedOn(found),
    classes.map((name) => ofClass(name, sentences.filter((row) => row.class === name), classes.length < 2)));
}

function trainedOn({ runs, n_runs: n }) {
  if (!n) return h("p", { class: "ps-soft" }, "No run was trained on it.");
  const rest = n - runs.length;
  return h("details", { class: "ps-inline-fold", open: n < 6 }, h("summary", {}, `${count(n, "run")} trained on it`),
    h("ul", { class: "ps-notes" },
      runs.map((run) => h("li", { class: "ps-break" }, h("a", { href: linkTo("/compare", { run: run.id }) }, run.name || run.method), !run.sealed_at && " (not finished)")),
      rest > 0 && h("li", {}, `and ${rest} earlier`)));
}

function ofClass(name, rows, isOpen) {
  return h("details", { class: "ps-fold", open: isOpen }, h("summary", { class: "ps-break" }, `${name} (${rows.length})`),
    h("ol", { class: "ps-history" }, rows.map((row) => h("li", {},
      h("span", { class: "ps-break" }, row.text), " ",
      h("span", { class: "ps-row" }, row.state && stateChip(row.state), row.author && h("span", { class: "ps-hint ps-break" }, `by ${row.author}`),
        row.reason && h("span", { class: "ps-hint ps-break" }, reasonWord(row.reason)))))));
}
