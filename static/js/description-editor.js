// Editing the sentences of each class beside three of its images, with remarks on every sentence.
//
// Reads and gives { class: [sentence] }. Fires "ps-edited" when a sentence changed.
import { PsElement, announce, api, button, chip, count, define, h, listOf } from "./core.js";
import { thumbnail } from "./thumbnails.js";

const EXAMPLES = 3;
const LOOKED_AT = 12;
// The shortest reach of a text tower in use; longer sentences are cut there.
const TOKENS_READ = 77;
// Medical words break into more pieces than everyday ones.
const TOKENS_PER_WORD = 1.6;

const REMARKS = {
  duplicate: "said twice",
  near_duplicate: "nearly said twice",
  not_visible: "not visible in an image",
  negated: "says what is not there",
  class_missing: "class not named",
  language: "not English",
  length: "too short or too long",
  too_long: "cut by the text tower",
  near_other_class: "fits another class too",
  outlier: "unlike its class",
};

const plain = (text) => (text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []).join(" ");
const tidy = (text) => text.split(/\s+/).filter(Boolean).join(" ");

// What the sentences say of themselves, without asking the server: [{ finding, detail }].
export function remarks(className, text, times) {
  const found = [];
  const words = tidy(text).split(" ").filter(Boolean).length;
  if (!words) return [{ finding: "empty", detail: "An empty line is left out when you save." }];
  if (times > 1) found.push({ finding: "duplicate", detail: `Stands ${times} times in these texts.` });
  if (!plain(text).includes(plain(className))) found.push({ finding: "class_missing", detail: "Does not name its class." });
  if (words * TOKENS_PER_WORD > TOKENS_READ)
    found.push({ finding: "too_long", detail: `About ${Math.round(words * TOKENS_PER_WORD)} tokens; some models read ${TOKENS_READ} and no further.` });
  return found;
}

// How two sets of sentences differ: { added, removed } sentences, a changed one being one of each.
export function difference(before, after) {
  let added = 0;
  let removed = 0;
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const left = [...(before[name] ?? [])];
    for (const text of after[name] ?? []) {
      const place = left.indexOf(text);
      if (place >= 0) left.splice(place, 1);
      else added += 1;
    }
    removed += left.length;
  }
  return { added, removed };
}

export function differenceText({ added, removed }) {
  if (!added && !removed) return "No change";
  return `${count(added, "new sentence")}, ${removed} removed`;
}

class DescriptionEditor extends PsElement {
  #set = null;
  #cards = new Map();
  #findings = [];

