// The Review view: one sentence after the other, by keyboard or mouse. Decisions go to the server in the background; the
// next sentence does not wait for them.
import { PsElement, announce, busy, button, count, define, empty, fill, h, param, setParam } from "./core.js";
import { Decisions, SAID, isDeciding } from "./description-decisions.js";
import { EditEffect, effectSoon } from "./description-effect.js";
import { keyHelp, listenToKeys } from "./description-keys.js";
import { QueuePanel } from "./description-queue.js";
import { ReadingOptions } from "./description-reading.js";
import { SentenceCard, placeText, reasonStrip } from "./description-sentence.js";
import { Trail } from "./description-trail.js";

const LONGEST_READING_S = 600;
const STARTLED_MS = 800;

class DescriptionReview extends PsElement {
  async start() {
    this.trail = new Trail(this.desk);
    this.show(busy("Loading sentences…"));
    await this.desk.findEncoders();
    const asked = param("sentence");
    const first = asked && (await this.desk.sentence(asked).catch(() => null));
    setParam("sentence", null);
    await this.trail.restart({}, first);
    this.#draw();
    this.#listen();
    this.#sayBusy();
    this.#show();
    this.effect.prepare();
    if (this.beginsWithEdit && first && this.#mayDecide()) this.card.edit();
  }

  get isDirty() {
    return Boolean(this.card?.isDirty);
  }

  #draw() {
    this.effect = new EditEffect(this.desk, this.signal);
    this.card = new SentenceCard(this.desk, {
      decide: (kind, more) => this.#decide(kind, more),
      edit: () => this.#mayDecide() && this.card.edit(),
      save: (text, approve) => this.#save(text, approve),
      undo: () => this.#undo(),
      step: (by) => this.#step(by),
      reopen: () => this.#decide("reopen"),
      remove: () => this.#decide("remove"),
      restore: () => this.#decide("restore"),
      settle: (approve) => this.#decide("settle", { approve }),
    });
    this.reading = new ReadingOptions(this.desk, this.signal, () => {
      this.effect.prepare();
      return this.trail.restart({});
    });
    this.panel = new QueuePanel(this.desk, this.trail, this.signal, {
      open: (row) => this.#open(row),
      bulk: (body, words) => this.#bulk(body, words),
      add: (body) => this.#add(body),
      askName: () => this.reading.askName(),
    });
    this.stage = h("div", { class: "ps-stack-s" });
    this.strip = h("div", { class: "ps-stack-s ps-after" });
    this.show(h("div", { class: "ps-review" },
      h("div", { class: "ps-stack-s" }, this.reading.who, this.stage, this.strip),
      h("div", { class: "ps-stack-s" }, this.reading.progress, this.panel.node, this.reading.options)));
  }

