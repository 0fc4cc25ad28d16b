/**
 * Words for what makes numbers too good: leakage between training and test, classes the encoder knew before, and what
 * calibrated the probabilities. The server counts and writes the sentences; pages show them the same way.
 */

import { chip, h } from "./core.js";

const KINDS = [
  ["exact_copies", "Exact copies"],
  ["near_duplicates", "Near duplicates"],
  ["shared_groups", "Of a group (patient) on both sides"],
  ["shared_names", "Named like images of one patient or photograph on the other side"],
];

/** "3 of 60 test images, 1 by images this run used" for each kind, as facts; none for runs that were not counted. */
export function leakageFacts(leakage) {
  if (!leakage?.exact_copies) return [];
  return KINDS.filter(([kind]) => leakage[kind]).map(([kind, title]) => [title, countText(leakage[kind])]);
}

function countText(count) {
  if (!count.of) return "not known for any test image";
  const used = count.test_images ? `, ${count.by_drawn} by images this run used` : "";
  return `${count.test_images} of ${count.of} test images${used}`;
}

/** Whether numbers are too good: leakage was found, or it was allowed and nobody counted. */
export const isBad = (leakage) => Boolean(leakage && (leakage.found || (leakage.allowed && leakage.found === null)));

/** Test images that look like others, or are named like them, without proof; the server counts both together. */
export const isDoubtful = (leakage) => Boolean(leakage?.doubts || leakage?.near_duplicates?.test_images);

/** Of what several rows say of leakage, the worst, as a strong paragraph or a weaker one; empty where none is found. */
export function worstLeakage(leaks) {
  const worst = worstOf(leaks);
  if (!worst) return "";
  return h("p", { class: `ps-notice ${isBad(worst) ? "ps-notice-bad" : "ps-notice-warn"}` }, worst.sentence);
}

/** What has to go along with every file of these rows: the worst leakage, and classes known before, as sentences. */
export function cautionsOf(rows, backbone = rows[0]?.backbone) {
  const known = [...new Set(rows.flatMap((row) => row.known_classes ?? []))];
  return [worstOf(rows.map((row) => row.leakage))?.sentence, knownText(known, backbone)].filter(Boolean);
}

function worstOf(leaks) {
  const used = (leak) => KINDS.reduce((sum, [kind]) => sum + (leak[kind]?.by_drawn ?? 0), 0);
  const rank = (leak) => [isBad(leak), Boolean(leak.allowed), leak.doubts ?? 0, used(leak)].map(Number);
  const worse = (a, b) => rank(b).reduce((known, value, at) => known || value - rank(a)[at], 0);
  return leaks.filter((leak) => leak && (isBad(leak) || leak.allowed || isDoubtful(leak))).sort(worse)[0];
}

/** The leakage of a run as a paragraph; strong where it makes the numbers too good. */
export function leakageLine(leakage) {
  if (!leakage) return "";
  const tone = isBad(leakage) ? "ps-notice ps-notice-bad" : isDoubtful(leakage) ? "ps-notice ps-notice-warn" : "ps-hint";
  return h("p", { class: tone }, leakage.sentence);
}

/** A mark for a row, empty where nothing was allowed or found. */
export function leakageChip(leakage) {
  if (leakage && !leakage.allowed && !leakage.found && isDoubtful(leakage)) return chip("Leakage suspected", "warn");
  if (!leakage || !(leakage.allowed || leakage.found)) return "";
  if (leakage.found === false) return chip("Leakage allowed, none found", "warn");
  return chip("Leakage allowed: too good", "bad");
}

/** Classes that the encoder's text side has learned from labelled images, as a paragraph. */
export function knownLine(names, backbone) {
  const text = knownText(names, backbone);
  return text && h("p", { class: "ps-notice ps-notice-warn" }, text);
}

function knownText(names, backbone) {
  if (!names?.length) return "";
  return `The text side of the encoder '${backbone}' has learned ${names.join(", ")} from labelled images: zero-shot and few-shot numbers on them are not honest ones.`;
}

/** How far calibrated probabilities can be trusted, as a sentence; empty where nothing is known. */
export function calibrationText(calibration) {
  if (!calibration) return "";
  const chosen = calibration.also_chose || [];
  const also = chosen.length
    ? ` The same images also chose ${listed(chosen)}: new images will look somewhat less well calibrated.`
    : "";
  const measured = calibration.measured ? ` ${calibration.measured.sentence}` : "";
  const sets = calibration.sets ? ` ${calibration.sets.sentence}` : "";
  return `${calibration.note}${also}${measured}${sets}`;
}

const listed = (words) =>
  words.length === 1 ? words[0] : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
