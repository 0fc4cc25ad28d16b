// How two wordings differ: added, removed and edited sentences, with the changed words marked.
import { chip, count, h } from "./core.js";
import { stateChip } from "./description-words.js";

const words = (text) => text.split(/(\s+)/).filter((piece) => piece !== "");

// [{ text, kind }] with kind "same", "out" or "in"; by the longest common row of words.
export function wordChanges(before, after) {
  const [left, right] = [words(before), words(after)];
  const width = right.length + 1;
  const length = new Uint16Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i -= 1)
    for (let k = right.length - 1; k >= 0; k -= 1)
      length[i * width + k] = left[i] === right[k] ? length[(i + 1) * width + k + 1] + 1 : Math.max(length[(i + 1) * width + k], length[i * width + k + 1]);
  const pieces = [];
  const add = (text, kind) => (pieces.at(-1)?.kind === kind ? (pieces.at(-1).text += text) : pieces.push({ text, kind }));
  let [i, k] = [0, 0];
  while (i < left.length || k < right.length) {
    if (i < left.length && k < right.length && left[i] === right[k]) add(left[i], "same"), (i += 1), (k += 1);
    else if (i < left.length && (k === right.length || length[(i + 1) * width + k] >= length[i * width + k + 1])) add(left[i], "out"), (i += 1);
    else add(right[k], "in"), (k += 1);
  }
  return pieces;
}

const TAG = { in: "ins", out: "del" };

export const marked = (before, after) =>
  wordChanges(before, after).map(({ text, kind }) => (kind === "same" ? text : h(TAG[kind], {}, text)));

const one = (word, tone, className, ...text) => h("li", { class: "ps-diff-line" }, chip(word, tone), h("span", { class: "ps-hint" }, className), h("span", { class: "ps-break" }, text));

// A diff of the server as a list, classes kept together.
export function differenceList({ added, removed, edited, state_changes: states = [] }) {
  const lines = [
    ...edited.map((row) => [row.class, one("Edited", "info", row.class, marked(row.before, row.after))]),
    ...added.map((row) => [row.class, one("Added", "good", row.class, h("ins", {}, row.text))]),
    ...removed.map((row) => [row.class, one("Removed", "bad", row.class, h("del", {}, row.text))]),
    ...states.map((row) => [row.class, h("li", { class: "ps-diff-line" }, stateChip(row.before), "→", stateChip(row.after), h("span", { class: "ps-hint" }, row.class), h("span", { class: "ps-break" }, row.text))]),
  ];
  if (!lines.length) return h("p", { class: "ps-soft" }, "No difference.");
  const said = [count(edited.length, "sentence edited", "sentences edited"), `${added.length} added`, `${removed.length} removed`];
  if (states.length) said.push(count(states.length, "other state", "other states"));
  const order = [...new Set(lines.map(([name]) => name))];
  lines.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  return h("div", { class: "ps-stack-s" }, h("p", {}, said.join(", ")), h("ul", { class: "ps-diff" }, lines.map(([, line]) => line)));
}
