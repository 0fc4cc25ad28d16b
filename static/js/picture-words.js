/** What a picture lacks, and how its deep values are shown, in words beside it. */

import { h } from "./core.js";

/** Short words for tiles. */
export const FINDINGS = {
  constant: "Nearly constant",
  low_contrast: "Low contrast",
  transparent: "Transparent",
  not_finite: "Holds NaN",
};

/** The sentences on a picture as one text, "" where nothing is wrong with it. */
export const pictureWords = ({ findings }) => (findings ?? []).map((found) => found.sentence).join(" ");

/** A notice beside the answer for a picture that lacks something, or "". */
export function pictureNotice(picture) {
  const words = pictureWords(picture);
  return words ? h("p", { class: "ps-notice ps-notice-warn" }, words) : "";
}

/** Which values of the file are black and white, for deep pictures, or "". */
export function windowingLine({ windowing }) {
  return windowing ? h("p", { class: "ps-hint" }, `Shown range: ${windowing.sentence}`) : "";
}
