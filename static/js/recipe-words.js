/** Words for recipes: published settings, and what a run did otherwise. */

import { h } from "./core.js";

const HASH_DIGITS = 8;

const valueText = (value) => {
  if (value === true) return "on";
  if (value === false) return "off";
  if (value === null || value === undefined) return "none";
  return Array.isArray(value) ? value.join(", ") : String(value);
};

/** "Follows recipe X (hash ab12cd34); deviates in: views 8 instead of 100." */
export function recipeSentence(recipe) {
  const start = `Follows recipe ${recipe.name} (hash ${recipe.hash.slice(0, HASH_DIGITS)})`;
  const changed = recipe.deviations.map(
    (one) => `${one.name} ${valueText(one.used)} instead of ${valueText(one.recipe)}`,
  );
  return changed.length ? `${start}; deviates in: ${changed.join("; ")}.` : `${start} without deviation.`;
}

/** The recipe of a run as paragraphs, none where it follows none. */
export function recipeLines(recipe) {
  return recipe ? [recipeSentence(recipe), ...recipe.notes].map((text) => h("p", { class: "ps-hint" }, text)) : [];
}

/** A recipe's name without its method, for places that name the method anyway. */
export const recipeShort = (name) => name.split("/").slice(1).join("/");

/** A select of recipes, the first choice being none; grouped by where they were published. */
export function recipeSelect(id, recipes, chosen) {
  const option = (recipe) => h("option", { value: recipe.name }, `${recipe.title}, ${recipe.protocol}`);
  const group = (source) =>
    h("optgroup", { label: source }, ...recipes.filter((recipe) => recipe.source === source).map(option));
  const sources = [...new Set(recipes.map((recipe) => recipe.source))];
  const none = h("option", { value: "" }, "None: our defaults for this backbone");
  const select = h("select", { id }, none, ...sources.map(group));
  select.value = chosen || "";
  return select;
}
