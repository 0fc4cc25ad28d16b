// The view As text: all sentences of a class in one field, one a line; to write the first texts, or to change many at once.
import { PsElement, announce, api, busy, button, count, define, errorNotice, field, fill, h } from "./core.js";
import { findingWord } from "./description-words.js";

const TEMPLATES = "templates";
const REMARK_MS = 250;
const MOST_REMARKS = 4;
// The shortest reach of a text tower in use; longer sentences are cut there.
const TOKENS_READ = 77;
// Medical words break into more pieces than everyday ones.
const TOKENS_PER_WORD = 1.6;

const plain = (text) => (text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []).join(" ");
const lines = (text) => text.split("\n").map((line) => line.split(/\s+/).filter(Boolean).join(" ")).filter(Boolean);

// What the sentences of a class say of themselves, without asking the server: [{ line, finding }].
export function remarks(className, sentences, times) {
  const name = plain(className);
  return sentences.flatMap((text, at) => {
    const found = [];
    if (times.get(plain(text)) > 1) found.push("duplicate");
    if (!plain(text).includes(name)) found.push("class_missing");
    if (text.split(" ").length * TOKENS_PER_WORD > TOKENS_READ) found.push("too_long");
    return found.map((finding) => ({ line: at + 1, finding }));
  });
}

// How two sets of sentences differ: { added, removed } sentences, a changed one being one of each.
export function difference(before, after) {
  let [added, removed] = [0, 0];
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const left = new Map();
    for (const text of before[name] ?? []) left.set(text, (left.get(text) ?? 0) + 1);
    for (const text of after[name] ?? []) {
      if (left.get(text) > 0) left.set(text, left.get(text) - 1);
      else added += 1;
    }
    removed += [...left.values()].reduce((sum, n) => sum + n, 0);
  }
  return { added, removed };
}

class DescriptionText extends PsElement {
  isDirty = false;

  async start() {
    this.show(busy("Loading the sentences…"));
    const { texts } = this.desk;
    this.before = texts ? await this.#wording() : {};
    this.origin = texts ? "edited" : TEMPLATES;
    this.fields = new Map();
    const sentences = texts ? this.before : await this.#preview(this.desk.imageSet.modality ?? "", "");
    this.show(h("div", { class: "ps-stack" },
      h("p", { class: "ps-soft" }, "One sentence a line. Saving compares them with the sentences there are: new lines are added, missing ones taken out; decisions on the others stay."),
      this.#templates(),
      this.desk.imageSet.classes.map(({ name }) => this.#class(name, sentences[name] ?? [])),
      this.#savePanel()));
    this.#changed();
  }

  // The newest version with what was added, taken out and edited since.
  async #wording() {
    const version = newest(this.desk.texts);
    const [saved, { added, removed, edited }] = await Promise.all([
      this.desk.get("", { version }), this.desk.get("/diff", { from: version, to: "now" }),
    ]);
    const wording = new Map(this.desk.imageSet.classes.map(({ name }) => [name, [...(saved.sentences[name] ?? [])]]));
    const swap = (name, before, ...after) => {
      const place = wording.get(name)?.indexOf(before) ?? -1;
      if (place >= 0) wording.get(name).splice(place, 1, ...after);
    };
    for (const row of removed) swap(row.class, row.text);
    for (const row of edited) {
      if (row.class_before === row.class) swap(row.class, row.before, row.after);
      else swap(row.class_before, row.before), wording.get(row.class)?.push(row.after);
    }
    for (const row of added) wording.get(row.class)?.push(row.text);
    return Object.fromEntries(wording);
  }

  async #preview(modality, template) {
    const query = new URLSearchParams({ image_set: this.desk.imageSet.id });
    if (modality) query.set("modality", modality);
    if (template) query.set("template", template);
    return (await api.get(`/description-sets/preview?${query}`, { signal: this.signal })).sentences;
  }

  get sentences() {
    return Object.fromEntries([...this.fields].map(([name, { input }]) => [name, lines(input.value)]));
  }

  // ------------------------------------------------------------ writing

  #class(name, sentences) {
    const input = h("textarea", { rows: "4", spellcheck: "true", class: "ps-lines", value: sentences.join("\n") });
    const remark = h("ul", { class: "ps-notes", hidden: true });
    this.fields.set(name, { input, remark });
    input.addEventListener("input", () => {
      if (this.origin === TEMPLATES) this.origin = "edited";
      this.isDirty = true;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#changed(), REMARK_MS);
    });
    return h("section", { class: "ps-card ps-class-text" }, field(`Sentences about ${name}`, input), remark);
  }

