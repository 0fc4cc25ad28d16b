// What was not saved when the page was last closed, offered again: decisions that had no answer, and words that were typed.
import { button, count, fill, h } from "./core.js";

export class LeftOver {
  // ask: { done(): nothing is left to be said, edit(id): go on with what was typed }.
  constructor(desk, ask) {
    this.desk = desk;
    this.ask = ask;
    this.node = h("div", { class: "ps-stack-s" });
    desk.outbox.addEventListener("answered", ({ detail: { entry } }) => entry.body.kind === "edit" && this.#gone(entry.body.ids[0]));
    this.draw();
  }

  draw() {
    fill(this.node, this.#decisions(), this.#typed());
  }

  #answered() {
    this.draw();
    if (!this.node.childElementCount) this.ask.done();
  }

  // ------------------------------------------------------------ decisions without an answer

  #decisions() {
    const { outbox } = this.desk;
    if (!outbox.before.length) return null;
    const rows = outbox.before.map(({ body, about }) => h("li", { class: "ps-break" }, `${about.words ?? body.kind ?? "Change"}: “${body.text ?? about.text ?? ""}”`));
    return notice(`When this page was last closed, ${count(rows.length, "change")} of yours had no answer yet. Sending again does nothing twice.`,
      rows, [
        button("Send again", () => {
          outbox.sendAgain();
          this.#answered();
        }, "main"),
        button("Forget them", () => {
          for (const { id } of this.#typedOf(outbox.before)) this.desk.typed.forget(id);
          outbox.forgetBefore();
          this.#answered();
        })]);
  }

  #typedOf(entries) {
    const isThat = ({ body }, { id, unsaved }) => body.kind === "edit" && body.ids?.[0] === id && body.text === unsaved;
    return this.desk.typed.left.filter((each) => entries.some((entry) => isThat(entry, each)));
  }

  // ------------------------------------------------------------ words that were typed

  #typed() {
    const offered = this.#typedOf(this.desk.outbox.before);
    const rows = this.desk.typed.left.filter((each) => !offered.includes(each));
    if (!rows.length) return null;
    return notice(`You typed about ${count(rows.length, "sentence")} and did not save it.`, rows.map((each) => this.#row(each)));
  }

  #row({ id, class: name, text, unsaved, revision }) {
    const { desk } = this;
    const save = () => {
      const body = { kind: "edit", actor: desk.reader, blind: desk.isBlind, backbone: desk.encoder, ids: [id], text: unsaved, revisions: { [id]: revision } };
      desk.outbox.add("/actions", body, { words: "Edited", text, row: id });
      desk.typed.saved({ id, revision }, unsaved);
      this.#leave(id);
    };
    return h("li", { class: "ps-stack-s" },
      h("p", { class: "ps-break" }, `${name}: “${unsaved}”`),
      h("p", { class: "ps-hint ps-break" }, `It reads now: “${text}”`),
      h("div", { class: "ps-actions" },
        button("Save it", save, "small"),
        button("Go on editing", () => {
          this.#gone(id);
          this.ask.edit(id);
        }, "small"),
        button("Throw it away", () => {
          desk.typed.forget(id);
          this.#leave(id);
        }, "small")));
  }

  #leave(id) {
    this.#gone(id);
    this.#answered();
  }

  #gone(id) {
    this.desk.typed.left = this.desk.typed.left.filter((each) => each.id !== id);
    this.draw();
  }
}

const notice = (text, rows, actions = []) =>
  h("div", { class: "ps-notice ps-notice-warn", role: "alert" }, h("p", {}, text), h("ul", {}, rows),
    actions.length > 0 && h("div", { class: "ps-actions" }, actions));
