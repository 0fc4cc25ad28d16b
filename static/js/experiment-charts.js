/** Charts of an experiment's rows, as contents of <ps-plot>. */

import { count, percent } from "./core.js";
import { curves, forest, scatter } from "./figures.js";
import { amountText, rankedTitle, tookText } from "./experiment-words.js";
import { METRICS, metricText } from "./metric-words.js";
import { fileName } from "./plot.js";

const SMALL_BIN = 10; // a range with fewer answers says too little to be drawn
const finite = Number.isFinite;
const axisFormat = (metric) => (value) => (metric.percent ? percent(value, 0) : String(Number(value.toFixed(2))));
const sides = (metric) => `${metric.title} (${metric.higher ? "right is better" : "left is better"})`;

/** Lines through a chart: zero-shot and the best simple baseline. */
export const baselinesOf = (rows) =>
  rows
    .filter((row) => row.role && finite(row.mean))
    .map((row) => ({ value: row.mean, name: row.role === "baseline" ? row.line : `best simple: ${row.line}` }));

export const ranked = (rows, metric) =>
  [...rows].sort((a, b) => finite(b.mean) - finite(a.mean) || (metric.higher ? b.mean - a.mean : a.mean - b.mean));

/** The end of the axis: 0 to 1, or narrower where all numbers are far from both. */
function ends(values, metric) {
  const known = values.filter(finite);
  const low = Math.min(...known, 1);
  const high = Math.max(...known, 0);
  if (!metric.higher) return [0, Math.min(1, Math.max(0.2, high * 1.05))];
  return [
    low > 0.3 ? Math.max(0, Math.floor(10 * low - 0.5) / 10) : Math.min(0, low),
    Math.min(1, Math.ceil(10 * high + 0.2) / 10),
  ];
}

/** Means with their intervals, single seeds as rings, baselines as lines. */
export function leaderboard(rows, metric, title, protocol) {
  const known = ranked(rows, metric).filter((row) => finite(row.mean));
  const [low, high] = ends(
    known.flatMap((row) => [row.mean, row.low, row.high, ...(row.values ?? [])]),
    metric,
  );
  const best = known[0];
  const columns = ["Line", "Mean", "Low", "High", "Seeds", "Each seed", "Interval"];
  const line = (row, show) => [row.line, ...[row.mean, row.low, row.high].map(show), row.n_seeds];
  return {
    title: `${rankedTitle(metric, protocol)}: mean, 95 % interval and single seeds`,
    sentence: best
      ? `Highest: ${best.line}, ${metricText(metric, best.mean)}${finite(best.low) ? ` (${metricText(metric, best.low)} to ${metricText(metric, best.high)})` : ""}. Rings are single seeds, dashed lines the baselines. ${claimsOf(known)}`
      : `No row has a value of ${metric.title}.`,
    figure: forest({
      rows: known.map((row) => ({
        label: row.line,
        note: `${metricText(metric, row.mean)}, ${count(row.n_seeds, "seed")}`,
        mean: row.mean,
        low: row.low,
        high: row.high,
        points: row.values?.length > 1 ? row.values : [],
        reference: Boolean(row.role),
      })),
      low,
      high,
      lines: baselinesOf(known),
      title: sides(metric),
      format: axisFormat(metric),
    }),
    columns,
    rows: known.map((row) => [
      ...line(row, (value) => metricText(metric, value)),
      (row.values ?? []).map((value) => metricText(metric, value)).join("; "),
      row.interval,
    ]),
    csvRows: known.map((row) => [...line(row, (value) => value), (row.values ?? []).join(" "), row.interval]),
    file: fileName(title, metric.name),
  };
}

/** What intervals are about; where rows differ in it, which rows say what. */
function claimsOf(rows) {
  const claims = [...new Set(rows.map((row) => row.claim).filter(Boolean))];
  if (!claims.length) return "";
  if (claims.length === 1) return `Intervals: ${claims[0]}.`;
  const lines = (claim) => rows.filter((row) => row.claim === claim).map((row) => row.line);
  return `Intervals: ${claims.map((claim) => `${claim} (${lines(claim).join(", ")})`).join("; ")}.`;
}

const amountOf = (row) => (row.share === null || row.share === undefined ? (row.shots ?? Infinity) : row.share);