  #templates() {
    const modality = h("input", { type: "text", maxlength: "200", value: this.desk.imageSet.modality ?? "" });
    const template = h("input", { type: "text", maxlength: "500", placeholder: "a photo of a {}." });
    const said = h("div", {});
    const replace = async () => {
      try {
        const sentences = await this.#preview(modality.value.trim(), template.value.trim());
        for (const [name, { input }] of this.fields) input.value = (sentences[name] ?? []).join("\n");
        this.origin = TEMPLATES;
        this.#changed();
        fill(said, h("p", { class: "ps-hint" }, "All sentences were replaced. Nothing is saved yet."));
        announce("All sentences were replaced by template sentences. Nothing is saved yet.");
      } catch (error) {
        if (error.name !== "AbortError") fill(said, errorNotice(error));
      }
    };
    return h("details", { class: "ps-card ps-fold" },
      h("summary", {}, "Fill from templates"),
      h("div", { class: "ps-stack-s" },
        h("div", { class: "ps-grid" },
          field("What the pictures are", modality, "For example breast ultrasound image."),
          field("One sentence of your own (optional)", template, "With {} where the class name goes. Without it, built-in sentences are used.")),
        h("div", { class: "ps-actions" }, button("Replace all sentences", replace)),
        said));
  }

  // ------------------------------------------------------------ saving

  #savePanel() {
    const { texts, imageSet, reader } = this.desk;
    this.nameInput = h("input", { type: "text", maxlength: "200", value: texts?.name ?? `${imageSet.name}: texts` });
    this.authorInput = h("input", { type: "text", maxlength: "200", autocomplete: "name", value: reader });
    this.changeText = h("p", { class: "ps-soft", role: "status" });
    this.said = h("div", {});
    this.saveButton = button("", () => this.#save(), "main");
    return h("section", { class: "ps-card ps-save", "aria-label": "Save" },
      h("div", { class: "ps-grid" },
        !texts && field("Name of these texts", this.nameInput), field("Your name", this.authorInput, "Stands beside what you save.")),
      this.said,
      h("div", { class: "ps-row-between" }, this.changeText, this.saveButton));
  }

  #changed() {
    const after = this.sentences;
    const { added, removed } = difference(this.before, after);
    const { texts } = this.desk;
    this.isDirty = texts ? added + removed > 0 : this.origin !== TEMPLATES;
    this.changeText.textContent = !texts ? count(Object.values(after).flat().length, "sentence")
      : added + removed ? `${count(added, "new sentence")}, ${removed} removed` : "No change";
    this.saveButton.textContent = `Save as version ${texts ? newest(texts) + 1 : 1}`;
    this.#remark(after);
  }

  #remark(sentences) {
    const times = new Map();
    for (const text of Object.values(sentences).flat()) times.set(plain(text), (times.get(plain(text)) ?? 0) + 1);
    for (const [name, { remark }] of this.fields) {
      const found = remarks(name, sentences[name], times);
      remark.hidden = !found.length;
      fill(remark, found.slice(0, MOST_REMARKS).map(({ line, finding }) => h("li", {}, `Line ${line}: ${findingWord(finding)}`)),
        found.length > MOST_REMARKS && h("li", {}, `and ${found.length - MOST_REMARKS} more`));
    }
  }

  #mistake() {
    if (!this.nameInput.value.trim()) return "The texts need a name. Type one, such as “wording of spring”.";
    if (!this.authorInput.value.trim()) return "A version says who saved it. Type your name.";
    const bare = Object.entries(this.sentences).filter(([, texts]) => !texts.length).map(([name]) => `“${name}”`);
    return bare.length ? `Every class needs at least one sentence; there is none for ${bare.join(", ")}. Add one.` : "";
  }

  async #save() {
    const mistake = this.#mistake();
    if (mistake) return fill(this.said, errorNotice(new Error(mistake)));
    this.saveButton.disabled = true;
    const { texts, imageSet } = this.desk;
    try {
      const saved = await api.post("/description-sets", {
        image_set_id: imageSet.id,
        name: this.nameInput.value.trim(),
        sentences: this.sentences,
        author: this.authorInput.value.trim(),
        source: this.origin,
        based_on: texts ? newest(texts) : null,
      });
      this.desk.reader = this.authorInput.value;
      this.isDirty = false;
      this.dispatchEvent(new CustomEvent("ps-texts-saved", { detail: { texts: saved } }));
    } catch (error) {
      fill(this.said, errorNotice(error));
    } finally {
      this.saveButton.disabled = false;
    }
    return undefined;
  }
}

const newest = (texts) => Math.max(texts.version ?? 0, ...(texts.versions ?? []).map((row) => row.version));

define("ps-description-text", DescriptionText);
