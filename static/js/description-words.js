// Words for what is said of a sentence: its state, why it was rejected, what checks found, what its images say.
import { chip, h } from "./core.js";

export const STATES = {
  draft: ["Draft", ""],
  approved: ["Approved", "good"],
  rejected: ["Rejected", "bad"],
  needs_second_reader: ["Needs a second reader", "warn"],
};

export const DECISIONS = {
  approve: ["approved", "good"],
  reject: ["rejected", "bad"],
  flag: ["flagged", "warn"],
};

// In the order of the keys 1 to 6.
export const REASONS = [
  ["not_visible", "Not visible"],
  ["wrong", "Wrong"],
  ["other_class", "Another class"],
  ["vague", "Too vague"],
  ["repeats", "Repeats another"],
  ["other", "Other"],
];

export const FINDINGS = {
  duplicate: "said twice",
  near_duplicate: "nearly said twice",
  not_visible: "not visible in an image",
  negated: "says what is not there",
  class_missing: "class not named",
  near_other_class: "fits another class too",
  outlier: "unlike its class",
  language: "not English",
  length: "unusual length",
  too_long: "too long",
};

export const AUTHORS = { person: "a person", model: "a language model", pack: "a built-in pack", file: "a file", template: "a template" };

export const KINDS = {
  approve: "Approved", reject: "Rejected", flag: "Flagged", reopen: "Took back decisions", edit: "Edited", remove: "Removed", restore: "Put back",
  add: "Added", settle: "Settled", undo: "Undid", save: "Saved as text", plant: "Planted wrong sentences", unplant: "Took planted sentences out",
  import: "Read from a file", write: "Drafted by a model", version: "Saved a version", sign: "Signed off", migrate: "Taken over from older versions",
};

export const VERDICTS = {
  helpful: ["Helps on your images", "good"],
  harmful: ["Harms on your images", "bad"],
  cannot_tell: ["Cannot be told", ""],
};

export const stateChip = (state) => chip(...(STATES[state] ?? [state ?? "Hidden", ""]));
export const findingWord = (finding) => FINDINGS[finding] ?? finding.replaceAll("_", " ");
export const reasonWord = (reason) => (REASONS.find(([code]) => code === reason)?.[1] ?? reason ?? "").toLowerCase();
export const kindWord = (kind) => KINDS[kind] ?? kind.replaceAll("_", " ");

const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(3)}`;

// What images say of a sentence: a verdict in words and the interval of its effect.
export function evidenceLine(evidence) {
  if (!evidence) return null;
  const hasInterval = Number.isFinite(evidence.low) && Number.isFinite(evidence.high);
  return h("p", { class: "ps-evidence-line" },
    chip(...(VERDICTS[evidence.verdict] ?? [evidence.verdict, ""])), " ",
    Number.isFinite(evidence.effect) && `effect ${signed(evidence.effect)}`,
    hasInterval && ` (${signed(evidence.low)} to ${signed(evidence.high)})`,
    Number.isFinite(evidence.agreement) && `, agreement with its class ${evidence.agreement.toFixed(2)}`, evidence.backbone && `, on ${evidence.backbone}`);
}

export function reviewLine({ reader, decision, reason }) {
  const [word, tone] = DECISIONS[decision] ?? [decision, ""];
  return [chip(`${reader} ${word}`, tone), reason ? ` ${reasonWord(reason)}` : null];
}

export function whoWrote({ author, author_kind: kind }) {
  if (kind === "person") return `written by ${author}`;
  if (kind === "template") return "made from a template";
  const named = author && author !== kind ? ` (${author})` : "";
  return `from ${AUTHORS[kind] ?? kind}${named}`;
}
