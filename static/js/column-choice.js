// What the columns of a table mean: which names the classes and which tells patients apart. Recognised, shown and
// changeable before anything is sent. Hidden where the chosen files hold no table.
import { PsElement, busy, count, define, errorNotice, field, fill, h, send } from "./core.js";
import { openZip } from "./zip-tables.js";

const TABLES = /\.(csv|tsv|tab|txt)$/i;
const BARE_TABLES = /(metadata|manifest|labels?$|ground_?truth)/i;
const MOST_TABLES = 40;
const LARGEST_TABLE = 64 * 1024 * 1024;
const NONE = "none";

class ColumnChoice extends PsElement {
  #found = null; // { names, tables } of the chosen files
  #shown = null; // what the server made of them
  #group = null; // what a person chose; null: the recognised column
  #label = null;
  #looking = null;

  start() {
    this.hidden = true;
  }

  // What is sent as the field "group": "" where there is nothing to choose.
  get group() {
    return this.#group ?? this.#shown?.group ?? "";
  }

  // What is sent as the field "label": "" unless a person chose.
  get label() {
    return this.#label ?? "";
  }

  // Whether the tables of the chosen files are still being read.
  get isLooking() {
    return this.#looking !== null;
  }

  // Resolves when nothing is being read any more, to whether columns are shown.
  async looked() {
    while (this.#looking) await this.#looking;
    return Boolean(this.#shown?.tables.length);
  }

  // Look at newly chosen files: [{ file, name }].
  look(rows) {
    this.#group = this.#label = this.#shown = this.#found = null;
    this.hidden = true;
    this.#begin(async (isLatest) => {
      const found = await contentsOf(rows);
      if (!isLatest() || !found.tables.length) return;
      this.#found = found;
      this.#wait();
      const shown = await recognised(found);
      if (isLatest()) this.#draw(shown);
    });
  }

  // One reading at a time: a later one takes over.
  #begin(read) {
    const mine = read(() => this.#looking === mine)
      .catch((error) => this.#looking === mine && this.#fail(error))
      .finally(() => {
        if (this.#looking === mine) this.#looking = null;
      });
    this.#looking = mine;
  }

  #wait() {
    this.hidden = false;
    fill(this, h("h3", {}, "What the table says"), busy("Reading the table…"));
  }

  #fail(error) {
    this.hidden = false;
    fill(this, errorNotice(error));
  }

  #chooseLabel(value) {
    this.#label = value || null;
    this.#begin(async (isLatest) => {
      this.telling.textContent = "Reading the table…";
      const shown = await recognised(this.#found, { label: this.label, group: this.#group ?? "" });
      if (!isLatest()) return;
      this.#draw(shown);
      this.labelSelect?.focus();
    });
  }

  #draw(shown) {
    this.#shown = shown;
    this.hidden = !shown.tables.length;
    if (this.hidden) return;
    const labels = labelOptions(shown);
    this.labelSelect = labels && h("select", {}, labels);
    this.labelSelect?.addEventListener("change", () => this.#chooseLabel(this.labelSelect.value));
    const select = h("select", {}, groupOptions(shown, this.group || NONE));
    select.addEventListener("change", () => {
      this.#group = select.value;
      this.#tell();
    });
    this.telling = h("p", { class: "ps-hint", role: "status" });
    fill(
      this,
      h("h3", { tabindex: "-1" }, "What the table says"),
      shown.problem ? errorNotice(new Error(shown.problem)) : readings(shown),
      h(
        "div",
        { class: "ps-grid" },
        labels && field("Column that names the classes", this.labelSelect, "What a model shall learn to tell apart."),
        field(
          "Column that tells patients apart",
          select,
          "All images of one patient go to one side, training or test. Otherwise results look better than they are.",
        ),
      ),
      this.telling,
    );
    this.#tell();
  }

  #tell() {
    const column = this.#shown.groups.find((row) => row.column === this.group);
    this.telling.textContent = column
      ? `${count(column.n_images, "image")} in ${count(column.n_groups, "group")}; each group stays whole.`
      : "Images of one patient may stand in training and in test.";
  }
}

function groupOptions(shown, chosen) {
  const columns = shown.groups.map((row) =>
    h("option", { value: row.column, selected: row.column === chosen },
      `${row.column} (${count(row.n_groups, "group")}${row.usual ? ", recognised" : ""})`));
  const none = !shown.groups.some((row) => row.column === chosen);
  return [...columns, h("option", { value: NONE, selected: none }, "None: each image stands alone")];
}

// null where no column could name classes.
function labelOptions(shown) {
  if (!shown.labels.length) return null;
  const columns = shown.labels.map((row) =>
    h("option", { value: row.column, selected: row.column === shown.label },
      `${row.column} (${count(row.n_classes, "class", "classes")}${row.usual ? ", recognised" : ""})`));
  return shown.label === null ? [h("option", { value: "", selected: true }, withoutLabel(shown)), ...columns] : columns;
}

function withoutLabel(shown) {
  if (shown.problem) return "None yet: choose one";
  return shown.tables.some((table) => table.used) ? "None: each class has a column" : "None: folders name the classes";
}

// What the tables would be read as, in sentences.
function readings(shown) {
  const some = shown.classes.slice(0, 12).join(", ");
  const told = [
    `${count(shown.n_images, "image")} in ${count(shown.classes.length, "class", "classes")}: ${some}`
      + `${shown.classes.length > 12 ? ", …" : ""}.`,
    ...shown.tables.filter((table) => table.path).map((table) =>
      `${table.name}: the column ${table.path} names the files${table.label ? `, ${table.label} the classes` : ""}.`),
  ];
  return h("ul", { class: "ps-notes" }, told.map((text) => h("li", {}, text)));
}

// The names of all files, those inside a zip too, and the tables among them.
async function contentsOf(rows) {
  const names = [];
  const tables = [];
  for (const { file, name } of rows) {
    const zip = /\.zip$/i.test(name) ? await openZip(file) : null;
    if (zip) {
      names.push(...zip.names);
      for (const inner of zip.names.filter(isTable)) {
        if (tables.length < MOST_TABLES) tables.push({ name: inner, content: await zip.table(inner) });
      }
    } else {
      names.push(name);
      if (isTable(name) && file.size <= LARGEST_TABLE && tables.length < MOST_TABLES) tables.push({ name, content: file });
    }
  }
  return { names, tables: tables.filter(({ content }) => content) };
}

function isTable(name) {
  const last = name.split("/").at(-1);
  const looksLikeOne = TABLES.test(last) || (!last.includes(".") && BARE_TABLES.test(last));
  return looksLikeOne && name.split("/").length < 4 && !/^(readme|licen[cs]e)/i.test(last);
}

function recognised({ names, tables }, choice = {}) {
  const form = new FormData();
  form.append("names", JSON.stringify(names));
  for (const [option, column] of Object.entries(choice)) if (column) form.append(option, column);
  for (const { name, content } of tables) form.append("files", content, name);
  return send("/image-sets/columns", form).done;
}

define("ps-column-choice", ColumnChoice);
