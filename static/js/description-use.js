// Which version of which descriptions something was trained on, in a sentence, with the way to what changed since.
import { h } from "./core.js";
import { linkTo } from "./follow.js";

// use: { set_id, set, version, newest, sentence } of the API.
export function descriptionUse(use) {
  if (!use) return "";
  const href = linkTo("/descriptions", { id: use.set_id, view: "versions", from: use.version });
  const words = use.newest === use.version ? "Read it" : "See what changed";
  return h("span", {}, `${use.sentence} `, h("a", { href, "aria-label": `${words}: version ${use.version} of ${use.set}` }, words));
}
