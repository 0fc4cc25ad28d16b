// Charts of evidence as contents of <ps-plot>: the set beside its controls, accuracy with more sentences, single sentences.
import { percent } from "./core.js";
import { curves, forest } from "./figures.js";
import { controlName, plainNumber, signed } from "./description-evidence-words.js";
import { fileName } from "./plot.js";

const finite = Number.isFinite;
const MOST_ROWS = 30;
const VERDICT_KINDS = { helpful: 1, cannot_tell: 2, harmful: 3 };
const VERDICT_WORDS = { helpful: "helps", harmful: "harms", cannot_tell: "cannot be told" };

const CONTROL_ORDER = ["set", "template", "without_names", "random_radiological", "random_everyday", "wrong_classes"];
const ORDERS = { given: "as given", random: "random order", evidence: "best effect first", diversity: "most different first" };

const share = (value) => (finite(value) ? percent(value) : "–");

const controlsOf = (result) => result.summary?.controls ?? {};

// The set and its controls on accuracy; in the table also the log-likelihood and the set less each control.
export function controlsContent(result, name) {
  const controls = controlsOf(result);
  const rows = CONTROL_ORDER.filter((key) => finite(controls[key]?.accuracy?.mean)).map((key) => ({ key, ...controls[key] }));
  if (!rows.length) return null;
  const ends = (found) => [found.mean, found.low, found.high];
  const values = rows.flatMap((row) => ends(row.accuracy)).filter(finite);
  const chance = 1 / new Set(result.sentences.map((row) => row.class)).size;
  const numbers = (row) => [row.accuracy, row.accuracy.difference, row.log_likelihood, row.log_likelihood.difference];
  const interval = (found, text) => (!found ? "–" : finite(found.low) ? `${text(found.mean)} (${text(found.low)} to ${text(found.high)})` : text(found.mean));
  const points = (value) => `${signed(100 * value, 1)} points`;
  return {
    title: "The set beside its controls",
    sentence: `Accuracy on the training images with 95 % intervals; chance is ${percent(chance, 0)}. Whether the set is better than random words is judged by the log-likelihood, which is in the table.`,
    figure: forest({
      rows: rows.map((row) => ({ label: controlName(row.key), note: share(row.accuracy.mean), ...row.accuracy, reference: row.key !== "set" })),
      low: Math.max(0, Math.floor(10 * Math.min(chance, ...values) - 0.3) / 10),
      high: Math.min(1, Math.ceil(10 * Math.max(...values) + 0.3) / 10),
      lines: [{ value: chance, name: "chance" }],
      title: "accuracy on training images (right is better)",
      format: (value) => percent(value, 0),
    }),
    columns: ["Texts", "Accuracy", "The set less these", "Log-likelihood", "The set less these", "p"],
    rows: rows.map((row) => [controlName(row.key), interval(row.accuracy, share), interval(row.accuracy.difference, points),
      interval(row.log_likelihood, (value) => plainNumber(value, 3)), interval(row.log_likelihood.difference, (value) => signed(value)),
      finite(row.log_likelihood.p) ? plainNumber(row.log_likelihood.p, 3) : "–"]),
    csvColumns: ["texts", ...["accuracy", "accuracy_difference", "log_likelihood", "log_likelihood_difference"].flatMap((key) => [key, `${key}_low`, `${key}_high`]), "p", "draws"],
    csvRows: rows.map((row) => [row.key, ...numbers(row).flatMap((found) => (found ? ends(found) : ["", "", ""])), row.log_likelihood.p ?? "", row.accuracy.n_draws]),
    file: fileName(name, "controls"),
  };
}

// Accuracy by number of sentences of each class, one line an order; each image was measured with what others chose.
export function growthContent(result, name) {
  const curve = result.summary?.curve;
  const rows = (curve?.rows ?? []).filter((row) => finite(row.accuracy?.mean));
  const orders = Object.keys(ORDERS).filter((order) => rows.filter((row) => row.order === order).length > 1);
  if (!orders.length) return null;
  const values = rows.flatMap((row) => [row.accuracy.mean, row.accuracy.low, row.accuracy.high]).filter(finite);
  return {
    title: "Accuracy with more sentences",
    sentence: `Each image was measured with sentences that were ordered on the other images (${curve.folds} folds). A line that falls shows an order in which more sentences make it worse.`,
    figure: curves({
      height: 340,
      series: orders.map((order, at) => {
        const own = rows.filter((row) => row.order === order);
        return {
          name: ORDERS[order],
          kind: at + 1,
          points: own.map((row) => [row.n, row.accuracy.mean]),
          low: own.map((row) => row.accuracy.low),
          high: own.map((row) => row.accuracy.high),
        };
      }),
      x: { title: "sentences of each class" },
      y: { title: "accuracy", low: Math.max(0, Math.floor(10 * Math.min(...values)) / 10), high: Math.min(1, Math.ceil(10 * Math.max(...values)) / 10), format: (value) => percent(value, 0) },
    }),
    columns: ["Order", "Sentences", "Accuracy", "Low", "High", "Log-likelihood"],
    rows: rows.map((row) => [ORDERS[row.order] ?? row.order, row.n, share(row.accuracy.mean), share(row.accuracy.low), share(row.accuracy.high), plainNumber(row.log_likelihood?.mean, 3)]),
    csvColumns: ["order", "sentences", "accuracy", "low", "high", "log_likelihood"],
    csvRows: rows.map((row) => [row.order, row.n, row.accuracy.mean, row.accuracy.low, row.accuracy.high, row.log_likelihood?.mean]),
    file: fileName(name, "number-of-sentences"),
  };
}

// The sentences whose effect is largest either way; all of them are in the table.
export function effectsContent(rows, name) {
  const known = rows.filter((row) => finite(row.effect));
  if (!known.length) return null;
  const shown = [...known].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect)).slice(0, MOST_ROWS).sort((a, b) => b.effect - a.effect);
  const reach = Math.max(...shown.flatMap((row) => [row.effect, row.low, row.high]).filter(finite).map(Math.abs)) * 1.08 || 1;
  return {
    title: known.length > shown.length ? `The ${shown.length} largest effects of ${known.length}` : "Effect of each sentence",
    sentence: "How much a sentence raises the log-likelihood of the images, with its 95 % interval. An interval away from zero is no proof: any words move some images. The verdict comes from the comparison with random words.",
    figure: forest({
      rows: shown.map((row) => ({ label: row.sentence, note: VERDICT_WORDS[row.verdict] ?? row.verdict, mean: row.effect, low: row.low, high: row.high, marks: [{ mean: row.effect, low: row.low, high: row.high, kind: VERDICT_KINDS[row.verdict] ?? 2 }] })),
      low: -reach,
      high: reach,
      lines: [{ value: 0, name: "no effect" }],
      title: "effect in nats (right helps)",
      format: (value) => signed(value, 2),
    }),
    columns: ["Sentence", "Class", "Effect", "Low", "High", "Verdict"],
    rows: shown.map((row) => [row.sentence, row.class, signed(row.effect), signed(row.low), signed(row.high), VERDICT_WORDS[row.verdict] ?? row.verdict]),
    csvColumns: ["class", "sentence", "effect", "low", "high", "agreement", "p_adjusted", "smallest_effect", "closest_class", "suspect_class", "verdict", "reason"],
    csvRows: known.map((row) => [row.class, row.sentence, row.effect, row.low, row.high, row.agreement, row.p_adjusted, row.smallest_effect, row.closest_class, row.suspect_class, row.verdict, row.reason]),
    file: fileName(name, "evidence"),
  };
}
