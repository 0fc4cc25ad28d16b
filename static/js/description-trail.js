// The sentences a reader walks through: asked for in pieces, kept in the order they came, so that what was decided stays
// where it was and one can go back to it.
import { listOf } from "./core.js";

const PIECE = 100;
const AHEAD = 50;

export const NO_FILTERS = { queue: "pending", class: "", state: "", finding: "", author_kind: "", q: "", order: "given" };

// Fires "busy" when it begins again and when it is there, "rows" (there are more or
// other rows), "row" { row } (one is different), "current" (another is looked at).
export class Trail extends EventTarget {
  #byId = new Map();
  #asking = null;
  #round = 0;

  constructor(desk) {
    super();
    this.desk = desk;
    this.filters = { ...NO_FILTERS };
    this.rows = [];
    this.total = 0;
    this.at = -1;
    this.isComplete = false;
    this.isRestarting = false;
  }

  get current() {
    return this.rows[this.at] ?? null;
  }

  get = (id) => this.#byId.get(id);

  // Begins again, with other filters where they are given; `first` is looked at first, wherever it would stand.
  async restart(filters = {}, first = null) {
    const round = (this.#round += 1);
    this.#asking = null;
    this.filters = { ...this.filters, ...filters };
    this.rows = [];
    this.#byId.clear();
    this.at = -1;
    this.isComplete = false;
    this.isRestarting = true;
    this.dispatchEvent(new Event("busy"));
    if (first) this.#add([first]);
    try {
      await this.more();
      if (round === this.#round) this.go(0);
    } finally {
      if (round === this.#round) this.isRestarting = false;
      this.dispatchEvent(new Event("busy"));
    }
  }

  // The next piece. What leaves the queue once it is decided moves the rest forward, so only what still counts is skipped.
  more() {
    if (this.#asking) return this.#asking;
    const asking = this.#askMore().finally(() => {
      if (this.#asking === asking) this.#asking = null;
    });
    this.#asking = asking;
    return asking;
  }

  async #askMore() {
    const round = this.#round;
    const isPending = this.filters.queue === "pending";
    let offset = isPending ? this.rows.filter((row) => !row.mine && !row.unsaved).length : this.rows.length;
    let fromStart = offset === 0 || !isPending;
    for (;;) {
      const page = await this.#ask(offset);
      if (round !== this.#round) return;
      const found = listOf(page);
      const isEnd = offset + found.length >= page.total;
      this.total = page.total;
      this.isComplete = isEnd && fromStart;
      if (this.#add(found) || this.isComplete) break;
      // All known: what is new, if anything, stands further on, or before the place that was asked for.
      if (isEnd) fromStart = true;
      offset = isEnd ? 0 : offset + found.length;
    }
    this.dispatchEvent(new Event("rows"));
  }

  #ask(offset) {
    return this.desk.get("/sentences", { ...this.filters, ...this.desk.asRead, limit: PIECE, offset });
  }

  #add(found) {
    const fresh = found.filter((row) => !this.#byId.has(row.id));
    for (const row of fresh) {
      this.desk.outbox.onTheWay(row);
      this.#byId.set(row.id, row);
      this.rows.push(row);
    }
    for (const row of found) if (!fresh.includes(row)) this.put(row);
    return fresh.length > 0;
  }

  // Others may have changed what is shown: asks for the piece around the place again.
  async renew() {
    const round = this.#round;
    this.isComplete = false;
    const page = await this.#ask(0);
    if (round !== this.#round) return;
    this.total = page.total;
    this.#add(listOf(page));
    this.dispatchEvent(new Event("rows"));
  }

  // A sentence as the server has it now; what is still on its way is not written over.
  put(sentence) {
    const row = this.#byId.get(sentence.id);
    if (!row || row.unsaved) return;
    for (const [name, value] of Object.entries(sentence)) row[name] = value;
    this.changed(row);
  }

  changed(row) {
    this.dispatchEvent(new CustomEvent("row", { detail: { row } }));
  }

  // ------------------------------------------------------------ walking

  go(place) {
    if (!this.rows.length) this.at = -1;
    else this.at = Math.max(0, Math.min(place, this.rows.length - 1));
    if (!this.isComplete && this.at >= this.rows.length - AHEAD) this.more().catch(() => {});
    this.dispatchEvent(new Event("current"));
  }

  // Looks at a sentence; one that is not among the rows is put before the place.
  goTo(sentence) {
    const place = this.rows.findIndex((row) => row.id === sentence.id);
    if (place >= 0) return this.go(place);
    this.#byId.set(sentence.id, sentence);
    this.rows.splice(Math.max(this.at, 0), 0, sentence);
    this.dispatchEvent(new Event("rows"));
    this.go(Math.max(this.at, 0));
  }

  // The next or previous one; false where there is none.
  async step(by) {
    if (by > 0 && this.at + by >= this.rows.length && !this.isComplete) await this.more();
    const to = this.at + by;
    if (to < 0 || to >= this.rows.length) return false;
    this.go(to);
    return true;
  }

  // The next one that this reader has not decided; the one after where all are; false at the end.
  async onward() {
    const isOpen = (row) => !row.mine && !row.unsaved;
    if (this.filters.queue !== "pending") return this.step(1);
    const next = this.rows.findIndex((row, place) => place > this.at && isOpen(row));
    if (next >= 0) return this.go(next), true;
    if (!this.isComplete) {
      const before = this.rows.length;
      await this.more();
      if (this.rows.length > before) return this.onward();
    }
    const skipped = this.rows.findIndex(isOpen);
    if (skipped >= 0) return this.go(skipped), true;
    return false;
  }
}
