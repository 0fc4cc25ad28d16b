// One sentence large: its class and what that looks like, what is known of it, and what can be decided.
import { announce, button, chip, count, fill, h, moment } from "./core.js";
import { evidenceLine, findingWord, REASONS, reviewLine, STATES, stateChip, whoWrote, kindWord } from "./description-words.js";
import { KEYS } from "./description-keys.js";
import { uid } from "./follow.js";
import { showImages, thumbnail } from "./thumbnails.js";

const LONGEST = 2000;

// ask: { decide(kind, more), edit(), save(text, approve), undo(), step(by), remove(), restore(), reopen(), settle(approve) }.
export class SentenceCard {
  constructor(desk, ask) {
    this.desk = desk;
    this.ask = ask;
    this.row = null;
    this.className = null;
    this.title = h("h3", { class: "ps-break", tabindex: "-1" });
    this.place = h("span", { class: "ps-soft" });
    this.examples = h("ul", { class: "ps-examples ps-review-examples" });
    this.words = h("div", { class: "ps-review-words" });
    this.known = h("div", { class: "ps-stack-s ps-review-known" });
    this.problem = h("div", {});
    this.buttons = this.#buttons();
    this.more = h("details", { class: "ps-inline-fold" });
    this.more.addEventListener("toggle", () => this.more.open && this.#drawMore());
    this.node = h("section", { class: "ps-card ps-review-card", "aria-label": "Sentence" },
      h("div", { class: "ps-row-between" }, this.title, this.place),
      this.examples, this.words, this.known, this.problem, this.buttons, this.more);
  }

  // Whether something typed would be lost.
  get isDirty() {
    return Boolean(this.input && this.input.value.trim() !== this.row?.text);
  }

  get isEditing() {
    return Boolean(this.input);
  }

  // ------------------------------------------------------------ showing

  show(row, place) {
    const isOther = row?.id !== this.row?.id;
    if (isOther) this.#leaveEditor();
    this.row = row;
    if (isOther) {
      this.more.open = false;
      fill(this.problem);
    }
    fill(this.place, place);
    this.#drawClass();
    if (!this.input) this.#drawWords();
    this.#drawKnown();
    this.#drawPressed();
    fill(this.more, h("summary", {}, "More about this sentence"));
    if (this.more.open) this.#drawMore();
  }

  fail(error, theirs = null) {
    fill(this.problem, h("div", { class: "ps-notice ps-notice-bad", role: "alert" },
      h("p", {}, error.message), theirs && h("p", {}, "It reads now: ", h("q", { class: "ps-break" }, theirs))));
  }

  async #drawClass() {
    const { class: name } = this.row;
    fill(this.title, name);
    if (this.className === name) return;
    this.className = name;
    this.examples.setAttribute("aria-label", `Training images of ${name}`);
    fill(this.examples, h("li", { class: "ps-hint" }, "Loading example images…"));
    try {
      const images = await this.desk.examples(name);
      if (this.className !== name) return;
      const show = (place) => h("button", { type: "button", class: "ps-tile", "aria-label": `Training image ${place + 1} of ${name}, show large`, onclick: () => showImages(images, place) }, thumbnail(images[place]));
      fill(this.examples, images.map((_, place) => h("li", {}, show(place))),
        !images.length && h("li", { class: "ps-hint" }, "This class has no training image."));
    } catch (error) {
      if (error.name !== "AbortError" && this.className === name) fill(this.examples, h("li", { class: "ps-hint" }, "The example images could not be loaded."));
    }
  }

