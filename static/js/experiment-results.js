/**
 * <ps-experiment-results>: what an experiment found, one image set and one number of training images at a time.
 *
 * Set `experiment` = an answer of `/experiments/{id}`; setting it again redraws in place, and only what has changed. The
 * choice stands in the address (`?set=`, `?amount=`, `?line=`). Nothing is averaged or tested here: the server's rows say
 * what may be said.
 */

import {
  api,
  busy,
  button,
  chip,
  count,
  define,
  errorNotice,
  field,
  h,
  param,
  PsElement,
  setParam,
} from "./core.js";
import { descriptionUse } from "./description-use.js";
import { baseAndNovel, costs, growth, leaderboard, ranked, ranks, rowsAsCsv } from "./experiment-charts.js";
import {
  amountText,
  betterWords,
  differenceText,
  points,
  protocolSentence,
  protocolTitle,
  pText,
  rankedTitle,
  RESEARCH_USE,
  titleOf,
  tookText,
} from "./experiment-words.js";
import { colourAt, cssColour, inkOn } from "./colour-maps.js";
import { cautionsOf, knownLine, leakageChip, worstLeakage } from "./honesty-words.js";
import { arrange, replaceKept } from "./keep-place.js";
import { METRICS, gflopsText, metricOf, metricText } from "./metric-words.js";
import { saveCsv } from "./plot.js";
import { publishedTable } from "./published.js";
import { rankNodes, rankPlot, ranksAt } from "./rank-tests.js";
import "./answers.js";

const MEAN = "mean over sets";
const FEW_NOTES = 1;

const setName = (row) => row.image_set ?? MEAN;

class ExperimentResults extends PsElement {
  set experiment(experiment) {
    const empty = experiment.rows.length ? null : [experiment.state, experiment.cells];
    const told = JSON.stringify([experiment.rows, experiment.rank_tests, empty]);
    const same = told === this.told;
    this.told = told;
    const rows = experiment.rows.map((row) => ({ ...row, line: titleOf(row.line, experiment.titles) }));
    this.current = { ...experiment, rows };
    // one kind of line and mark a name, in every chart; baselines come last, so that the methods are the first kinds
    const order = [...rows.filter((row) => !row.role), ...rows.filter((row) => row.role)].map((row) => row.line);
    this.kinds = new Map([...new Set(order)].map((line, at) => [line, at + 1]));
    if (this.isConnected && !same) this.start();
  }

  start() {
    if (!this.current) return;
    const { rows } = this.current;
    if (!rows.length)
      return this.show(h("p", { class: "ps-soft" }, nothingYet(this.current)));
    this.metric = metricOf(rows[0].metric) ?? METRICS[1];
    this.sets = [...new Set(rows.map(setName))];
    this.set = this.sets.includes(param("set")) ? param("set") : this.sets[0];
    this.chooseAmount(param("amount"));
    if (!this.body) {
      this.body = h("div", { class: "ps-stack" });
      this.choosers = h("div", { class: "ps-option-grid" });
      this.cards = new Map();
    }
    if (!this.contains(this.body)) this.show(h("div", { class: "ps-stack" }, this.choosers, this.body));
    this.draw();
  }

  /** Keeps what was asked for, or else the largest number of training images there is. */
  chooseAmount(asked) {
    const known = this.amounts();
    this.amount = known.includes(asked) ? asked : known.at(-1);
  }

  amounts() {
    const own = this.current.rows.filter((row) => setName(row) === this.set);
    const size = (row) => row.share ?? row.shots ?? Infinity;
    return [...new Set([...own].sort((a, b) => size(a) - size(b)).map(amountText))];
  }

  ofSet() {
    return this.current.rows.filter((row) => setName(row) === this.set);
  }

  get place() {
    return ranked(
      this.ofSet().filter((row) => amountText(row) === this.amount),
      this.metric,
    );
  }

