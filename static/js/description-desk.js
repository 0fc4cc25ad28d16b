// What the views of the Descriptions page share: the image set, its texts, the reader, what is still to be saved, and the
// news of others. Views listen to it: "summary" (counts are new), "news" (somebody else changed sentences), "reader".
import { api, listOf } from "./core.js";
import { Outbox } from "./description-outbox.js";
import { TypedWordings } from "./description-typed.js";

const READER = "promptoscope-author";
const BLIND = "promptoscope-blind-reading";
const KEYS = "promptoscope-review-keys";
const ENCODER = "promptoscope-review-encoder";
const EMBEDDED = "embedded";
// Decisions change what a version would hold one by one; that is counted again now and then.
const READING = new Set(["approve", "reject", "flag", "reopen", "settle"]);
const COUNT_MS = 20_000;
const EXAMPLES = 4;
const LOOKED_AT = 12;

function remembered(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

function remember(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    // Without storage it is asked again next time.
  }
}

export class Desk extends EventTarget {
  #lastAction = null;
  #own = new Set();
  #countAt = 0;
  #examples = new Map();

  // imageSet: { id, name, classes }. texts: { id, name, version, versions }, or null before anything is saved.
  constructor(imageSet, texts, signal) {
    super();
    this.imageSet = imageSet;
    this.texts = texts;
    this.signal = signal;
    this.summary = null;
    this.name = remembered(READER);
    this.outbox = texts && new Outbox(this.path(), texts.id);
    this.typed = texts && new TypedWordings(this);
    this.since = { changed: 0, missing: 0 };
    this.encoders = [EMBEDDED];
    this.outbox?.addEventListener("answered", ({ detail }) => this.#answered(detail));
    this.outbox?.addEventListener("idle", () => this.refresh());
  }

  path(rest = "") {
    return `/description-sets/${encodeURIComponent(this.texts.id)}${rest}`;
  }

  get(rest, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
    const text = new URLSearchParams(given).toString();
    return api.get(this.path(rest) + (text ? `?${text}` : ""), { signal: this.signal });
  }

  // One sentence as this reader may see it now.
  sentence(id) {
    return this.get(`/sentences/${encodeURIComponent(id)}`, this.asRead);
  }

  // What an earlier page did not save, to be asked before anything is done here.
  async findLeftOver() {
    await Promise.all([this.outbox?.findBefore(), this.typed?.find()]);
  }

  // ------------------------------------------------------------ the reader

  get reader() {
    return this.name;
  }

  set reader(name) {
    this.name = name.trim();
    remember(READER, this.name);
    this.dispatchEvent(new Event("reader"));
    this.refresh();
  }

  get isBlind() {
    return remembered(BLIND) === "yes";
  }

  set isBlind(on) {
    remember(BLIND, on ? "yes" : "no");
  }

  get hasKeys() {
    return remembered(KEYS) !== "off";
  }

  set hasKeys(on) {
    remember(KEYS, on ? "on" : "off");
  }

  // ------------------------------------------------------------ the encoder

  // Looks which encoders are on this machine.
  async findEncoders() {
    const found = await api.get("/backbones?limit=1000", { signal: this.signal }).then(listOf).catch(() => []);
    const ready = found.filter((each) => each.available).map((each) => each.name);
    this.encoders = ready.length ? ready : [EMBEDDED];
  }

  // Whose text tower sentences must fit, and on which the effect of an edit is tried.
  get encoder() {
    const chosen = remembered(ENCODER);
    return this.encoders.includes(chosen) ? chosen : this.encoders.includes(EMBEDDED) ? EMBEDDED : this.encoders[0];
  }

  set encoder(name) {
    remember(ENCODER, name);
  }

  // How sentences are asked for: by whom, blind or not, for which encoder.
  get asRead() {
    return { reader: this.reader, blind: this.isBlind ? "true" : "", backbone: this.encoder };
  }

  // ------------------------------------------------------------ counts and news

  // Asks for the counts again; says nothing where the server is away, since the page tells that where it matters.
  async refresh() {
    if (!this.texts) return;
    try {
      const { reader, isBlind } = this;
      this.summary = await this.get("/review-summary", { reader, blind: isBlind ? "true" : "" });
      if (this.#countAt <= Date.now()) await this.#countChanged();
      this.dispatchEvent(new Event("summary"));
    } catch (error) {
      if (!this.summary && error.name !== "AbortError") throw error;
    }
  }

  // How many sentences of the newest version read otherwise now or are out, and how many it lacks.
  async #countChanged() {
    const { newest_version: newest } = this.summary;
    const found = newest && (await this.get("/diff", { from: newest, to: "now" }).catch(() => null));
    if (!found) return;
    this.#countAt = Infinity;
    this.since = { changed: found.removed.length + found.edited.length, missing: found.added.length };
  }

  #answered({ entry, answer }) {
    this.#own.add(answer?.action?.id);
    this.#countAt = READING.has(entry.body.kind) ? Math.min(this.#countAt, Date.now() + COUNT_MS) : 0;
  }

  // Looks whether somebody else did something since; fires "news" with the newest action then.
  async listen() {
    if (!this.texts || this.outbox.waiting) return;
    if (this.#countAt <= Date.now()) await this.refresh();
    const [newest] = listOf(await this.get("/actions", { limit: 1 }));
    const before = this.#lastAction;
    this.#lastAction = newest?.id ?? "";
    if (before === null || before === this.#lastAction || this.#own.has(newest?.id)) return;
    this.#countAt = 0;
    await this.refresh();
    this.dispatchEvent(new CustomEvent("news", { detail: newest }));
  }

  // ------------------------------------------------------------ pictures

  // A few training images of a class, those without findings first.
  examples(className) {
    if (!this.#examples.has(className)) this.#examples.set(className, this.#askExamples(className));
    return this.#examples.get(className);
  }

  async #askExamples(className) {
    const query = new URLSearchParams({ class: className, part: "train", limit: LOOKED_AT });
    try {
      const images = listOf(await api.get(`/image-sets/${encodeURIComponent(this.imageSet.id)}/images?${query}`, { signal: this.signal }));
      return images.sort((a, b) => (a.findings?.length ?? 0) - (b.findings?.length ?? 0)).slice(0, EXAMPLES);
    } catch (error) {
      this.#examples.delete(className);
      throw error;
    }
  }
}
