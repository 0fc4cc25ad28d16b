/** Probabilities as bars, most likely first; the numbers are text, the bars decoration. */

import { h, probability } from "./core.js";

/** probabilities: {class: share}. marked: the class to set off, by default the most likely one. */
export function probabilityBars(probabilities, marked) {
  const rows = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  const top = marked ?? rows[0]?.[0];
  const row = ([name, share]) =>
    h(
      "li",
      { class: name === top ? "ps-share ps-share-top" : "ps-share" },
      h("span", { class: "ps-share-name" }, name),
      h("span", { class: "ps-share-value" }, probability(share)),
      h(
        "span",
        { class: "ps-share-track", "aria-hidden": "true" },
        h("span", { style: { width: `${(100 * share).toFixed(2)}%` } }),
      ),
    );
  return h("ol", { class: "ps-shares" }, rows.map(row));
}

/** "Most likely: round lesion (62 %)", and how near the next one is. */
export function verdict(probabilities) {
  const [first, second] = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  if (!first) return "No answer.";
  const share = ([, value]) => probability(value, 0).replaceAll(" ", "\u00a0");
  const close = second && first[1] - second[1] < 0.1 ? ` Nearly as likely: ${second[0]} (${share(second)}).` : "";
  return `Most likely: ${first[0]} (${share(first)}).${close}`;
}
