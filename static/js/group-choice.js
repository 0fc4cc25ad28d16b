// Which images belong together: the column of a table that tells patients apart, recognised, shown and changeable
// before anything is sent. Hidden where the chosen files hold no table.
import { PsElement, count, define, errorNotice, field, fill, h, send } from "./core.js";
import { openZip } from "./zip-tables.js";

const TABLES = /\.(csv|tsv|txt)$/i;
const MOST_TABLES = 40;
const LARGEST_TABLE = 64 * 1024 * 1024;
const NONE = "none";

class GroupChoice extends PsElement {
  #choice = null; // what a person chose; null: the recognised column
  #shown = null;
  #request = 0;

  start() {
    this.hidden = true;
  }

  // What is sent as the field "group": "" where there is nothing to choose.
  get value() {
    return this.#choice ?? this.#shown?.group ?? "";
  }

  // Look at newly chosen files: [{ file, name }].
  async look(rows) {
    this.#choice = null;
    this.#shown = null;
    this.hidden = true;
    const mine = (this.#request += 1);
    try {
      const found = await contentsOf(rows);
      if (!found.tables.length || mine !== this.#request) return;
      const shown = await recognised(found);
      if (mine === this.#request) this.#draw(shown);
    } catch (error) {
      if (mine === this.#request && error.name !== "AbortError") this.#fail(error);
    }
  }

  #fail(error) {
    this.hidden = false;
    fill(this, errorNotice(error));
  }

  #draw(shown) {
    this.#shown = shown;
    if (!shown.tables.length) return;
    this.hidden = false;
    const select = h("select", {}, options(shown));
    select.addEventListener("change", () => {
      this.#choice = select.value;
      this.#tell(shown);
    });
    this.telling = h("p", { class: "ps-hint", role: "status" });
    fill(
      this,
      h("h3", {}, "Which images belong together"),
      h("ul", { class: "ps-notes" }, readings(shown).map((text) => h("li", {}, text))),
      field(
        "Column that tells patients apart",
        select,
        "All images of one patient go to one side, training or test. Otherwise results look better than they are.",
      ),
      this.telling,
    );
    this.#tell(shown);
  }

  #tell(shown) {
    const column = shown.groups.find((row) => row.column === this.value);
    this.telling.textContent = column
      ? `${count(column.n_images, "image")} in ${count(column.n_groups, "group")}; each group stays whole.`
      : "Images of one patient may stand in training and in test.";
  }
}

function options(shown) {
  const chosen = shown.group ?? NONE;
  const columns = shown.groups.map((row) =>
    h("option", { value: row.column, selected: row.column === chosen },
      `${row.column} (${count(row.n_groups, "group")}${row.usual ? ", recognised" : ""})`));
  const none = !shown.groups.some((row) => row.column === chosen);
  return [...columns, h("option", { value: NONE, selected: none }, "None: each image stands alone")];
}

// What the tables would be read as, in sentences.
function readings(shown) {
  if (shown.problem) return [shown.problem];
  const tables = shown.tables.filter((table) => table.path);
  return [
    `${count(shown.n_images, "image")} in ${count(shown.classes.length, "class", "classes")}: ${shown.classes.slice(0, 12).join(", ")}`
      + `${shown.classes.length > 12 ? ", …" : ""}.`,
    ...tables.map((table) => `${table.name}: the column ${table.path} names the files`
      + `${table.label ? `, ${table.label} the classes` : ""}.`),
  ];
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

const isTable = (name) => TABLES.test(name) && name.split("/").length < 4 && !/(^|\/)(readme|licen[cs]e)/i.test(name);

function recognised({ names, tables }) {
  const form = new FormData();
  form.append("names", JSON.stringify(names));
  for (const { name, content } of tables) form.append("files", content, name);
  return send("/image-sets/columns", form).done;
}

define("ps-group-choice", GroupChoice);