  drawChoosers() {
    const choice = (key, words, values, value, act) => ({
      key,
      told: [values, value],
      make: () => {
        const select = h(
          "select",
          {},
          values.map((each) => h("option", { value: each }, each)),
        );
        select.value = value;
        select.addEventListener("change", () => {
          act(select.value);
          this.choosers.querySelector(`[data-choice="${key}"]`)?.focus();
        });
        select.dataset.choice = key;
        return field(words, select);
      },
    });
    const amounts = this.amounts();
    const parts = [
      this.sets.length > 1 &&
        choice("set", "Image set", this.sets, this.set, (value) => {
          this.set = value;
          setParam("set", value);
          this.chooseAmount(this.amount);
          this.draw();
        }),
      amounts.length > 1 &&
        choice("amount", "Training images per class", amounts, this.amount, (value) => {
          this.amount = value;
          setParam("amount", value);
          this.draw();
        }),
    ].filter(Boolean);
    arrange(this.choosers, parts);
    this.choosers.hidden = !parts.length;
  }

  draw() {
    this.drawChoosers();
    const rows = this.place;
    const ofSet = `${this.current.name} ${this.set}`;
    const title = `${this.current.name}, ${this.set}, ${this.amount}`;
    const cards = [
      ["leaderboard", this.leaderboardParts(rows, title)],
      ["growth", this.chartParts("More training images", growth(this.ofSet(), this.metric, ofSet, this.kinds), this.ofSet())],
      ["halves", this.chartParts("Classes that were not trained on", baseAndNovel(rows, this.metric, title), rows)],
      ["matrix", this.matrixParts(rows, title)],
      ["ranks", this.ranksParts(rows, title)],
      ["details", this.detailsParts(rows)],
      ["costs", this.chartParts("What it costs", costs(rows, this.metric, title, this.kinds), rows)],
    ].filter(([, parts]) => parts);
    for (const [key, parts] of cards) {
      if (!this.cards.has(key)) this.cards.set(key, h("section", { class: "ps-card" }));
      arrange(this.cards.get(key), parts);
    }
    arrange(this.body, [
      ...cards.map(([key]) => ({ key, told: "", make: () => this.cards.get(key) })),
      still("use", h("p", { class: "ps-hint" }, RESEARCH_USE)),
    ]);
  }

  chartParts(words, content, rows) {
    return content && [heading(words), plotPart("figure", content, rows)];
  }

  // the leaderboard ---------------------------------------------------------------------------------------------

  leaderboardParts(rows, title) {
    const { protocol, titles } = this.current;
    const asCsv = () => saveCsv(rowsAsCsv(this.current, this.place));
    const allAsCsv = () => saveCsv(rowsAsCsv(this.current, this.current.rows));
    return [
      heading(`${this.set}, ${this.amount}`),
      still("protocol", h("p", { class: "ps-soft" }, `${protocolTitle(protocol)}: ${protocolSentence(protocol)}`)),
      ...warningsOf(rows).map((line, at) => still(`warning ${at}`, line)),
      still("verdict", h("p", {}, verdict(rows, this.metric, protocol))),
      plotPart("figure", leaderboard(rows, this.metric, title, protocol), rows),
      { key: "table", told: [rows, titles, title], make: () => this.table(rows, title) },
      rows.some((row) => row.deviations?.[this.metric.name] !== null) && still("spread", h("p", { class: "ps-hint" }, SPREAD)),
      {
        key: "downloads",
        told: "",
        make: () =>
          h(
            "div",
            { class: "ps-actions" },
            button("Download these rows (CSV)", asCsv, "small"),
            button("Download all rows (CSV)", allAsCsv, "small"),
          ),
      },
      { key: "published", told: [rows, title], make: () => publishedTable(rows, (row) => row.line, title) },
    ].filter(Boolean);
  }