/** The same line over more and more training images. Nothing where there is one amount only. */
export function growth(rows, metric, title, kinds) {
  const amounts = [...new Map(rows.map((row) => [amountOf(row), row])).entries()].sort(([a], [b]) => a - b);
  if (amounts.length < 2) return null;
  const place = new Map(amounts.map(([amount], at) => [amount, at]));
  const names = [...new Set(rows.map((row) => row.line))];
  const own = (name) =>
    rows.filter((row) => row.line === name && finite(row.mean)).sort((a, b) => amountOf(a) - amountOf(b));
  const lines = names.map((name) => ({ name, rows: own(name) })).filter((line) => line.rows.length);
  const [low, high] = ends(
    lines.flatMap((line) => line.rows.flatMap((row) => [row.mean, row.low, row.high])),
    metric,
  );
  const shift = (at) => 0.05 * (at - (lines.length - 1) / 2) * Math.min(1, 8 / lines.length);
  const last = lines.map((line) => line.rows.at(-1)).sort((a, b) => b.mean - a.mean)[0];
  return {
    title: `${metric.title} with more training images`,
    sentence: last
      ? `Whiskers are 95 % intervals. Highest at ${amountText(last)}: ${last.line}, ${metricText(metric, last.mean)}.`
      : "Nothing is finished yet.",
    figure: curves({
      height: 380,
      series: lines.map((line, at) => ({
        name: line.name,
        kind: kinds.get(line.name),
        points: line.rows.map((row) => [place.get(amountOf(row)) + shift(at), row.mean]),
        low: line.rows.map((row) => row.low),
        high: line.rows.map((row) => row.high),
      })),
      x: { low: -0.3, high: amounts.length - 0.7, ticks: amounts.map(([, row], at) => [at, amountText(row)]) },
      y: { low, high, format: axisFormat(metric) },
    }),
    columns: ["Line", "Training images", "Mean", "Low", "High", "Seeds"],
    rows: lines.flatMap((line) =>
      line.rows.map((row) => [
        row.line,
        amountText(row),
        ...[row.mean, row.low, row.high].map((value) => metricText(metric, value)),
        row.n_seeds,
      ]),
    ),
    csvRows: lines.flatMap((line) =>
      line.rows.map((row) => [row.line, amountText(row), row.mean, row.low, row.high, row.n_seeds]),
    ),
    file: fileName(title, "training-images"),
  };
}

/** Base classes, novel classes and their harmonic mean, one row a line. Nothing for other protocols. */
export function baseAndNovel(rows, metric, title) {
  if (!rows.some((row) => row.parts?.base)) return null;
  // a line that cannot name new classes was measured on the base classes alone
  const alone = (row) => ({ base: { mean: row.metrics?.[metric.name] } });
  const both = ranked(
    rows.map((row) => ({ ...row, parts: row.parts?.base ? row.parts : alone(row) })),
    metric,
  );
  const marks = (row) =>
    [
      ["base", row.parts.base, 2],
      ["novel", row.parts.novel, 3],
      ["harmonic mean", row, 1],
    ]
      .filter(([, value]) => finite(value?.mean))
      .map(([name, value, kind]) => ({ name, kind, mean: value.mean, low: value.low, high: value.high }));
  const [low, high] = ends(
    both.flatMap((row) => marks(row).flatMap((mark) => [mark.mean, mark.low, mark.high])),
    metric,
  );
  const chance = both.find((row) => row.parts.novel)?.parts.novel.chance;
  const text = (value) =>
    `${metricText(metric, value?.mean)}${finite(value?.low) ? ` (${metricText(metric, value.low)} to ${metricText(metric, value.high)})` : ""}`;
  const novelText = (row) =>
    row.parts.novel
      ? `${text(row.parts.novel)}${row.parts.novel.trivial ? ", one class only" : ""}`
      : "cannot name new classes";
  return {
    title: "Base and novel classes",
    sentence:
      "Squares: base classes, which were trained on. Triangles: novel classes, known by name only. Circles: the harmonic mean of both.",
    figure: forest({
      rows: both.map((row) => ({
        label: row.line,
        note: row.parts.novel ? `H ${metricText(metric, row.mean)}` : "base only",
        marks: marks(row),
      })),
      low,
      high,
      lines: finite(chance) ? [{ value: chance, name: "chance, novel" }] : [],
      title: sides(metric),
      format: axisFormat(metric),
    }),
    columns: ["Line", "Base", "Novel", "Harmonic mean"],
    rows: both.map((row) => [row.line, text(row.parts.base), novelText(row), text(row)]),
    csvColumns: [
      "line",
      ...["base", "novel", "harmonic_mean"].flatMap((name) => [name, `${name}_low`, `${name}_high`]),
    ],
    csvRows: both.map((row) => [
      row.line,
      ...[row.parts.base, row.parts.novel, row].flatMap((value) => [value?.mean, value?.low, value?.high]),
    ]),
    file: fileName(title, "base-and-novel"),
  };
}