  #listen() {
    const { signal, trail, desk } = this;
    trail.addEventListener("current", () => this.#show(), { signal });
    trail.addEventListener("busy", () => this.#sayBusy(), { signal });
    trail.addEventListener("row", ({ detail }) => detail.row === trail.current && !this.isAtEnd && this.#refreshCard(), { signal });
    desk.addEventListener("summary", () => this.#counted(), { signal });
    desk.addEventListener("reader", () => trail.restart({}).catch((error) => this.fail(error)), { signal });
    desk.addEventListener("news", ({ detail }) => this.#news(detail), { signal });
    this.decisions = new Decisions(desk, trail, signal, {
      refused: (entry, text, theirs) => this.#refused(entry, text, theirs),
      many: (text) => this.#again(text),
      saved: (entry) => this.#showEffect(entry),
      note: (text) => this.#note(text),
      error: (error) => this.#tell(error),
    });
    listenToKeys(signal, () => desk.hasKeys, (name, key) => this.#key(name, key));
  }

  // ------------------------------------------------------------ showing

  #show() {
    this.isAtEnd = false;
    const row = this.trail.current;
    this.shownAt = performance.now();
    this.panel.mark(row);
    if (!row) return this.#showEnd();
    if (!this.card.node.isConnected) fill(this.stage, this.card.node);
    this.#refreshCard();
  }

  #refreshCard() {
    const total = Math.max(this.trail.total, this.trail.rows.length);
    this.card.show(this.trail.current, placeText(this.trail.at, total));
  }

  #counted() {
    this.panel.count();
    if (!this.isAtEnd && this.trail.current) this.#refreshCard();
    if (this.isAtEnd && !this.contains(document.activeElement)) this.#showEnd(false);
  }

  // Nothing is left in this queue: says so, and what comes next.
  #showEnd(say = true) {
    this.isAtEnd = true;
    const { queues, total } = this.desk.summary;
    const go = (name) => this.dispatchEvent(new CustomEvent("ps-open-view", { detail: { view: name } }));
    const isPending = this.trail.filters.queue === "pending";
    const isFiltered = this.panel.isFiltered;
    const title = isFiltered ? "No sentence matches these filters" : isPending ? (total ? "You have read everything" : "No sentence yet") : "Nothing here";
    const text = isFiltered ? "Clear the filters to see the others." : isPending && total ? `${count(total, "sentence")} in this set. Sign off a version, so that runs can say what they learned from.` : "";
    fill(this.stage, empty(title, text,
      h("div", { class: "ps-actions" },
        isFiltered && button("Clear the filters", () => this.panel.clear(), "main"),
        !isFiltered && isPending && total > 0 && button("Sign off a version", () => go("versions"), "main"),
        !isFiltered && isPending && queues.flagged > 0 && button(`Look at ${queues.flagged} flagged`, () => this.panel.choose("flagged")),
        !total && button("Write some", () => go("text"), "main"),
        this.trail.rows.length > 0 && button("Back to the last sentence", () => this.#step(-1)))));
    if (say) announce(title);
  }

  // ------------------------------------------------------------ keys and walking

  #key(name, key) {
    if (this.isBusy || performance.now() < (this.startledUntil ?? 0)) return undefined;
    if (name === "help") return keyHelp();
    if (name === "undo") return this.#undo();
    if (name === "next") return this.#step(1);
    if (name === "previous") return this.#step(-1);
    if (name === "reason") return this.pickReason ? this.pickReason(Number(key)) : false;
    if (this.isAtEnd || this.card.isEditing) return false;
    if (name === "edit") return this.#mayDecide() && this.card.edit();
    return this.#decide(name);
  }

  #step(by) {
    this.#clearStrip();
    if (this.isAtEnd && by < 0) return this.#show();
    if (this.card.isEditing || this.isBusy) return undefined;
    return this.#move(async () => {
      if (await this.trail.step(by)) this.#say();
      else if (by > 0) this.#showEnd();
    });
  }

  // The sentence and its buttons, whichever of the two would be out of sight.
  #keepInView() {
    const { node, buttons } = this.card;
    buttons.scrollIntoView({ block: "nearest" });
    if (node.getBoundingClientRect().top < 0) node.scrollIntoView({ block: "start" });
  }

