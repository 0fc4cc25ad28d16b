// The picture of an image set: how many images each class has in each part, as bars and as the same numbers.
import { PsElement, count, define, h, table } from "./core.js";

export const PARTS = { train: "Training", val: "Validation", test: "Test" };

export const total = (row) => row.train + row.val + row.test;

// The picture in one sentence, for those who do not see it.
export function sentence(classes) {
  const smallest = classes.reduce((least, row) => (row.train < least.train ? row : least));
  const all = classes.reduce((sum, row) => sum + total(row), 0);
  return (
    `${count(all, "image")} in ${count(classes.length, "class", "classes")}. ` +
    `The smallest class for training is “${smallest.name}” with ${count(smallest.train, "image")}.`
  );
}

class ClassCounts extends PsElement {
  #classes = [];

  // classes: [{ name, train, val, test }]
  set data(classes) {
    this.#classes = classes;
    if (this.isConnected) this.start();
  }

  start() {
    if (!this.#classes.length) return this.show();
    const parts = Object.keys(PARTS).filter((part) => this.#classes.some((row) => row[part] > 0));
    return this.show(
      h(
        "figure",
        { class: "ps-counts" },
        h("figcaption", {}, sentence(this.#classes)),
        h("div", { class: "ps-counts-both" }, bars(this.#classes, parts), numbers(this.#classes, parts)),
      ),
    );
  }
}

function bars(classes, parts) {
  const most = Math.max(...classes.map(total), 1);
  return h(
    "div",
    { class: "ps-stack-s" },
    h("ul", { class: "ps-legend" }, parts.map((part) => h("li", {}, swatch(part), PARTS[part]))),
    h("div", { class: "ps-bars", "aria-hidden": "true" }, classes.map((row) => bar(row, parts, most))),
  );
}

function bar(row, parts, most) {
  const pieces = parts.map((part) =>
    h("span", { class: `ps-bar-piece ps-part-${part}`, style: { width: `${(100 * row[part]) / most}%` } }),
  );
  return h("div", {}, h("div", { class: "ps-bar-name" }, row.name), h("div", { class: "ps-bar" }, pieces));
}

const swatch = (part) => h("span", { class: `ps-swatch ps-part-${part}`, "aria-hidden": "true" });

function numbers(classes, parts) {
  const columns = [
    { title: "Class", cell: (row) => row.name },
    ...parts.map((part) => ({ title: PARTS[part], number: true, cell: (row) => String(row[part]) })),
    { title: "All", number: true, cell: (row) => String(total(row)) },
  ];
  return table("Images per class and part", columns, classes);
}

define("ps-class-counts", ClassCounts);
