/** The two views of the Attention page: one image, or a whole set. */

import { h } from "./core.js";

const VIEWS = [
  ["image", "One image", "/attention"],
  ["set", "Whole set", "/attention?view=set"],
];

export function attentionViews(current) {
  const item = ([name, words, href]) =>
    h("li", {}, h("a", { href, class: "ps-button ps-button-small", "aria-current": name === current && "page" }, words));
  return h("nav", { "aria-label": "Views of attention" }, h("ul", { class: "ps-actions ps-plain-list" }, VIEWS.map(item)));
}