  #open(row) {
    this.#clearStrip();
    this.trail.goTo(row);
    this.#say();
    this.card.title.focus({ preventScroll: true });
    this.#keepInView();
  }

  #say(before = "") {
    const row = this.trail.current;
    if (row && !this.isAtEnd) announce(`${before}${row.class}: ${row.text}`);
  }

  // ------------------------------------------------------------ deciding

  // Decisions bear a name; without one it is asked for.
  #mayDecide() {
    if (this.desk.reader) return true;
    this.reading.askName();
    return false;
  }

  #decide(kind, more = {}) {
    const row = this.trail.current;
    if (!row || this.isAtEnd || this.isBusy || !this.#mayDecide()) return;
    const seconds = isDeciding(kind) ? this.#seconds() : null;
    const shown = isDeciding(kind) ? { mine: { decision: kind, reason: null } }
      : { reopen: { mine: null }, remove: { withdrawn: true }, restore: { withdrawn: false } }[kind] ?? {};
    this.#clearStrip();
    const entry = this.decisions.send(row, { kind, ...more, ...(seconds === null ? {} : { seconds }) }, shown);
    if (kind === "reject") this.#askReason(entry, seconds);
    if (isDeciding(kind) || kind === "remove") this.#onward(SAID[kind]);
    else announce(SAID[kind]);
  }

  #onward(said) {
    return this.#move(async () => {
      if (await this.trail.onward()) this.#say(`${said}. `);
      else this.#showEnd();
    });
  }

  // While the next sentence is on its way no key decides about the one that is still shown.
  async #move(go) {
    this.isMoving = true;
    this.#sayBusy();
    try {
      await go();
      this.#keepInView();
    } catch (error) {
      this.#tell(error);
    } finally {
      this.isMoving = false;
      this.#sayBusy();
    }
  }

  get isBusy() {
    return this.isMoving || this.trail.isRestarting;
  }

  #sayBusy() {
    this.stage.setAttribute("aria-busy", String(this.isBusy));
  }

  #seconds() {
    const seconds = (performance.now() - this.shownAt) / 1000;
    return document.visibilityState === "visible" && seconds < LONGEST_READING_S ? Math.round(seconds * 100) / 100 : null;
  }

  #askReason(entry, seconds) {
    const { node, pick } = reasonStrip(entry.row.text, (reason) => {
      this.#clearStrip();
      this.card.title.focus({ preventScroll: true });
      this.decisions.giveReason(entry, reason, seconds);
    });
    fill(this.strip, node);
    this.pickReason = pick;
  }

  #clearStrip() {
    this.pickReason = null;
    fill(this.strip);
  }

  #save(text, approve) {
    const row = this.trail.current;
    if (text === row.text) return approve ? this.#decide("approve") : this.#refreshCard();
    this.#clearStrip();
    const body = { kind: "edit", text, ...(approve ? { approve } : {}) };
    this.decisions.send(row, body, {
      text, lost: "", evidence: null, findings: [], reviews: [], tokens: null, state: approve ? "approved" : "draft", mine: approve ? { decision: "approve" } : null,
    });
    if (approve) this.#onward("Edited and approved");
    else announce("Edited. Press A to approve it.");
    return undefined;
  }

  #undo() {
    if (this.isBusy || !this.#mayDecide()) return;
    this.#clearStrip();
    this.decisions.undo();
  }

  // ------------------------------------------------------------ what comes back

  #refused(entry, text, theirs) {
    this.startledUntil = performance.now() + STARTLED_MS;
    this.card.fail(new Error(text), theirs);
    if (entry.body.kind === "edit") this.card.edit(entry.body.text);
  }

  async #showEffect(entry) {
    if (entry.body.kind !== "edit" || !entry.row) return;
    const waiting = this.effect.isReady ? null : effectSoon();
    if (waiting && !this.pickReason) fill(this.strip, waiting);
    const node = await this.effect.of(entry);
    if (node && !this.pickReason) fill(this.strip, node);
    else waiting?.remove();
  }

  async #news(action) {
    await this.trail.renew().catch(() => {});
    const row = this.trail.current;
    const now = row && !row.unsaved && (await this.desk.sentence(row.id).catch(() => null));
    const isOther = now && now.text !== row.text;
    if (now) this.trail.put(now);
    if (isOther && !this.card.isEditing) this.startledUntil = performance.now() + STARTLED_MS;
    if (isOther) this.card.fail(new Error(`${action.actor} changed this sentence just now.`), this.card.isEditing ? now.text : null);
  }

  // ------------------------------------------------------------ many at once, and new ones

  async #bulk(body, words) {
    if (!this.#mayDecide()) return;
    this.#note(`${words}…`);
    const answer = await this.decisions.many(body, words);
    if (answer) await this.#again(`${words}: ${count(answer.action.changed, "sentence")}.`, () => this.#undo());
  }

  async #again(text, undo = null) {
    try {
      await this.trail.restart({});
      this.#note(text, undo);
    } catch (error) {
      this.#tell(error);
    }
  }

  async #add(body) {
    const answer = await this.decisions.many(body, "Added", body.text);
    if (answer) this.#open(answer.sentences[0]);
  }

  #note(text, undo = null) {
    fill(this.strip, h("div", { class: "ps-strip-after ps-row", role: "status" }, h("span", {}, text), undo && button("Undo", undo, "small")));
  }

  #tell(error) {
    if (error.name === "AbortError") return;
    this.startledUntil = performance.now() + STARTLED_MS;
    fill(this.strip, h("div", { class: "ps-notice ps-notice-bad", role: "alert" }, h("p", {}, error.message)));
  }
}

define("ps-description-review", DescriptionReview);
