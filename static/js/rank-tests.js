/** Ranks of an experiment's lines over its image sets: a chart, its table, and pairs. */

import { count, h } from "./core.js";
import { pText, titleOf } from "./experiment-words.js";
import { forest } from "./figures.js";
import { dataTable, fileName } from "./plot.js";

const known = (value) => value !== null && value !== undefined;

/** The ranks at one number of training images, of an answer of `/experiments/{id}`. */
export const ranksAt = (experiment, row) =>
  (experiment.rank_tests ?? []).find((each) => each.shots === row.shots && each.share === row.share);

/** Content of <ps-plot> of mean ranks with their ranges; null below five sets. */
export function rankPlot(found, titles, title) {
  if (!known(found.p)) return null;
  const lines = found.lines.map((each) => ({ ...each, name: titleOf(each.line, titles) }));
  const places = (each) => (each.best === each.worst ? `${each.best}` : `${each.best}–${each.worst}`);
  return {
    title: "Mean ranks over image sets",
    sentence: `${found.sentence} Lines whose ranges do not touch are different.`,
    figure: forest({
      rows: lines.map((each) => ({
        label: each.name,
        note: `${each.mean_rank.toFixed(2)}, ranks ${places(each)}`,
        mean: each.mean_rank,
        low: Math.max(0.5, each.low),
        high: Math.min(lines.length + 0.5, each.high),
      })),
      low: 0.5,
      high: lines.length + 0.5,
      title: "mean rank (1 is best)",
      format: (value) => (Number.isInteger(value) ? String(value) : ""),
    }),
    columns: ["Line", "Mean rank", "Range from", "Range to", "Ranks it can have"],
    rows: lines.map((each) => [
      each.name,
      ...[each.mean_rank, each.low, each.high].map((value) => value.toFixed(2)),
      places(each),
    ]),
    csvRows: lines.map((each) => [each.name, each.mean_rank, each.low, each.high, places(each)]),
    file: fileName(title, "mean-ranks"),
  };
}

/** What stands below the chart: why nothing is tested, mean ranks then, and pairs of lines from six sets on. */
export function rankNodes(found, titles) {
  const name = (line) => titleOf(line, titles);
  const untested = !known(found.p) && found.lines.length > 0;
  const pairs = found.pairs.map((each) => [
    `${name(each.first)} and ${name(each.second)}`,
    `${each.mean > 0 ? "+" : ""}${(100 * each.mean).toFixed(1)}`,
    pText(each.p),
    pText(each.p_holm),
  ]);
  return [
    !known(found.p) && h("p", {}, found.sentence),
    untested &&
      h(
        "p",
        { class: "ps-hint" },
        `Mean ranks, not tested: ${found.lines.map((each) => `${name(each.line)} ${each.mean_rank.toFixed(2)}`).join(", ")}.`,
      ),
    pairs.length > 0 &&
      h(
        "details",
        { class: "ps-unfold" },
        h("summary", {}, `${count(pairs.length, "pair")} of lines, by Wilcoxon's exact test over data sets`),
        dataTable(["Lines", "Difference in points", "p", "p (Holm)"], pairs, "Pairs of lines over data sets"),
      ),
    found.pairs_sentence && known(found.p) && h("p", { class: "ps-hint" }, found.pairs_sentence),
  ].filter(Boolean);
}
