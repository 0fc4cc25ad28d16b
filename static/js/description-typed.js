// What a reader types about sentences goes to the server while it is typed, apart from the sentences themselves: whoever
// opens the page again under this name, in this browser or another one, is offered what was never saved.
import { api, listOf } from "./core.js";

const EVERY_MS = 400;

export class TypedWordings {
  #next = new Map();
  #timer = 0;
  #isSending = false;

  // left: what this reader typed before this page was opened: [{ id, class, text, unsaved, revision }].
  constructor(desk) {
    this.desk = desk;
    this.kept = new Map();
    this.left = [];
  }

  async find() {
    const { reader } = this.desk;
    const found = reader && (await this.desk.get("/unsaved", { reader, limit: 1000 }).then(listOf).catch(() => []));
    this.left = found || [];
    for (const { id, unsaved } of this.left) if (!this.kept.has(id)) this.kept.set(id, unsaved);
  }

  // What was typed about a sentence and not saved.
  of(row) {
    return this.kept.get(row.id);
  }

  note(row, text) {
    if (!this.desk.reader) return;
    this.kept.set(row.id, text);
    this.#next.set(row.id, { actor: this.desk.reader, text, revision: row.revision });
    this.#timer ||= setTimeout(() => this.#send(), EVERY_MS);
  }

  // It is on its way as an edit. Until that is answered the server knows it as typed.
  saved(row, text) {
    this.note(row, text);
    this.kept.delete(row.id);
    this.#send();
  }

  async forget(id) {
    this.kept.delete(id);
    this.#next.delete(id);
    this.left = this.left.filter((each) => each.id !== id);
    await api.delete(`${this.#path(id)}?${new URLSearchParams({ actor: this.desk.reader })}`).catch(() => {});
  }

  #path(id) {
    return this.desk.path(`/sentences/${encodeURIComponent(id)}/unsaved`);
  }

  // One after the other, the newest words of each. Where the server is away the next words are sent instead.
  async #send() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#next.size) {
      const [id, body] = this.#next.entries().next().value;
      this.#next.delete(id);
      await api.put(this.#path(id), body).catch(() => {});
    }
    this.#isSending = false;
  }
}