  #drawWords() {
    fill(this.words, h("blockquote", { class: "ps-review-text ps-break" }, withCut(this.row)));
  }

  #drawKnown() {
    const { row } = this;
    const isHidden = this.desk.isBlind && !row.mine;
    const tokens = Number.isFinite(row.tokens) && h("span", { class: row.tokens > row.limit ? "ps-over" : "ps-soft" }, `${row.tokens} of ${row.limit} tokens of “${this.desk.encoder}”${row.lost ? "; what is struck is not read" : ""}`);
    const others = (row.reviews ?? []).filter((review) => review.reader !== this.desk.reader);
    fill(this.known,
      h("div", { class: "ps-row" }, row.withdrawn ? chip("Removed", "bad") : !isHidden && stateChip(row.state), row.mine && chip(...mineChip(row)), tokens,
        h("span", { class: "ps-soft ps-break" }, whoWrote(row))),
      isHidden && h("p", { class: "ps-hint" }, "Blind: what checks, images and other readers say is shown once you decided."),
      row.findings?.length > 0 && h("ul", { class: "ps-review-findings" }, row.findings.map(({ finding, detail }) =>
        h("li", { class: "ps-remark" }, chip(findingWord(finding), "warn"), h("span", { class: "ps-hint" }, detail)))),
      evidenceLine(row.evidence),
      others.length > 0 && h("p", { class: "ps-row" }, others.map((review) => h("span", {}, reviewLine(review)))));
  }

  // ------------------------------------------------------------ deciding

  #buttons() {
    const one = (name, text, act, kind = "") => {
      const node = button("", act, kind);
      node.dataset.act = name;
      node.classList.add("ps-review-button");
      node.append(text, h("kbd", { class: "ps-key", "aria-hidden": "true" }, KEYS[name][1]));
      return node;
    };
    return h("div", { class: "ps-review-buttons", role: "group", "aria-label": "Decide" },
      one("approve", "Approve", () => this.ask.decide("approve"), "main"),
      one("reject", "Reject", () => this.ask.decide("reject")),
      one("edit", "Edit", () => this.ask.edit()),
      one("flag", "Flag", () => this.ask.decide("flag")),
      one("undo", "Undo", () => this.ask.undo()),
      one("previous", "Previous", () => this.ask.step(-1)),
      one("next", "Next", () => this.ask.step(1)));
  }

  #drawPressed() {
    for (const kind of ["approve", "reject", "flag"])
      this.buttons.querySelector(`[data-act=${kind}]`).setAttribute("aria-pressed", String(this.row.mine?.decision === kind));
    this.buttons.classList.toggle("ps-keys-off", !this.desk.hasKeys);
  }

  // ------------------------------------------------------------ editing

  edit(text = null) {
    if (this.input) return this.input.focus();
    const id = uid("wording");
    this.input = h("textarea", { id, rows: "2", maxlength: LONGEST, spellcheck: "true", class: "ps-review-text", value: text ?? this.desk.typed.of(this.row) ?? this.row.text });
    this.input.addEventListener("input", () => this.desk.typed.note(this.row, this.input.value));
    this.input.addEventListener("keydown", (event) => this.#editorKey(event));
    fill(this.words,
      h("label", { for: id, class: "ps-label" }, `Wording about ${this.row.class}`),
      this.input,
      h("div", { class: "ps-actions" },
        button("Save", () => this.#save(false), "small"), button("Save and approve", () => this.#save(true), "small"), button("Leave", () => this.#leave(), "small"),
        h("span", { class: "ps-hint" }, "Enter saves, Ctrl+Enter saves and approves, Escape leaves.")));
    this.buttons.hidden = true;
    this.input.focus();
    this.input.setSelectionRange(this.input.value.length, this.input.value.length);
  }

  #editorKey(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") this.#leave();
    else if (event.key === "Enter") this.#save(event.ctrlKey || event.metaKey);
    else return;
    event.preventDefault();
  }

  #save(approve) {
    const text = this.input.value.split(/\s+/).filter(Boolean).join(" ");
    if (!text) return this.fail(new Error("A sentence needs words. Write some, or leave and remove it."));
    this.desk.typed.saved(this.row, text);
    this.#leaveEditor();
    this.title.focus({ preventScroll: true });
    this.ask.save(text, approve);
  }

  // What was typed is there again when the sentence is edited next.
  #leave() {
    this.#leaveEditor();
    this.#drawWords();
    this.title.focus({ preventScroll: true });
    announce("Not edited");
  }

  #leaveEditor() {
    this.input = null;
    this.buttons.hidden = false;
  }

  // ------------------------------------------------------------ what is rarely needed

  async #drawMore() {
    const { row } = this;
    const history = h("div", {}, h("p", { class: "ps-hint" }, "Loading its history…"));
    const isDisputed = row.state === "needs_second_reader" && !(this.desk.isBlind && !row.mine);
    fill(this.more, h("summary", {}, "More about this sentence"),
      h("div", { class: "ps-stack-s" },
        h("div", { class: "ps-actions" },
          row.mine && button("Take back my decision", () => this.ask.reopen(), "small"),
          isDisputed && button("Settle as approved", () => this.ask.settle(true), "small"),
          isDisputed && button("Settle as rejected", () => this.ask.settle(false), "small"),
          row.withdrawn ? button("Put back into the set", () => this.ask.restore(), "small") : button("Remove from the set", () => this.ask.remove(), "small")),
        history));
    if (this.desk.isBlind && !row.mine) return fill(history, h("p", { class: "ps-hint" }, "Its history is shown once you decided."));
    try {
      const whole = await this.desk.get(`/sentences/${encodeURIComponent(row.id)}`, { reader: this.desk.reader });
      if (this.row !== row) return;
      fill(history, h("ol", { class: "ps-history" }, [...whole.revisions].reverse().map(revisionLine)));
    } catch (error) {
      if (error.name !== "AbortError") fill(history, h("p", { class: "ps-hint" }, error.message));
    }
  }
}

