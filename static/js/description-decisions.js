// What a reader decided on this page: shown at once, sent in the background, taken back one after the other.
import { announce, count } from "./core.js";

export const SAID = {
  approve: "Approved", reject: "Rejected", flag: "Flagged", edit: "Edited", remove: "Removed", restore: "Put back", reopen: "Decision taken back", settle: "Settled",
};

const DECIDING = ["approve", "reject", "flag"];

export const isDeciding = (kind) => DECIDING.includes(kind);

// tell: { refused(entry, text, theirs), many(words), saved(entry), note(text), error(error) }.
export class Decisions {
  constructor(desk, trail, signal, tell) {
    this.desk = desk;
    this.trail = trail;
    this.tell = tell;
    this.done = [];
    desk.outbox.addEventListener("answered", ({ detail }) => this.#take(detail.entry, detail.answer), { signal });
    desk.outbox.addEventListener("refused", ({ detail }) => this.#refused(detail.entry, detail.error), { signal });
  }

  get #who() {
    return { actor: this.desk.reader, blind: this.desk.isBlind, backbone: this.desk.encoder };
  }

  // body: { kind, ... }. shown: what the sentence looks like at once. goesWith: an earlier entry that is taken back together
  // with this one. Returns the entry of the outbox.
  send(row, body, shown, goesWith = null) {
    const before = { ...row };
    delete before.unsaved;
    const asked = { ...this.#who, ids: [row.id], ...body };
    if (!row.unsaved) asked.revisions = { [row.id]: row.revision };
    const about = { words: SAID[body.kind], text: row.text, row: row.id, after: row.unsaved?.key };
    Object.assign(row, shown);
    const entry = this.desk.outbox.add("/actions", asked, about);
    Object.assign(entry, { row, shown, last: before, before: goesWith?.before ?? before });
    row.unsaved = entry;
    if (goesWith) goesWith.together.push(entry);
    else this.#remember(entry);
    this.trail.changed(row);
    return entry;
  }

  giveReason(entry, reason, seconds) {
    announce("Reason noted");
    if (this.desk.outbox.amend(entry, { reason })) return;
    const body = { kind: "reject", reason, ...(seconds === null ? {} : { seconds }) };
    this.send(entry.row, body, { mine: { decision: "reject", reason } }, entry);
  }

  // Something about sentences that are not shown one by one; resolves to the answer, or null where it was refused.
  async many(body, words, text = "") {
    const entry = this.desk.outbox.add("/actions", { ...this.#who, ...body }, { words, text });
    const answer = await entry.done.catch(() => null);
    if (answer) this.#remember(entry);
    return answer;
  }

  #remember(entry) {
    this.done.push(Object.assign(entry, { together: [entry] }));
  }

  // ------------------------------------------------------------ taking back

  undo() {
    const last = this.done.pop();
    if (!last) return this.#undoEarlier();
    const { row, before } = last;
    const undone = [...last.together].reverse().map((entry) => {
      const about = { words: "Undo", text: before?.text, undoes: entry.key, row: row?.id };
      return this.desk.outbox.add("/undo", this.#who, about);
    });
    announce(`Undone: ${last.about.words}.`);
    if (!row) return this.#undoneMany(undone, last.about.words);
    const { mine, text, state, withdrawn } = before;
    for (const entry of undone) Object.assign(entry, { row, last: { ...row }, shown: { mine, text, state, withdrawn } });
    row.unsaved = undone.at(-1);
    return this.#backTo(row, before);
  }

  async #undoneMany(undone, words) {
    const answers = await Promise.all(undone.map((entry) => entry.done)).catch(() => null);
    if (answers) this.tell.many(`Taken back: ${words.toLowerCase()}.`);
  }

  // Nothing was done on this page yet: what this reader did before, as the server knows it.
  async #undoEarlier() {
    const known = this.desk.summary?.undoable;
    if (!known) return this.tell.note("There is nothing of yours to undo.");
    const entry = this.desk.outbox.add("/undo", { ...this.#who, action_id: known.id }, { words: "Undo" });
    const answer = await entry.done.catch(() => null);
    await this.desk.refresh();
    const [first] = answer?.sentences ?? [];
    if (!first) return undefined;
    this.trail.goTo(this.trail.get(first.id) ?? first);
    announce(`Undone: ${count(answer.sentences.length, "sentence")}.`);
    return undefined;
  }

  #backTo(row, before) {
    const { unsaved } = row;
    for (const name of Object.keys(row)) delete row[name];
    Object.assign(row, before, unsaved ? { unsaved } : {});
    this.trail.goTo(row);
    this.trail.changed(row);
  }

  // ------------------------------------------------------------ answers

  #take(entry, answer) {
    const { row } = entry;
    if (row?.unsaved === entry) delete row.unsaved;
    for (const sentence of answer.sentences ?? []) this.trail.put(sentence);
    if (row) this.trail.changed(row);
    this.tell.saved(entry);
  }

  // A refused decision brings its sentence back, with what somebody else made of it.
  async #refused(entry, error) {
    const { row } = entry;
    this.done = this.done.filter((other) => other !== entry && other.about.after !== entry.key);
    if (!row) return this.tell.error(error);
    if (row.unsaved && !this.desk.outbox.has(row.unsaved)) delete row.unsaved;
    const now = await this.desk.sentence(row.id).catch(() => null);
    this.#backTo(row, { ...entry.last, ...(now ?? {}) });
    const isOther = now && now.text !== entry.last.text;
    this.tell.refused(entry, `${entry.about.words} was not saved. ${error.message}`, isOther ? now.text : null);
    announce(`Not saved: ${error.message}`, { urgent: true });
    return undefined;
  }
}
