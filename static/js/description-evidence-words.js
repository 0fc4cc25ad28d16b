// What evidence says, in words: of the sentences together, and of the whole set beside its controls.
import { count } from "./core.js";

export const signed = (value, digits = 3) =>
  Number.isFinite(value) ? `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(digits)}` : "–";

export const plainNumber = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "–");

// p values below a thousandth are said to be so.
export const pText = (value) => (!Number.isFinite(value) ? "–" : value < 0.001 ? "< 0.001" : value.toFixed(3));

const CONTROLS = {
  set: "These sentences",
  template: "Template only",
  without_names: "Without class names",
  random_everyday: "Random everyday words",
  random_radiological: "Random radiological words",
  wrong_classes: "Dealt to wrong classes",
};

export const controlName = (name) => CONTROLS[name] ?? name.replaceAll("_", " ");

function imagesWords(summary) {
  const { n_images: images, n_groups: groups, groups: kind } = summary;
  if (!images) return "these images";
  return kind === "groups" ? `${count(images, "image")} of ${count(groups, "group")}` : count(images, "image");
}

// How many sentences help, harm, or cannot be told, and what could have been seen.
export function sentencesWords({ sentences, summary = {} }) {
  const of = (verdict) => sentences.filter((row) => row.verdict === verdict).length;
  const [helpful, harmful, unknown] = ["helpful", "harmful", "cannot_tell"].map(of);
  const parts = [];
  if (helpful) parts.push(`${count(helpful, "sentence")} ${helpful === 1 ? "helps" : "help"} more than random words in ${helpful === 1 ? "its" : "their"} place would`);
  if (harmful) parts.push(`${count(harmful, "sentence")} ${harmful === 1 ? "does" : "do"} harm`);
  const images = imagesWords(summary);
  if (unknown) parts.push(`${parts.length ? unknown : `of ${unknown === sentences.length ? "all " : ""}${count(unknown, "sentence")} it`} cannot be told with ${images}`);
  const smallest = Number.isFinite(summary.smallest_effect) && unknown
    ? ` The smallest effect that could have been seen is ${summary.smallest_effect.toPrecision(2)} nats (median over sentences).` : "";
  const text = parts.join(", ");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.${smallest}`;
}

// What the whole set is worth beside random words: the answer in words, and the difference it rests on.
export function setWords(result) {
  const controls = result.summary?.controls;
  if (!controls?.answer) return "";
  const rows = ["random_radiological", "random_everyday"].map((name) => controls[name]?.log_likelihood).filter((row) => Number.isFinite(row?.difference?.low));
  const least = rows.sort((a, b) => (b.p ?? 0) - (a.p ?? 0) || a.difference.low - b.difference.low)[0];
  const rank = Number.isFinite(least?.p) ? `; ${Math.round(least.p * (least.n_draws + 1)) - 1} of ${least.n_draws} sets of them do at least as well` : "";
  const apart = least?.difference;
  const rest = least ? ` Beside the random words that come closest its log-likelihood differs by ${signed(apart.mean)} nats (95 % interval ${signed(apart.low)} to ${signed(apart.high)})${rank}.` : "";
  return `The whole set: ${controls.answer.charAt(0).toLowerCase()}${controls.answer.slice(1)}${rest}`;
}