const revisionLine = (revision) => h("li", {},
  h("span", { class: "ps-row" }, h("span", {}, `${revision.actor}: ${kindWord(revision.kind).toLowerCase()}`), stateChip(revision.state),
    h("span", { class: "ps-hint" }, moment(revision.at))),
  h("span", { class: "ps-break ps-soft" }, revision.text));

function mineChip({ mine, unsaved }) {
  const word = { approve: "You approved", reject: "You rejected", flag: "You flagged" }[mine.decision] ?? mine.decision;
  return [unsaved ? `${word}, saving…` : word, STATES[{ approve: "approved", reject: "rejected", flag: "needs_second_reader" }[mine.decision]]?.[1]];
}

// The words that a text tower does not read are struck.
function withCut({ text, lost }) {
  if (!lost) return text;
  const pieces = text.trimEnd().split(/(\s+)/);
  const at = Math.max(0, pieces.length - 2 * lost.trim().split(/\s+/).length + 1);
  return [pieces.slice(0, at).join(""), h("s", { class: "ps-lost", title: "The text tower does not read this" },
    h("span", { class: "ps-visually-hidden" }, "Not read by the text tower: "), pieces.slice(at).join(""))];
}

// The strip under the sentence after a rejection: why, if the reader wants to say.
export function reasonStrip(text, choose) {
  const input = h("input", { type: "text", maxlength: "300", "aria-label": "Other reason" });
  const form = h("form", { class: "ps-row", hidden: true }, input, h("button", { type: "submit", class: "ps-button ps-button-small" }, "Save the reason"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose(input.value.trim() || "other");
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose("other");
  });
  const openText = () => {
    form.hidden = false;
    input.focus();
  };
  const pick = (n) => (REASONS[n - 1][0] === "other" ? openText() : choose(REASONS[n - 1][0]));
  const node = h("div", { class: "ps-strip-after", role: "group", "aria-label": "Why rejected" },
    h("p", { class: "ps-break" }, "Rejected: ", h("q", {}, text), " Why? Only if you want to say."),
    h("div", { class: "ps-row" }, REASONS.map(([, word], place) => {
      const node = button(word, () => pick(place + 1), "small");
      node.prepend(h("kbd", { class: "ps-key", "aria-hidden": "true" }, String(place + 1)));
      return node;
    })),
    form);
  return { node, pick };
}

export const placeText = (at, total) => (total ? `${at + 1} of ${count(total, "sentence")}` : "");
