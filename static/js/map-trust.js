/** Whether maps are to be trusted: each against random maps as smooth, the model against guessing, and random weights. */

import { chip, count, h, percent } from "./core.js";
import { curves, forest } from "./figures.js";
import { fileName } from "./plot.js";

const STATES = {
  follows: ["good", "✓ Follows the model"],
  "cannot tell": ["warn", "? Cannot tell"],
  "worse than random": ["bad", "✕ Worse than random"],
  "not tested": ["", "Not tested"],
};

const HOW =
  "Squares of a quarter of the picture's side are hidden all over it, one at a time, behind a wide blur of the rest. A map's " +
  "drop is the mean over squares on the 2, 5 and 10 % of patches that it marks most. Random maps are the map itself, moved, " +
  "turned and mirrored: exactly as smooth. p is the part of them, the map among them, that do at least as much.";

/** The card of all tested maps, or null where no map was tested; those that can be chosen are folded. */
export function trustCard({ trust, image }) {
  if (!trust?.verdict) return null;
  if (!trust.maps || !trust.others) return olderCard(trust);
  return h(
    "div",
    { class: "ps-card" },
    h("h3", {}, "How far to trust the maps"),
    ...trust.maps.map(tested),
    modelLines(trust),
    ...figures(trust.maps, image, "shown"),
    h("p", { class: "ps-hint" }, HOW),
    others(trust.others, image),
  );
}

function others(maps, image) {
  if (!maps.length) return null;
  return h(
    "details",
    { class: "ps-unfold" },
    h("summary", {}, `The same tests of ${count(maps.length, "other map")}`),
    ...maps.map(tested),
    ...figures(maps, image, "others"),
  );
}

function olderCard(trust) {
  const note = "Tested by older rules. Show the map anew for a test with a p-value.";
  return h(
    "div",
    { class: "ps-card" },
    h("h3", {}, "How far to trust the map"),
    h("p", {}, trust.verdict),
    h("p", { class: "ps-hint" }, note),
  );
}

function tested(map) {
  const [tone, words] = STATES[map.state] ?? ["", map.state];
  const p = map.state === "worse than random" ? map.p_worse : map.p;
  const bad = map.state === "worse than random";
  return h(
    "div",
    { class: "ps-stack-s" },
    h(
      "div",
      { class: "ps-row" },
      chip(words, `${tone} ps-self-start`),
      h("strong", {}, map.title),
      Number.isFinite(p) ? h("span", { class: "ps-soft" }, p < 0.01 ? "p < 0.01" : `p = ${p.toFixed(2)}`) : null,
    ),
    h("p", { class: bad ? "ps-notice ps-notice-bad" : "" }, map.sentence),
  );
}

/** What the model is worth, and whether it is right here: a map of a wrong answer explains the mistake. */
function modelLines({ model, true_class: truth, right }) {
  const here =
    right === null || right === undefined
      ? "The true class of this image is not known."
      : right
        ? `The true class is '${truth}': the model is right here.`
        : `The true class is '${truth}': the model is wrong here, so its maps show where the mistake comes from.`;
  const tone = model?.above_chance === false ? "ps-notice ps-notice-warn" : "";
  return h("p", { class: tone }, `${model?.sentence ?? ""} ${here}`);
}

function figures(maps, image, which) {
  const known = maps.filter((map) => Number.isFinite(map.drop));
  if (!known.length) return [];
  return [hidingPlot(known, image, which), cascadePlot(known, image, which)].filter(Boolean).map((content) => {
    const plot = h("ps-plot");
    plot.content = content;
    return plot;
  });
}

const odds = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");

function hidingPlot(maps, image, which) {
  const ends = maps.flatMap((map) => [map.drop, map.random_low, map.random_high, 0]);
  const [first] = maps;
  return {
    title: "Drop of the class's log-odds when squares on marked patches are hidden",
    sentence: `${first.title}: ${odds(first.drop)} on average; nine in ten random maps between ${odds(first.random_low)} and ${odds(first.random_high)}.`,
    figure: forest({
      low: Math.min(...ends),
      high: Math.max(...ends) * 1.05 || 1,
      lines: [{ value: 0, name: "" }],
      title: "log-odds",
      format: odds,
      rows: maps.flatMap((map) => [
        { label: map.title, note: odds(map.drop), mean: map.drop },
        { label: "random maps", note: odds(map.random_drop), mean: map.random_drop, low: map.random_low, high: map.random_high },
      ]),
    }),
    columns: ["Map", "Class", "State", "p", "Drop", ...first.steps.map((step) => `At its ${percent(step.fraction, 0)}`), "Random maps", "5 %", "95 %"],
    rows: maps.map((map) => [
      map.title,
      map.class,
      map.state,
      map.p.toFixed(3),
      odds(map.drop),
      ...map.steps.map((step) => odds(step.drop)),
      odds(map.random_drop),
      odds(map.random_low),
      odds(map.random_high),
    ]),
    csvRows: maps.map((map) => [
      map.title,
      map.class,
      map.state,
      map.p,
      map.drop,
      ...map.steps.map((step) => step.drop),
      map.random_drop,
      map.random_low,
      map.random_high,
    ]),
    file: fileName("hiding", which, image || "image"),
  };
}

function cascadePlot(maps, image, which) {
  const drawn = maps.filter((map) => map.randomised?.some((row) => Number.isFinite(row.correlation)));
  if (!drawn.length) return null;
  const [first] = drawn;
  const last = first.randomised.at(-1);
  const rows = drawn.flatMap((map) =>
    map.randomised.map((row) => [map.title, row.blocks, row.correlation, row.low, row.high]),
  );
  return {
    title: "How alike maps stay when blocks of the tower become random",
    sentence: `With all ${last.of} blocks random, '${first.title}' and its own map have a |rank correlation| of ${odds(last.correlation)} (mean of ${last.seeds} seeds; 1 is no change).`,
    figure: curves({
      x: { title: "random blocks, from the last" },
      y: { low: 0, high: 1, format: odds },
      series: drawn.map((map, at) => ({
        name: map.title,
        points: [[0, 1], ...map.randomised.map((row) => [row.blocks, row.correlation])],
        kind: at + 1,
      })),
    }),
    columns: ["Map", "Random blocks", "|Rank correlation|", "Lowest seed", "Highest seed"],
    rows: rows.map(([title, blocks, ...values]) => [title, blocks, ...values.map(odds)]),
    csvRows: rows,
    file: fileName("random-weights", which, image || "image"),
  };
}
