/** Words of experiments: protocols, amounts of training images, states of cells, and what may be said of a row. */

import { chip, count, duration, percent } from "./core.js";

/** A time that may be far below a second; a dash where it is not known. */
export function tookText(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  return seconds > 0 && seconds < 1 ? `${Number(seconds.toPrecision(1))} s` : duration(seconds);
}

export const RESEARCH_USE = "Research use only. Not for use in diagnostic procedures.";

/** Each protocol with one plain sentence. */
export const PROTOCOLS = [
  ["few-shot", "Few-shot", "Train on a few images of each class, test on all test images."],
  [
    "base-to-novel",
    "Base to novel",
    "Train on half of the classes, test on these and, separately, on the other half by name only.",
  ],
  ["cross-set", "Cross-set", "Train on one image set, test on others whose names the method has not seen."],
  ["full", "Share of the labels", "Train on 10, 30 and 100 % of all training images."],
  [
    "realistic",
    "Realistic",
    "Draw images as they come, rare classes rarely or not at all, and keep none to choose on.",
  ],
];

export const protocolTitle = (name) => PROTOCOLS.find(([own]) => own === name)?.[1] ?? name;
export const protocolSentence = (name) => PROTOCOLS.find(([own]) => own === name)?.[2] ?? "";

/** "4 shots", "all images" or "10 % of the labels". */
export function amountText({ shots, share }) {
  if (share !== null && share !== undefined) return `${percent(share, 0)} of the labels`;
  return shots === null || shots === undefined ? "all images" : count(shots, "shot");
}

const STATES = {
  queued: ["Waits in the queue", "info"],
  running: ["Running", "info"],
  waiting: ["Stopped before its end", "warn"],
  done: ["Done", "good"],
  failed: ["Done, but cells failed", "bad"],
};

/** The state of an experiment, {state, cells, n_cells}, as a chip. */
export function stateOf({ state, cells, n_cells: all }) {
  if (state === "failed" && cells.failed === all) return chip("All cells failed", "bad");
  return chip(...(STATES[state] ?? [state, ""]));
}

/** Mark, word and tone of a cell's state; the mark tells them apart without colours. */
export const CELL_STATES = {
  waiting: ["·", "waiting"],
  running: ["▶", "running"],
  done: ["✓", "done"],
  failed: ["✕", "failed"],
};

/** "12 of 45 cells done, 1 running, 2 failed". */
export function progressText(cells, total) {
  const more = ["running", "failed", "waiting"]
    .filter((state) => cells[state])
    .map((state) => `${cells[state]} ${state}`);
  return `${cells.done} of ${count(total, "cell")} done${more.length ? `, ${more.join(", ")}` : ""}`;
}

/** What may be said of a row against the two lines it has to beat; nothing where it was not compared. */
export function betterWords(row) {
  if (row.role || row.beats === null || row.beats === undefined) return "";
  return row.beats ? "Better than both baselines" : "Not shown to be better";
}

/** A difference in points, with its sign; none where it rounds to nothing. */
export function points(value) {
  const text = (100 * value).toFixed(1);
  return Number(text) === 0 ? "0.0" : `${value > 0 ? "+" : ""}${text}`;
}

/** "+4.2 points (1.0 to 7.4), p 0.012 (Holm)" of a difference, or why there is none. */
export function differenceText(difference) {
  if (!difference) return "";
  if (difference.low === null)
    return `${points(difference.mean)} points, no interval${difference.why ? `: ${difference.why}` : ""}`;
  const p = difference.p_holm ?? difference.p;
  const tested = p === null || p === undefined ? "" : `, p ${pText(p)}${difference.p_holm === null ? "" : " (Holm)"}`;
  return `${points(difference.mean)} points (${points(difference.low)} to ${points(difference.high)})${tested}`;
}

export const pText = (p) => (p < 0.001 ? "< 0.001" : p.toFixed(3));

/** What people call a line. titles: by the label of the plan; a row may add in brackets in what it differs. */
export function titleOf(line, titles = {}) {
  const label = Object.keys(titles)
    .filter((known) => line === known || line.startsWith(`${known} (`))
    .sort((a, b) => b.length - a.length)[0];
  return label === undefined ? line : `${titles[label]}${line.slice(label.length)}`;
}

/** The ranked number in words: of base-to-novel the harmonic mean of both halves. */
export const rankedTitle = (metric, protocol) =>
  protocol === "base-to-novel" ? `Harmonic mean of ${metric.title.toLowerCase()}` : metric.title;
