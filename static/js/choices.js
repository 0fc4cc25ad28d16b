/** Groups of check boxes and radio buttons, as fields of a form. */

import { h } from "./core.js";
import { uid } from "./follow.js";

/** Check boxes: {node, values, limit(allowed)}. rows: [{value, words, note, on}]. */
export function checks(rows) {
  const inputs = rows.map((row) =>
    h("input", { type: "checkbox", value: String(row.value), checked: Boolean(row.on), id: uid("check") }),
  );
  const line = (row, at) =>
    h(
      "label",
      { class: "ps-radio", for: inputs[at].id },
      inputs[at],
      h("span", {}, row.words, row.note && h("small", { class: "ps-hint ps-block" }, row.note)),
    );
  const wanted = rows.map((row) => Boolean(row.on)); // what was chosen comes back when it is possible again
  inputs.forEach((input, at) => input.addEventListener("input", () => (wanted[at] = input.checked)));
  return {
    node: h("div", { class: "ps-radios" }, rows.map(line)),
    get values() {
      return rows.filter((_, at) => inputs[at].checked && !inputs[at].disabled).map((row) => row.value);
    },
    limit(allowed) {
      rows.forEach((row, at) => {
        inputs[at].disabled = !allowed(row.value);
        inputs[at].checked = wanted[at] && !inputs[at].disabled;
      });
    },
  };
}

/** Radio buttons one below the other: {node, value}. */
export function radios(rows, first) {
  const group = uid("radio");
  const inputs = rows.map((row) =>
    h("input", { type: "radio", name: group, value: row.value, checked: row.value === first }),
  );
  const line = (row, at) =>
    h(
      "label",
      { class: "ps-radio" },
      inputs[at],
      h("span", {}, row.words, row.note && h("small", { class: "ps-hint ps-block" }, row.note)),
    );
  return {
    node: h("div", { class: "ps-stack-s" }, rows.map(line)),
    get value() {
      return inputs.find((input) => input.checked).value;
    },
  };
}
