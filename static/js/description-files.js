// Sentences read from a file and taken along as one.
import { api, at, busy, button, count, errorNotice, field, fill, h, newKey } from "./core.js";

const MOST_BYTES = 20e6;

const choice = (layouts, first) => h("select", {}, first && h("option", { value: "" }, first), layouts.map(({ name, title }) => h("option", { value: name }, title)));

export class FilesPanel {
  // layouts: [{ name, title, suffix }]. added(words): sentences are in these texts now.
  constructor(desk, layouts, { added }) {
    this.desk = desk;
    this.layouts = layouts;
    this.added = added;
    this.node = h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-files-title" },
      h("h3", { id: "ps-files-title" }, "Files"), this.#reading(), this.#writing());
  }

  #reading() {
    const accept = [...new Set(this.layouts.map(({ suffix }) => suffix))].join(",");
    const file = h("input", { type: "file", accept });
    const layout = choice(this.layouts, "As its name ends");
    const said = h("div", {});
    const go = button("Read the file", async () => {
      const [chosen] = file.files;
      if (!chosen) return fill(said, errorNotice(new Error("There is no file yet. Choose one first.")));
      if (chosen.size > MOST_BYTES) return fill(said, errorNotice(new Error("A file of sentences has at most 20 MB. Choose a smaller one.")));
      go.disabled = true;
      fill(said, busy("Reading…"));
      try {
        const body = { text: await chosen.text(), name: chosen.name, layout: layout.value || null, actor: this.desk.reader || "owner" };
        const found = await api.post(this.desk.path("/import"), body, { key: newKey() });
        file.value = "";
        fill(said, otherClasses(found.other_classes));
        await this.added(addedWords(found, `“${chosen.name}”`));
      } catch (error) {
        if (error.name !== "AbortError") fill(said, errorNotice(error));
      } finally {
        go.disabled = false;
      }
      return undefined;
    });
    return h("div", { class: "ps-stack-s" },
      h("div", { class: "ps-grid" },
        field("File with sentences", file, "Read as data; nothing in it is run."),
        field("Layout", layout, "Plain JSON or CSV, or that of a public repository.")),
      said, h("div", { class: "ps-actions" }, go));
  }

  #writing() {
    const layout = choice(this.layouts);
    const link = h("a", { class: "ps-button", download: "" }, "Save a copy");
    const show = () => link.setAttribute("href", at(`/api/v1${this.desk.path(`/export?layout=${encodeURIComponent(layout.value)}&version=now`)}`));
    layout.addEventListener("change", show);
    show();
    return h("div", { class: "ps-row ps-export" }, field("Take the sentences along as", layout), link);
  }
}

// What an import did, in a sentence. from: where the sentences are from.
export function addedWords({ added, known }, from) {
  const there = known ? `${added ? "; " : ""}${known} ${known === 1 ? "was" : "were"} there already` : "";
  if (!added) return `Nothing of ${from} is new${there ? `: ${there}` : ""}.`;
  return `${count(added, "sentence")} from ${from} ${added === 1 ? "is a draft" : "are drafts"} now${there}.`;
}

function otherClasses(names) {
  if (!names?.length) return null;
  return h("p", { class: "ps-notice ps-notice-warn" }, `Left out, since the images have no such class: ${names.join(", ")}.`);
}
