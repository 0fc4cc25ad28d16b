// Decisions on their way to the server: one after the other, in the order they were made, each with a key so that sending
// it twice does it once. What is not acknowledged is also kept in the browser's database; a page that was closed too early
// finds it there again.
import { ApiError, api, newKey } from "./core.js";
import { forget, found, keep } from "./description-storage.js";

const PAUSE_MS = 3000;

// Nothing was decided about what was sent: the server is away or busy, or the session has ended.
const AWAY = new Set([0, 401, 429, 502, 503, 504]);
const isAway = (error) => error instanceof ApiError && AWAY.has(error.status);

// Fires "changed" when what is on its way changes, "answered" { entry, answer }, "refused" { entry, error }, "idle".
export class Outbox extends EventTarget {
  #entries = [];
  #answered = new Map();
  #isSending = false;
  #timer = 0;

  // path: of the description set in the API; what is added says the rest, such as "/actions".
  constructor(path, name) {
    super();
    this.path = path;
    this.prefix = `${name}:`;
    this.problem = null;
    this.before = [];
  }

  // What an earlier page left unacknowledged; to be asked before anything is added.
  async findBefore() {
    this.before = (await found(this.prefix)).sort((a, b) => a.at - b.at);
  }

  get waiting() {
    return this.#entries.length;
  }

  // rest: "/actions" or "/undo". about: what a person would recognise it by. Returns the entry; its `done` resolves to
  // the answer or rejects with the error.
  add(rest, body, about = {}, key = newKey()) {
    const entry = { key, rest, body, about, at: performance.timeOrigin + performance.now() };
    entry.done = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    entry.done.catch(() => {});
    this.#entries.push(entry);
    this.#keep(entry);
    this.#changed();
    this.#send();
    return entry;
  }

  has(entry) {
    return this.#entries.includes(entry);
  }

  // Puts on a sentence of the server what is still on its way there.
  onTheWay(row) {
    for (const entry of this.#entries) {
      if (entry.row?.id !== row.id) continue;
      Object.assign(row, entry.shown, { unsaved: entry });
      entry.row = row;
    }
  }

  // Whether it has not been sent yet, so that it can still be changed.
  amend(entry, body) {
    const place = this.#entries.indexOf(entry);
    if (place < (this.#isSending ? 1 : 0)) return false;
    Object.assign(entry.body, body);
    this.#keep(entry);
    return true;
  }

  tryNow() {
    clearTimeout(this.#timer);
    this.#send();
  }

  // What `before` holds: sent again with the same keys, or thrown away.
  sendAgain() {
    return this.before.splice(0).map(({ rest, body, about, key }) => this.add(rest, body, about, key));
  }

  forgetBefore() {
    for (const { key } of this.before.splice(0)) forget(this.prefix + key);
  }

  async #send() {
    if (this.#isSending || !this.#entries.length) return;
    this.#isSending = true;
    const entry = this.#entries[0];
    try {
      const answer = await api.post(this.path + entry.rest, this.#bodyOf(entry), { key: entry.key });
      this.problem = null;
      this.#answered.set(entry.key, answer);
      this.#settle(entry);
      entry.resolve(answer);
      this.dispatchEvent(new CustomEvent("answered", { detail: { entry, answer } }));
    } catch (error) {
      if (isAway(error)) this.#waitFor(error);
      else this.#refuse(entry, error);
    } finally {
      this.#isSending = false;
    }
    if (this.problem) return;
    this.#changed();
    if (this.#entries.length) this.#send();
    else this.dispatchEvent(new Event("idle"));
  }

  // What only the answer to an earlier entry tells: the action to undo, the revision that followed.
  #bodyOf({ body, about }) {
    const undone = about.undoes && this.#answered.get(about.undoes)?.action?.id;
    if (undone) return { ...body, action_id: undone };
    const seen = about.after && this.#answered.get(about.after)?.sentences?.find((row) => row.id === about.row);
    return seen ? { ...body, revisions: { [seen.id]: seen.revision } } : body;
  }

  #waitFor(error) {
    this.problem = error;
    this.#changed();
    this.#timer = setTimeout(() => this.#send(), PAUSE_MS);
  }

  #refuse(entry, error) {
    this.problem = null;
    this.#settle(entry);
    // Taking back what never came to be would take back something else; what followed was about what is not there.
    const pointless = this.#entries.filter(({ about }) => [about.undoes, about.after].includes(entry.key));
    for (const other of pointless) {
      this.#settle(other);
      other.resolve(null);
    }
    entry.reject(error);
    this.dispatchEvent(new CustomEvent("refused", { detail: { entry, error } }));
  }

  #keep({ key, rest, body, about, at }) {
    keep(this.prefix + key, { key, rest, body, about, at });
  }

  #settle(entry) {
    this.#entries = this.#entries.filter((other) => other !== entry);
    forget(this.prefix + entry.key);
  }

  #changed() {
    this.dispatchEvent(new Event("changed"));
  }
}
