/**
 * <ps-recipe-picker>: published settings, each to be a line of a comparison.
 *
 * Set `methods` = cards. `values` = names of the chosen recipes. They are asked for when the fold is opened first.
 * "change" bubbles when one is added or removed.
 */

import { announce, api, busy, button, define, errorNotice, field, h, listOf } from "./core.js";

class RecipePicker extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.chosen = [];
    this.list = h("ul", { class: "ps-queue", "aria-label": "Chosen published settings" });
    this.inside = h("div", { class: "ps-stack-s" });
    const fold = h(
      "details",
      { class: "ps-unfold" },
      h("summary", {}, "Published settings, each a line of its own"),
      this.inside,
    );
    fold.addEventListener("toggle", () => fold.open && this.load());
    this.append(fold, this.list);
  }

  get values() {
    return (this.chosen ?? []).map(({ name }) => name);
  }

  async load() {
    if (this.recipes) return;
    this.inside.replaceChildren(busy("Loading published settings …"));
    try {
      this.recipes = listOf(await api.get("/recipes?limit=1000"));
      this.build();
    } catch (error) {
      this.inside.replaceChildren(errorNotice(error, () => this.load()));
    }
  }

  build() {
    const known = this.methods.filter(({ name }) => this.recipes.some((recipe) => recipe.method === name));
    const method = h(
      "select",
      {},
      known.map(({ name, title }) => h("option", { value: name }, title)),
    );
    const recipe = h("select", {});
    const fill = () => {
      const own = this.recipes.filter((each) => each.method === method.value);
      recipe.replaceChildren(...own.map((each) => h("option", { value: each.name }, recipeTitle(each))));
    };
    method.addEventListener("change", (event) => {
      event.stopPropagation(); // nothing is chosen yet
      fill();
    });
    recipe.addEventListener("change", (event) => event.stopPropagation());
    fill();
    const add = button("Add", () => this.add(recipe.value), "small ps-self-start");
    this.inside.replaceChildren(
      h("div", { class: "ps-option-grid" }, field("Of the method", method), field("Settings", recipe), add),
    );
  }

  add(name) {
    const recipe = this.recipes.find((each) => each.name === name);
    if (!recipe || this.chosen.includes(recipe)) return;
    this.chosen.push(recipe);
    this.draw();
    announce(`${name} was added`);
  }

  draw() {
    const item = (recipe) => {
      const remove = button("Remove", () => {
        this.chosen = this.chosen.filter((each) => each !== recipe);
        this.draw();
        this.inside.querySelector("button").focus();
      });
      remove.classList.add("ps-button-small");
      remove.setAttribute("aria-label", `Remove ${recipe.name}`);
      return h("li", {}, h("span", { class: "ps-break" }, recipe.name), remove);
    };
    this.list.replaceChildren(...this.chosen.map(item));
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

const recipeTitle = (recipe) => `${recipe.title}, ${recipe.protocol} (${recipe.source})`;

define("ps-recipe-picker", RecipePicker);