/** What a line costs against what it gives: training alone, since features are computed once for all lines. */
export function costs(rows, metric, title, kinds) {
  const known = rows.filter((row) => finite(row.training_seconds) && finite(row.mean));
  if (known.length < 2) return null;
  const [low, high] = ends(
    known.flatMap((row) => [row.mean, row.low, row.high]),
    metric,
  );
  const byTime = [...known].sort((a, b) => a.training_seconds - b.training_seconds);
  const [quick, slow] = [byTime[0], byTime.at(-1)];
  const shared = known.map((row) => row.feature_seconds).filter(finite);
  const told = shared.reduce((sum, seconds) => sum + seconds, 0) / (shared.length || 1);
  return {
    title: `${metric.title} against training time`,
    sentence: [
      `Mean time that the training of one cell took. Quickest: ${quick.line}, ${tookText(quick.training_seconds)}; slowest: ${slow.line}, ${tookText(slow.training_seconds)}.`,
      `Features of pictures and texts are not in it: they are computed by whichever cell comes first and kept for all others (${tookText(told)} a cell on average).`,
      "Trainings in step share their steps' time.",
    ].join(" "),
    figure: scatter({
      points: known.map((row) => ({
        label: row.line,
        kind: kinds.get(row.line),
        x: Math.max(row.training_seconds, SHORTEST_S),
        mean: row.mean,
        low: row.low,
        high: row.high,
      })),
      x: { title: "training time of one cell", log: true, format: tookText },
      y: { title: metric.title, low, high, format: axisFormat(metric) },
    }),
    columns: [
      "Line",
      "Training (s)",
      "Shared features (s)",
      "In all (s)",
      metric.title,
      "Learned numbers",
      "Peak memory (MB)",
    ],
    rows: known.map((row) => [
      row.line,
      ...[row.training_seconds, row.feature_seconds, row.seconds].map((seconds) =>
        finite(seconds) ? seconds.toFixed(2) : "–",
      ),
      metricText(metric, row.mean),
      row.trainable_parameters ?? "–",
      finite(row.peak_mb) ? Math.round(row.peak_mb) : "–",
    ]),
    csvRows: known.map((row) => [
      row.line,
      row.training_seconds,
      row.feature_seconds,
      row.seconds,
      row.mean,
      row.trainable_parameters,
      row.peak_mb,
    ]),
    file: fileName(title, "cost"),
  };
}

/** Where the axis of times begins: what solves at once is drawn there. */
const SHORTEST_S = 0.001;

/** The ranks each line can have, given which differences stand. */
export function ranks(rows, metric, title) {
  const known = ranked(rows, metric).filter((row) => row.rank);
  if (known.length < 2) return null;
  return {
    title: "Ranks that are possible",
    sentence: `A line stands before another only where their paired difference does (p below 0.05 after Holm). First place is open to ${count(known.filter((row) => row.rank[0] === 1).length, "line")}.`,
    figure: forest({
      rows: known.map((row, at) => ({
        label: row.line,
        note: row.rank[0] === row.rank[1] ? `rank ${row.rank[0]}` : `ranks ${row.rank[0]} to ${row.rank[1]}`,
        mean: Math.min(row.rank[1], Math.max(row.rank[0], at + 1)),
        low: row.rank[0],
        high: row.rank[1],
        reference: Boolean(row.role),
      })),
      low: 0.5,
      high: known.length + 0.5,
      title: "rank (1 is best)",
      format: (value) => (Number.isInteger(value) ? String(value) : ""),
    }),
    columns: ["Line", "Best rank", "Worst rank", metric.title],
    rows: known.map((row) => [row.line, row.rank[0], row.rank[1], metricText(metric, row.mean)]),
    csvRows: known.map((row) => [row.line, ...row.rank, row.mean]),
    file: fileName(title, "ranks"),
  };
}