  // imageSet: { id, classes: [{ name }] }; sentences: { class: [text] }; findings: rows of the server's check.
  fill(imageSet, sentences, findings = []) {
    this.#set = imageSet;
    this.#findings = findings;
    this.#cards = new Map(imageSet.classes.map(({ name }) => [name, new ClassCard(this, name, sentences[name] ?? [])]));
    this.show(h("div", { class: "ps-stack" }, [...this.#cards.values()].map((card) => card.node)));
    this.#cards.forEach((card) => this.#showExamples(card));
    this.remark();
  }

  get sentences() {
    return Object.fromEntries([...this.#cards].map(([name, card]) => [name, card.texts.map(tidy).filter(Boolean)]));
  }

  // Called by the cards after each change.
  changed() {
    this.remark();
    this.dispatchEvent(new CustomEvent("ps-edited", { bubbles: true }));
  }

  remark() {
    const times = new Map();
    for (const card of this.#cards.values())
      for (const text of card.texts) times.set(plain(text), (times.get(plain(text)) ?? 0) + 1);
    for (const card of this.#cards.values()) card.remark(times, this.#findings);
  }

  async #showExamples(card) {
    const query = new URLSearchParams({ class: card.name, limit: LOOKED_AT });
    try {
      const images = listOf(await api.get(`/image-sets/${this.#set.id}/images?${query}`, { signal: this.signal }));
      // Black or washed-out pictures show nothing to describe.
      images.sort((a, b) => (a.findings?.length ?? 0) - (b.findings?.length ?? 0));
      card.examples.replaceChildren(...images.slice(0, EXAMPLES).map((image) => h("li", { class: "ps-example" }, thumbnail(image))));
    } catch {
      // The sentences can be edited without their examples.
      card.examples.replaceChildren(h("li", { class: "ps-hint" }, "The example images could not be loaded."));
    }
  }
}

class ClassCard {
  constructor(editor, name, texts) {
    this.editor = editor;
    this.name = name;
    this.rows = [];
    this.examples = h("ul", { class: "ps-examples", "aria-label": `Example images of ${name}` });
    this.list = h("ol", { class: "ps-sentences" });
    this.undo = h("div", { class: "ps-row" });
    this.node = h(
      "section",
      { class: "ps-card ps-class-card", "aria-label": `Sentences about ${name}` },
      h("div", { class: "ps-stack-s" }, h("h3", { class: "ps-break" }, name), this.examples),
      h("div", { class: "ps-stack-s" }, this.list, this.undo,
        h("div", { class: "ps-actions" }, button("Add a sentence", () => this.#append(""), "small"))),
    );
    texts.forEach((text) => this.#insert(this.rows.length, text));
  }

  get texts() {
    return this.rows.map((row) => row.input.value);
  }

  #append(text) {
    this.#insert(this.rows.length, text).input.focus();
    this.editor.changed();
  }

  #insert(place, text) {
    const row = new SentenceRow(this, text);
    this.list.insertBefore(row.node, this.rows[place]?.node ?? null);
    this.rows.splice(place, 0, row);
    this.#number();
    return row;
  }

  #number() {
    this.rows.forEach((row, i) => row.number(i + 1, this.name));
  }

  // Enter in a sentence: the next one begins below it.
  insertAfter(row) {
    this.#insert(this.rows.indexOf(row) + 1, "").input.focus();
    this.editor.changed();
  }

  remove(row) {
    const place = this.rows.indexOf(row);
    this.rows.splice(place, 1);
    row.node.remove();
    this.#number();
    this.#offerUndo(place, row.input.value);
    this.editor.changed();
  }

  #offerUndo(place, text) {
    const back = button("Put it back", () => {
      this.undo.replaceChildren();
      this.#insert(Math.min(place, this.rows.length), text).input.focus();
      this.editor.changed();
    }, "small");
    this.undo.replaceChildren(h("span", { class: "ps-hint" }, "Sentence removed."), back);
    announce("Sentence removed. It can be put back.");
    back.focus();
  }

  remark(times, findings) {
    for (const row of this.rows) {
      const text = tidy(row.input.value);
      const said = findings.filter((f) => f.class === this.name && tidy(f.sentence) === text);
      const seen = remarks(this.name, text, times.get(plain(text)) ?? 0);
      row.remark([...said, ...seen.filter((s) => !said.some((f) => f.finding === s.finding))]);
    }
  }
}

class SentenceRow {
  constructor(card, text) {
    this.input = h("textarea", { rows: "1", maxlength: "2000", spellcheck: "true", value: text });
    this.label = h("label", { class: "ps-visually-hidden" });
    this.length = h("span", { class: "ps-hint" });
    this.remarks = h("span", { class: "ps-remarks" });
    this.removal = h("button", { type: "button", class: "ps-button ps-button-quiet", onclick: () => card.remove(this) }, "Remove");
    this.input.addEventListener("input", () => card.editor.changed());
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      card.insertAfter(this);
    });
    this.node = h("li", {}, this.label, this.input, this.removal, h("div", { class: "ps-sentence-foot" }, this.length, this.remarks));
  }

  number(n, className) {
    this.input.id ||= `ps-sentence-${(SentenceRow.count = (SentenceRow.count ?? 0) + 1)}`;
    this.label.htmlFor = this.input.id;
    this.label.textContent = `Sentence ${n} about ${className}`;
    this.removal.setAttribute("aria-label", `Remove sentence ${n} about ${className}`);
  }

  remark(found) {
    const words = tidy(this.input.value).split(" ").filter(Boolean).length;
    this.length.textContent = words ? `${count(words, "word")}, about ${count(Math.round(words * TOKENS_PER_WORD), "token")}` : "";
    this.remarks.replaceChildren(...found.map(({ finding, detail }) =>
      h("span", { class: "ps-remark" }, chip(REMARKS[finding] ?? finding.replaceAll("_", " "), "warn"), h("span", { class: "ps-hint" }, detail))));
  }
}

define("ps-description-editor", DescriptionEditor);
