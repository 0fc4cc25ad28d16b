/**
 * <ps-experiment-options>: what methods of a comparison are to do otherwise, a fold for each.
 *
 * Set `backbone` and then `methods` = cards of the chosen methods; what was set for one comes back with it. `values` =
 * {method: {option: value, or [values] that make a line each}}, `problems` the sentences that keep them from being sent.
 * A method's options are asked for when its fold is opened. "change" bubbles at each edit.
 */

import { api, busy, button, count, define, errorNotice, field, h } from "./core.js";
import { uid } from "./follow.js";
import { humanName, problemOf } from "./method-form.js";

const OWN_FIELDS = ["template"]; // one sentence for all lines stands among the further settings

class ExperimentOptions extends HTMLElement {
  set methods(cards) {
    this.folds ??= new Map();
    this.chosen = cards.map(({ name }) => name);
    for (const card of cards) {
      if (!this.folds.has(card.name)) this.folds.set(card.name, new MethodFold(card, this.backbone));
    }
    const wanted = cards.map(({ name }) => this.folds.get(name).node);
    if (wanted.length !== this.children.length || wanted.some((node, at) => node !== this.children[at]))
      this.replaceChildren(...wanted);
  }

  get values() {
    const own = (this.chosen ?? []).map((name) => [name, this.folds.get(name).values]);
    return Object.fromEntries(own.filter(([, values]) => Object.keys(values).length));
  }

  get problems() {
    return (this.chosen ?? []).flatMap((name) => this.folds.get(name).problems);
  }
}

class MethodFold {
  constructor({ name, title }, backbone) {
    Object.assign(this, { name, title, backbone, varied: [] });
    this.summary = h("summary", {}, title);
    this.inside = h("div", { class: "ps-stack-s" });
    this.node = h("details", { class: "ps-unfold" }, this.summary, this.inside);
    this.node.addEventListener("toggle", () => this.node.open && this.load());
    this.node.addEventListener("change", () => this.tell());
  }

  async load() {
    if (this.rows) return;
    this.inside.replaceChildren(busy("Loading its options …"));
    const path = `/methods/${encodeURIComponent(this.name)}?backbone=${encodeURIComponent(this.backbone)}`;
    try {
      const schema = await api.get(path);
      this.build(schema.options.filter((row) => !OWN_FIELDS.includes(row.name)));
    } catch (error) {
      this.inside.replaceChildren(errorNotice(error, () => this.load()));
    }
  }

  build(rows) {
    this.rows = rows;
    this.form = h("ps-method-form");
    this.form.options = rows;
    this.several = h("div", { class: "ps-stack-s" });
    const more = button("Compare several values of an option", () => this.vary(), "small ps-self-start");
    this.inside.replaceChildren(this.form, this.several, more);
  }

  /** One more option of which several values are compared. */
  vary() {
    const select = h(
      "select",
      { id: uid("varied") },
      this.rows.map((row) => h("option", { value: row.name }, humanName(row.name))),
    );
    const input = h("input", { type: "text", autocomplete: "off", placeholder: "0.001, 0.002" });
    const message = h("p", { class: "ps-field-problem", role: "alert" });
    const one = { select, input, message };
    const remove = button("Remove", () => {
      this.varied = this.varied.filter((each) => each !== one);
      box.remove();
      this.changed();
      this.inside.querySelector("button").focus();
    });
    remove.classList.add("ps-button-small", "ps-self-start");
    const box = h(
      "div",
      { class: "ps-option-grid" },
      field("Option", select),
      h("div", {}, field("Values, with commas between", input, "Each value makes a line of its own."), message),
      remove,
    );
    input.addEventListener("input", () => this.changed());
    this.varied.push(one);
    this.several.append(box);
    select.focus();
  }

  changed() {
    this.node.dispatchEvent(new Event("change", { bubbles: true }));
  }

  tell() {
    const n = Object.keys(this.values).length;
    this.summary.textContent = n ? `${this.title}: ${count(n, "own setting")}` : this.title;
    for (const one of this.varied) one.message.textContent = this.problemOf(one);
  }

  row({ select }) {
    return this.rows.find((row) => row.name === select.value);
  }

  texts({ input }) {
    return input.value
      .split(",")
      .map((text) => text.trim())
      .filter(Boolean);
  }

  get values() {
    if (!this.form) return {};
    const found = { ...this.form.values };
    for (const one of this.varied) {
      const row = this.row(one);
      const texts = this.texts(one);
      if (texts.length) found[row.name] = texts.map((text) => typed(row, text));
    }
    return found;
  }

  problemOf(one) {
    const row = this.row(one);
    const wrong = this.texts(one)
      .map((text) => problemOf(row, text) || choiceProblem(row, text))
      .find(Boolean);
    return wrong ?? "";
  }

  get problems() {
    if (!this.form) return [];
    const own = [...this.form.problems, ...this.varied.map((one) => this.problemOf(one))];
    return own.filter(Boolean).map((sentence) => `${this.title}: ${sentence}`);
  }
}

function choiceProblem(row, text) {
  if (row.type === "bool" && !["on", "off"].includes(text)) return `'${row.name}' is on or off; found '${text}'.`;
  if (row.choices?.length && !row.choices.includes(text))
    return `'${row.name}' is one of ${row.choices.join(", ")}; found '${text}'.`;
  return "";
}

function typed(row, text) {
  if (row.type === "bool") return text === "on";
  return row.type === "int" || row.type === "float" ? Number(text) : text;
}

define("ps-experiment-options", ExperimentOptions);