  table(rows, title) {
    const others = METRICS.filter((metric) => metric !== this.metric);
    const only = this.current.protocol === "base-to-novel" ? ", base classes" : "";
    const columns = [
      ["Line", null],
      [rankedTitle(this.metric, this.current.protocol), (row) => withInterval(this.metric, row)],
      [
        rows.some((row) => row.difference)
          ? `Against ${titleOf(rows.find((row) => row.difference).difference.against, this.current.titles)}`
          : "Difference",
        (row) => againstText(row),
      ],
      [
        "Ranks",
        (row) => (row.rank ? (row.rank[0] === row.rank[1] ? row.rank[0] : `${row.rank[0]}–${row.rank[1]}`) : "–"),
      ],
      ...others.map((metric) => [`${metric.title}${only}`, (row) => withSpread(metric, row)]),
      ["Update steps", (row) => whole(row.steps)],
      ["Image passes", (row) => whole(row.image_passes)],
      ["Images used to choose", (row) => whole(row.labelled_to_choose)],
      ["Learned numbers", (row) => whole(row.trainable_parameters)],
      ["GFLOPs per image", (row) => gflopsText(row.gflops_per_image)],
      rows.some((row) => row.unlabelled_images) && ["Unlabelled images read", (row) => whole(row.unlabelled_images)],
      ["Training", (row) => tookText(row.training_seconds)],
      ["Shared features", (row) => tookText(row.feature_seconds)],
      ["In all", (row) => tookText(row.seconds)],
      ["Peak memory", (row) => (Number.isFinite(row.peak_mb) ? `${Math.round(row.peak_mb)} MB` : "–")],
      ["Precision", (row) => row.precision ?? "–"],
    ].filter(Boolean);
    return h(
      "div",
      { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": `Table of ${title}` },
      h(
        "table",
        { class: "ps-table ps-compare ps-leaderboard" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map(([name], at) => h("th", { scope: "col", class: at ? "ps-number" : "" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map((row) =>
            h(
              "tr",
              { class: row.role === "baseline" ? "ps-baseline" : "" },
              h("th", { scope: "row" }, rowHead(row)),
              columns.slice(1).map(([, cell]) => h("td", { class: "ps-number" }, cell(row))),
            ),
          ),
        ),
      ),
    );
  }

  // pairs -------------------------------------------------------------------------------------------------------

  matrixParts(rows, title) {
    const compared = rows.filter((row) => row.rank);
    if (compared.length < 2) return null;
    return [
      heading("Each line against each other"),
      {
        key: "pairs",
        told: [rows, title],
        make: (old) => {
          const place = old ?? h("div", { class: "ps-stack-s" }, busy("Comparing each line with each other …"));
          this.fillMatrix(place, rows);
          return place;
        },
      },
      plotPart("figure", ranks(rows, this.metric, title), rows),
    ].filter(Boolean);
  }

  async fillMatrix(place, rows) {
    const [row] = rows;
    const asked = new URLSearchParams();
    if (row.image_set) asked.set("image_set", row.image_set);
    if (row.share !== null && row.share !== undefined) asked.set("share", row.share);
    else asked.set("shots", row.shots ?? "all");
    const { id, name } = this.current;
    const turn = (this.matrixAsked = asked.toString());
    try {
      const answer = await api.get(`/experiments/${encodeURIComponent(id)}/matrix?${asked}`, { signal: this.signal });
      if (turn !== this.matrixAsked) return;
      const title = `${name}, ${this.set}, ${this.amount}`;
      replaceKept(place, ...matrixTable(answer, title, this.current, cautionsOf(rows)));
    } catch (error) {
      if (error.name !== "AbortError") place.replaceChildren(errorNotice(error, () => this.fillMatrix(place, rows)));
    }
  }

  /** Ranks count image sets, so they are the same whichever set is chosen. */
  ranksParts(rows, title) {
    const found = rows.length > 1 && ranksAt(this.current, rows[0]);
    if (!found) return null;
    const { titles } = this.current;
    return [
      heading("Ranks over image sets"),
      plotPart("figure", rankPlot(found, titles, title), this.current.rows),
      { key: "tests", told: [found, titles], make: () => h("div", { class: "ps-stack-s" }, rankNodes(found, titles)) },
    ].filter(Boolean);
  }

  // one line in detail ------------------------------------------------------------------------------------------

  detailsParts(rows) {
    const known = rows.filter((row) => row.runs?.some(Boolean));
    if (!known.length) return null;
    const lines = known.map((row) => row.line);
    // the line that is read stays, though another one may lead by now
    const table = [this.current.id, this.set, this.amount].join("\n");
    const read = param("line") ?? (this.read?.table === table ? this.read.line : null);
    const row = known.find((each) => each.line === read) ?? known[0];
    this.read = { table, line: row.line };
    const ask = {
      runs: row.runs.filter(Boolean),
      parts: Object.keys(row.parts ?? {}),
      name: `${this.current.name}, ${row.line}, ${this.set}, ${this.amount}`,
      cautions: cautionsOf([row]),
    };
    const choose = () => {
      const select = h(
        "select",
        {},
        lines.map((line) => h("option", { value: line }, line)),
      );
      select.value = row.line;
      select.addEventListener("change", () => {
        setParam("line", select.value);
        this.draw();
      });
      return field("Line", select);
    };
    const answers = (old) => {
      const node = old ?? h("ps-answers");
      node.ask = ask;
      return node;
    };
    return [
      heading("One line in detail"),
      { key: "line", told: [lines, row.line], make: choose },
      { key: "answers", told: ask, make: answers },
    ];
  }
}

/** A part of a card that is read only. */
const still = (key, node) => ({ key, told: new XMLSerializer().serializeToString(node), make: () => node });

function nothingYet({ state, cells, n_cells: all }) {
  if (cells.failed === all) return "Every cell failed, so there is nothing to compare. Its cells say why, and can be tried again.";
  if (["queued", "running"].includes(state)) return "No cell is finished yet: results appear here one by one.";
  return "No cell is finished, and nobody works on them. Start the experiment from its cells.";
}

const heading = (words) => still("heading", h("h2", {}, words));

/** A part of a card that is a chart: the same one gets what there is to draw. Nothing for no content. */
const plotPart = (key, drawn, rows) => {
  const content = drawn && { ...drawn, cautions: cautionsOf(rows) };
  return (
    content && {
      key,
      told: content,
      make: (old) => {
        const plot = old ?? h("ps-plot", {});
        plot.content = content;
        return plot;
      },
    }
  );
};

const SPREAD =
  "± is the standard deviation over these seeds, as published tables print it; what a new draw or new patients may bring is the interval.";

const lowerFirst = (text) =>
  /^[A-Z][a-z]/.test(text) && !text.startsWith("Cohen") ? text.charAt(0).toLowerCase() + text.slice(1) : text;

const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "–");

function withInterval(metric, row) {
  const scale = (value) => (metric.percent ? (100 * value).toFixed(1) : value.toFixed(3));
  const interval = Number.isFinite(row.low)
    ? h("span", { class: "ps-interval", title: row.interval }, `${scale(row.low)} to ${scale(row.high)}${aboutText(row)}`)
    : h("span", { class: "ps-interval" }, row.interval ?? "");
  return [h("span", {}, metricText(metric, row.mean), spreadText(metric, row)), interval];
}

/** The spread over seeds that stands behind a mean in published tables. */
function spreadText(metric, row) {
  const deviation = row.deviations?.[metric.name];
  if (!Number.isFinite(deviation)) return "";
  return ` ± ${metric.percent ? (100 * deviation).toFixed(1) : deviation.toFixed(3)}`;
}

const withSpread = (metric, row) => `${metricText(metric, row.metrics?.[metric.name])}${spreadText(metric, row)}`;

/** Of few patients an interval is rough, which has to be read beside it. */
const aboutText = (row) => (row.interval?.includes("(approximate)") ? ", approximate" : "");

function againstText(row) {
  if (!row.difference) return "–";
  const [points, ...rest] = differenceText(row.difference).split(/ (?=\(|no interval)/);
  return [h("span", {}, points), h("span", { class: "ps-interval" }, rest.join(" "))];
}

function rowHead(row) {
  const words = betterWords(row);
  const notes = row.notes ?? [];
  const list = (texts) =>
    h(
      "ul",
      { class: "ps-notes ps-hint" },
      texts.map((text) => h("li", {}, text)),
    );
  return [
    h(
      "span",
      { class: "ps-row-name" },
      row.line,
      row.role === "baseline" && chip("Baseline, untrained", "info"),
      row.role === "best simple" && chip("Best simple baseline", "info"),
      words && chip(words, row.beats ? "good" : ""),
      leakageChip(row.leakage),
    ),
    ...(row.description_versions ?? []).map((use) => h("small", { class: "ps-hint" }, descriptionUse(use))),
    h("small", { class: "ps-hint" }, `${count(row.n_seeds, "seed")}${row.claim ? `. Interval: ${row.claim}.` : ""}`),
    notes.length > FEW_NOTES
      ? h("details", { class: "ps-unfold" }, h("summary", {}, count(notes.length, "note")), list(notes))
      : notes.length > 0 && list(notes),
  ];
}

/** What makes all numbers of a place too good stands above it; of several counts the worst. */
function warningsOf(rows) {
  const known = [...new Set(rows.flatMap((row) => row.known_classes ?? []))];
  return [worstLeakage(rows.map((row) => row.leakage)), knownLine(known, rows[0]?.backbone)].filter(Boolean);
}

/** What may be said of all rows at once. "Better" stands only where the server says so. */
function verdict(rows, metric, protocol) {
  const best = rows.find((row) => Number.isFinite(row.mean));
  if (!best) return "Nothing could be measured here.";
  const better = rows.filter((row) => row.beats === true && !row.role).map((row) => row.line);
  const start = `${best.line} has the highest ${lowerFirst(rankedTitle(metric, protocol))} (${metricText(metric, best.mean)}).`;
  const base = rows.find((row) => row.role === "baseline");
  const simple = rows.find((row) => row.role === "best simple");
  if (rows[0].image_set === null) return `${start} Whether it is better is said for each image set by itself.`;
  if (rows.every((row) => row.beats === null || row.beats === undefined)) {
    const why =
      protocol === "base-to-novel"
        ? "Nothing is called better: no simple baseline can name new classes. The pairs below say which lines differ."
        : "Whether it is better was not tested.";
    return `${start} ${why}`;
  }
  if (!base) return `${start} Zero-shot is missing here, so nothing is said of being better.`;
  const both = simple
    ? `zero-shot and the best simple baseline (${simple.line})`
    : "zero-shot; no simple baseline was run";
  const held = rows.map((row) => row.difference).filter(Boolean);
  if (held.length && held.every((difference) => difference.low === null))
    return `${start} Nothing can be called better or worse here, since no difference has an interval: ${held[0].why}.`;
  if (!better.length)
    return `${start} No line is shown to be better than ${both}: no paired 95 % interval lies above zero.`;
  return `${start} Better than ${both}, each paired 95 % interval above zero: ${better.join(", ")}.`;
}

function titledMatrix(found, titles) {
  const pairs = found.pairs.map((pair) => ({
    ...pair,
    first: titleOf(pair.first, titles),
    second: titleOf(pair.second, titles),
  }));
  return { ...found, pairs, methods: found.methods.map((line) => titleOf(line, titles)) };
}

/** What a pair of the matrix is handed out with. */
const PAIR_FIELDS = [
  ...["first", "second", "mean", "low", "high", "p", "p_holm", "differs"],
  ...["wins", "ties", "losses", "counted", "interval", "claim", "why"],
];

/** The matrix as a table, rows minus columns, in points; the colour repeats the sign and size. */
function matrixTable({ matrix: found }, title, { titles, protocol }, cautions) {
  const matrix = found && titledMatrix(found, titles);
  if (!matrix) return [h("p", { class: "ps-soft" }, "Fewer than two lines can be compared here.")];
  const metric = metricOf(matrix.metric);
  const cells = new Map(
    matrix.pairs.flatMap((pair) => [
      [`${pair.first}\n${pair.second}`, pair],
      [`${pair.second}\n${pair.first}`, turned(pair)],
    ]),
  );
  const widest = Math.max(0.01, ...matrix.pairs.map((pair) => Math.abs(pair.mean)));
  const cell = (first, second) => {
    if (first === second) return h("td", { class: "ps-cell ps-same" }, "");
    const pair = cells.get(`${first}\n${second}`);
    const place = 0.5 + 0.5 * (pair.mean / widest) * (matrix.lower_is_better ? -1 : 1) * 0.85;
    const style = pair.differs ? { background: cssColour("vik", place), color: inkOn(colourAt("vik", place)) } : {};
    const counts = pair.wins === null ? "" : `${pair.wins} / ${pair.ties} / ${pair.losses}`;
    return h(
      "td",
      { class: `ps-cell ${pair.differs ? "ps-differs" : ""}`, style, title: pairSentence(pair) },
      h("strong", {}, points(pair.mean)),
      h("span", {}, counts),
      h("span", {}, pair.p_holm === null ? pair.why || "not tested" : `p ${pText(pair.p_holm)}`),
    );
  };
  const names = matrix.methods;
  const hint =
    `Row minus column in points of ${metric ? lowerFirst(rankedTitle(metric, protocol)) : matrix.metric}; below it wins / ties / losses over ${matrix.pairs[0].counted}, and p after Holm over ${count(matrix.n_tests, "pair")}. ` +
    "Coloured: the difference stands with all pairs at once.";
  const csv = {
    columns: [...PAIR_FIELDS.map((name) => (name === "mean" ? "difference" : name)), "use"],
    rows: matrix.pairs.map((pair) => [
      ...PAIR_FIELDS.map((name) => pair[name]),
      "research use only, not for diagnosis",
    ]),
    file: `${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}-pairs`,
    cautions,
  };
  return [
    h("p", { class: "ps-hint" }, hint),
    h(
      "div",
      { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": "Each line against each other" },
      h(
        "table",
        { class: "ps-table ps-pairs" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Row minus column"),
            names.map((name) => h("th", { scope: "col", class: "ps-cell" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          names.map((first) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, first),
              names.map((second) => cell(first, second)),
            ),
          ),
        ),
      ),
    ),
    h(
      "p",
      {},
      [
        matrix.visible_sentence,
        matrix.left_out.length
          ? `Left out, since not every line is complete there: ${matrix.left_out.join(", ")}.`
          : "",
      ]
        .filter(Boolean)
        .join(" "),
    ),
    button("Download pairs (CSV)", () => saveCsv(csv), "quiet ps-button-small ps-self-start"),
  ];
}

const turned = (pair) => ({
  ...pair,
  first: pair.second,
  second: pair.first,
  mean: -pair.mean,
  low: minus(pair.high),
  high: minus(pair.low),
  wins: pair.losses,
  losses: pair.wins,
});
const minus = (value) => (value === null ? null : -value);

function pairSentence(pair) {
  const interval =
    pair.low === null ? `no interval: ${pair.why}` : `${points(pair.low)} to ${points(pair.high)}, ${pair.claim}`;
  return `${pair.first} minus ${pair.second}: ${points(pair.mean)} points (${interval})`;
}

define("ps-experiment-results", ExperimentResults);
