/** How many images each class has, as a small picture. */

import { h } from "./core.js";

/** "160 images, 4 classes". */
export function classSummary(set) {
  return `${set.n_images.toLocaleString("en")} images, ${set.classes.length} classes`;
}

/** One bar a class: training images, then test images, with the numbers as text. At most `limit` classes are drawn. */
export function classBars(set, limit = 6) {
  const most = Math.max(1, ...set.classes.map((one) => one.train + (one.val || 0) + one.test));
  const row = (one) =>
    h(
      "span",
      { class: "ps-class-bar" },
      h("span", { class: "ps-class-bar-name" }, one.name),
      h(
        "span",
        { class: "ps-class-bar-track", "aria-hidden": "true" },
        h("span", { class: "ps-class-bar-train", style: { width: `${(100 * one.train) / most}%` } }),
        h("span", { class: "ps-class-bar-test", style: { width: `${(100 * one.test) / most}%` } }),
      ),
      h("span", { class: "ps-class-bar-count" }, `${one.train} + ${one.test}`),
    );
  const more = set.classes.length - limit;
  return h(
    "span",
    { class: "ps-class-bars" },
    ...set.classes.slice(0, limit).map(row),
    more > 0 ? h("span", { class: "ps-soft" }, `and ${more} more classes`) : null,
    h("span", { class: "ps-class-bar-key ps-soft" }, "training + test"),
  );
}
