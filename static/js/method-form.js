/**
 * <ps-method-form>: the form of a method's options, made from the schema the API gives.
 *
 * Set `options` = [{name, type, optional, default, unit, bounds, choices, help, advanced}]. `values` are those that
 * differ from their defaults (an unchanged form sends nothing), `problems` the sentences that keep it from being sent.
 * Fires "change" at each edit. The server checks again; the sentences here are the same as its own.
 */

import { define, h } from "./core.js";
import { uid } from "./follow.js";

const RADIO_LIMIT = 4;

class MethodForm extends HTMLElement {
  set options(rows) {
    this.rows = rows;
    this.fields = new Map();
    const plain = rows.filter((row) => !row.advanced).map((row) => this.field(row));
    const folded = rows.filter((row) => row.advanced).map((row) => this.field(row));
    this.replaceChildren(h("div", { class: "ps-option-grid" }, ...plain));
    if (folded.length) {
      const summary = h("summary", {}, `Advanced options (${folded.length})`);
      this.append(h("details", { class: "ps-unfold" }, summary, h("div", { class: "ps-option-grid" }, ...folded)));
    }
  }

  /** Changed values only: {name: value}. */
  get values() {
    const changed = {};
    for (const row of this.rows || []) {
      const value = this.read(row);
      if (!same(value, row.default)) changed[row.name] = value;
    }
    return changed;
  }

  /** Puts values in, by name; the rest goes back to the defaults. */
  set values(values) {
    for (const row of this.rows || []) this.write(row, row.name in values ? values[row.name] : row.default);
  }

  get problems() {
    return (this.rows || []).map((row) => problemOf(row, this.raw(row))).filter(Boolean);
  }

  /** Shows the sentence the server answered beside the option it names. */
  showServerProblem(name, sentence) {
    const field = this.fields?.get(name);
    if (!field) return false;
    field.message.textContent = sentence;
    field.box.classList.add("ps-wrong");
    field.box.closest("details")?.setAttribute("open", "");
    field.input.focus();
    return true;
  }

  field(row) {
    const id = uid("option");
    const input = inputFor(row, id);
    const message = h("p", { class: "ps-field-problem", id: `${id}-problem`, role: "alert" });
    const help = h("small", { class: "ps-hint", id: `${id}-help` }, helpText(row));
    const box = h("div", { class: "ps-field", "data-option": row.name });
    const label = row.unit && row.unit !== row.name ? `${humanName(row.name)} (${row.unit})` : humanName(row.name);
    if (input.matches("fieldset")) {
      input.prepend(h("legend", {}, label));
      input.setAttribute("aria-describedby", help.id);
      box.append(input, help, message);
    } else {
      input.setAttribute("aria-describedby", `${help.id} ${message.id}`);
      const text = h("label", { for: id }, label);
      if (row.type === "bool") box.append(h("div", { class: "ps-check" }, input, text), help, message);
      else box.append(text, input, help, message);
    }
    this.fields.set(row.name, { input, message, box });
    input.addEventListener("input", () => this.check(row));
    return box;
  }

  check(row) {
    const { input, message, box } = this.fields.get(row.name);
    const sentence = problemOf(row, this.raw(row));
    message.textContent = sentence;
    box.classList.toggle("ps-wrong", Boolean(sentence));
    box.classList.toggle("ps-changed", !sentence && !same(this.read(row), row.default));
    if (sentence) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  raw(row) {
    const { input } = this.fields.get(row.name);
    if (row.type === "bool") return input.checked;
    if (input.matches("fieldset")) return input.querySelector("input:checked")?.value ?? "";
    return input.value;
  }

  read(row) {
    const raw = this.raw(row);
    if (row.optional && raw === "") return null;
    return row.type === "int" || row.type === "float" ? Number(raw) : raw;
  }

  write(row, value) {
    const { input } = this.fields.get(row.name);
    if (row.type === "bool") input.checked = Boolean(value);
    else if (input.matches("fieldset"))
      for (const radio of input.querySelectorAll("input")) radio.checked = radio.value === value;
    else input.value = value ?? "";
    this.check(row);
  }
}

/** The sentence for a typed value, empty when it is fine. */
export function problemOf(row, raw) {
  if (row.type !== "int" && row.type !== "float") return "";
  const text = String(raw).trim();
  if (text === "" && row.optional) return "";
  const value = Number(text);
  const between = row.bounds ? ` between ${row.bounds[0]} and ${row.bounds[1]}${row.unit ? ` ${row.unit}` : ""}` : "";
  if (text === "" || !Number.isFinite(value)) return `'${row.name}' takes a number${between}; found '${text}'.`;
  if (row.type === "int" && !Number.isInteger(value))
    return `'${row.name}' takes a whole number${between}; found ${text}.`;
  if (row.bounds && (value < row.bounds[0] || value > row.bounds[1])) {
    return `'${row.name}' lies${between}; found ${text}. Choose a value inside the bounds.`;
  }
  return "";
}

function helpText(row) {
  const bounds = row.bounds ? ` ${row.bounds[0]} to ${row.bounds[1]}.` : "";
  const given =
    row.default === null || row.default === ""
      ? "none"
      : row.type === "bool"
        ? row.default
          ? "on"
          : "off"
        : row.default;
  return `${row.help}${bounds} Default: ${given}.`;
}

function inputFor(row, id) {
  if (row.type === "bool") return h("input", { type: "checkbox", id, checked: row.default });
  if (row.choices?.length) return row.choices.length <= RADIO_LIMIT ? radios(row, id) : select(row, id);
  if (row.type === "int" || row.type === "float") {
    const [min, max] = row.bounds || [null, null];
    return h("input", {
      type: "number",
      id,
      min,
      max,
      step: row.type === "int" ? 1 : "any",
      value: row.default ?? "",
    });
  }
  return h("input", { type: "text", id, value: row.default ?? "", autocomplete: "off" });
}

function radios(row, id) {
  const choice = (name, index) => {
    const input = h("input", {
      type: "radio",
      id: `${id}-${index}`,
      name: id,
      value: name,
      checked: name === row.default,
    });
    return h("label", { class: "ps-radio", for: input.id }, input, humanName(name));
  };
  return h("fieldset", { class: "ps-radios", id }, ...row.choices.map(choice));
}

function select(row, id) {
  const choice = (name) => h("option", { value: name, selected: name === row.default }, humanName(name));
  return h("select", { id }, ...row.choices.map(choice));
}

/** "learning_rate" as "Learning rate". */
export function humanName(name) {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function same(value, given) {
  return (value === "" ? null : value) === (given === "" || given === undefined ? null : given);
}

define("ps-method-form", MethodForm);