/** How often answers of each confidence were right. summary: of `/runs/summary`. */
export function reliability({ reliability: bins, n_runs: runs, ece, brier, calibration_error: error, grouped }, title) {
  const known = bins ?? [];
  const drawn = known.filter((bin) => bin.n >= SMALL_BIN);
  if (!known.length) return null;
  const few = known.length - drawn.length;
  const left = few ? ` ${count(few, "range")} of fewer than ${SMALL_BIN} answers ${few === 1 ? "is" : "are"} in the table only.` : "";
  const seeds = runs > 1 ? `, means of ${count(runs, "seed")}` : "";
  const scores = `Brier score ${brier.toFixed(3)}, expected calibration error (15 equal bins, as papers print it) ${ece.toFixed(3)}${seeds}.`;
  const chance = error
    ? ` Over ranges of equal counts the error is ${error.value.toFixed(3)}; a perfectly calibrated model would show ${error.expected.toFixed(3)}${grouped ? "" : `, up to ${error.expected_high.toFixed(3)}`}.`
    : "";
  const bars = grouped
    ? "Several images are of one patient, so no intervals over images are drawn."
    : "In the grey band 95 % of perfectly calibrated models would lie. Bars: 95 % (Wilson).";
  const between = (low, high) => (low === null ? "–" : `${percent(low, 0)} to ${percent(high, 0)}`);
  return {
    title: "Reliability: how often the model is right when it is so sure",
    sentence: `On the dotted line stated probabilities are right. ${bars} ${scores}${chance}${left}`,
    figure: curves({
      height: 300,
      diagonal: true,
      band: !grouped && {
        places: drawn.map((bin) => bin.confidence),
        low: drawn.map((bin) => bin.expected_low),
        high: drawn.map((bin) => bin.expected_high),
      },
      series: [
        {
          name: "right",
          points: drawn.map((bin) => [bin.confidence, bin.accuracy]),
          low: grouped ? [] : drawn.map((bin) => bin.accuracy_low),
          high: grouped ? [] : drawn.map((bin) => bin.accuracy_high),
        },
      ],
      x: {
        title: "stated probability of the answer",
        low: 0,
        high: 1,
        ticks: [0, 0.25, 0.5, 0.75, 1].map((tick) => [tick, percent(tick, 0)]),
      },
      y: { title: "share right", low: 0, high: 1, format: (value) => percent(value, 0) },
    }),
    columns: ["Stated between", "Answers", "Mean stated", "Right", "95 % of right", "Calibrated: 95 %"],
    rows: known.map((bin) => [
      `${percent(bin.low, 0)} and ${percent(bin.high, 0)}`,
      bin.n,
      percent(bin.confidence),
      percent(bin.accuracy),
      between(bin.accuracy_low, bin.accuracy_high),
      between(bin.expected_low, bin.expected_high),
    ]),
    csvColumns: "low high answers mean_stated share_right right_low right_high calibrated_low calibrated_high".split(" "),
    csvRows: known.map((bin) => [
      bin.low,
      bin.high,
      bin.n,
      bin.confidence,
      bin.accuracy,
      bin.accuracy_low,
      bin.accuracy_high,
      bin.expected_low,
      bin.expected_high,
    ]),
    file: fileName(title, "reliability"),
  };
}

/** Every number of the rows with what has to be known of them, for a spreadsheet. */
export function rowsAsCsv(experiment, rows) {
  const costNames = [
    "steps",
    "image_passes",
    "labelled_to_choose",
    "trainable_parameters",
    "gflops_per_image",
    "unlabelled_images",
    "training_seconds",
    "feature_seconds",
    "seconds",
    "peak_mb",
    "precision",
    "n_train",
  ];
  const others = METRICS.map((metric) => metric.name);
  const differences = ["against", "mean", "low", "high", "p", "p_holm"];
  return {
    columns: [
      "experiment",
      "protocol",
      "image_set",
      "line",
      "method",
      "descriptions",
      "trained_on",
      "shots",
      "share",
      "metric",
      "mean",
      "low",
      "high",
      "interval",
      "n_seeds",
      "seeds",
      "each_seed",
      ...differences.map((name) => `difference_${name}`),
      "better_than_both_baselines",
      "best_rank",
      "worst_rank",
      "base",
      "novel",
      "other_metrics_of",
      ...others.flatMap((name) => [`mean_${name}`, `sd_${name}`]),
      ...costNames,
      "claim",
      "leakage",
      "classes_known_before",
      "notes",
      "use",
    ],
    rows: rows.map((row) => [
      experiment.name,
      row.protocol,
      row.image_set ?? `mean of ${(row.image_sets ?? []).join(" + ")}`,
      row.line,
      row.method,
      row.descriptions ?? "",
      (row.description_versions ?? []).map((use) => use.sentence).join(" | "),
      row.share === null || row.share === undefined ? (row.shots ?? "all") : "",
      row.share ?? "",
      row.metric,
      row.mean,
      row.low,
      row.high,
      row.interval,
      row.n_seeds,
      row.seeds.join(" "),
      (row.values ?? []).join(" "),
      ...differences.map((name) => row.difference?.[name]),
      row.beats ?? "",
      row.rank?.[0],
      row.rank?.[1],
      row.parts?.base?.mean ?? "",
      row.parts?.novel?.mean ?? "",
      row.protocol === "base-to-novel" ? "base classes" : "all classes of the test part",
      ...others.flatMap((name) => [row.metrics?.[name], row.deviations?.[name]]),
      ...costNames.map((name) => row[name]),
      row.claim ?? "",
      row.leakage?.sentence ?? "",
      (row.known_classes ?? []).join(" | "),
      (row.notes ?? []).join(" | "),
      "research use only, not for diagnosis",
    ]),
    file: fileName(experiment.name, "rows"),
  };
}
