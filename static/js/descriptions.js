// The Descriptions page: one image set, the texts about its classes, and views on them behind tabs.
// Its address says what is shown: ?image_set=SET&id=TEXTS&view=NAME.
import {
  PsElement, announce, api, busy, button, chip, count, define, empty, errorNotice, field, fill, h, link, listOf, param,
  setParam,
} from "./core.js";
import { Desk } from "./description-desk.js";
import { LeftOver } from "./description-left-over.js";
import { VIEWS } from "./description-views.js";

const MOST = 1000;
const LISTEN_MS = 5000;
const LEAVE = "Something you wrote here is not saved yet. Leave it?";

class Descriptions extends PsElement {
  async start() {
    this.show(busy("Loading image sets…"));
    const [sets, methods] = await Promise.all([
      api.get(`/image-sets?limit=${MOST}`, { signal: this.signal }).then(listOf),
      api.get(`/methods?limit=${MOST}`, { signal: this.signal }).then(listOf).catch(() => []),
    ]);
    if (!sets.length) return this.show(nothingYet());
    this.sets = sets;
    this.learners = methods.filter((method) => method.needs?.includes("descriptions"));
    this.#frame();
    this.#guardLeaving();
    this.every(LISTEN_MS, () => this.desk?.listen().catch(() => {}));
    return this.#openSet(param("image_set") ?? (await this.#ownSet(param("id"))), param("id"));
  }

  // The image set that texts are for, where only these are named.
  async #ownSet(texts) {
    const found = texts && (await api.get(`/description-sets/${encodeURIComponent(texts)}`, { signal: this.signal }).catch(() => null));
    return found ? found.image_set_id : null;
  }

  #guardLeaving() {
    addEventListener("beforeunload", (event) => {
      if (this.desk?.outbox?.waiting || this.view?.isDirty) event.preventDefault();
    }, { signal: this.signal });
  }

  #frame() {
    this.setSelect = h("select", {}, this.sets.map((set) => h("option", { value: set.id }, set.name)));
    this.textSelect = h("select", {});
    this.setSelect.addEventListener("change", () =>
      this.#leaving(() => this.#openSet(this.setSelect.value), () => (this.setSelect.value = this.imageSet.id)));
    this.textSelect.addEventListener("change", () =>
      this.#leaving(() => this.#openTexts(this.textSelect.value || null), () => (this.textSelect.value = this.desk.texts?.id ?? "")));
    this.work = h("div", { class: "ps-stack" });
    this.show(h("div", { class: "ps-stack" },
      h("div", { class: "ps-grid ps-choose" }, field("Image set", this.setSelect), field("Texts", this.textSelect)),
      this.work));
  }

  // Asks before something is lost; otherwise puts the choice back.
  #leaving(go, back = () => {}) {
    const waiting = this.desk?.outbox?.waiting ?? 0;
    const text = waiting ? `${count(waiting, "decision")} of yours ${waiting === 1 ? "is" : "are"} not saved yet. Leave all the same?` : LEAVE;
    if ((!waiting && !this.view?.isDirty) || window.confirm(text)) return void go();
    back();
  }

  // ------------------------------------------------------------ opening

  async #openSet(asked, askedTexts = null) {
    const known = this.sets.find((set) => [String(set.id), set.name].includes(String(asked))) ?? this.sets[0];
    this.imageSet = known;
    this.setSelect.value = known.id;
    setParam("image_set", known.id);
    fill(this.work, busy("Loading the texts…"));
    try {
      const query = new URLSearchParams({ image_set: known.id, limit: MOST });
      this.saved = listOf(await api.get(`/description-sets?${query}`, { signal: this.signal }));
      this.#fillTextSelect();
      const wanted = this.saved.find((texts) => String(texts.id) === askedTexts) ?? this.saved[0];
      await this.#openTexts(wanted?.id ?? null, param("view"));
      if (asked && known.id !== asked && known.name !== asked)
        this.work.prepend(errorNotice(new Error(`The image set ${asked} does not exist. “${known.name}” is shown instead.`)));
    } catch (error) {
      this.#failed(error, () => this.#openSet(known.id, askedTexts));
    }
  }

  #fillTextSelect() {
    fill(this.textSelect,
      this.saved.map((texts) => h("option", { value: texts.id }, texts.name)),
      h("option", { value: "" }, this.saved.length ? "Begin new texts from templates" : "Not saved yet: sentences from templates"));
  }

  async #openTexts(id, view = null) {
    fill(this.work, busy("Loading the texts…"));
    try {
      const texts = id && (await api.get(`/description-sets/${encodeURIComponent(id)}`, { signal: this.signal }));
      this.desk = new Desk(this.imageSet, texts || null, this.signal);
      this.textSelect.value = id ?? "";
      setParam("id", id);
      await Promise.all([this.desk.refresh(), this.desk.findLeftOver()]);
      this.#drawWork(view);
      for (const news of ["summary", "reader"]) this.desk.addEventListener(news, () => this.#sayState());
      this.desk.addEventListener("reader", () => this.desk.typed?.find().then(() => this.left.draw()));
      this.desk.outbox?.addEventListener("changed", () => this.#saySaving());
    } catch (error) {
      this.#failed(error, () => this.#openTexts(id, view));
    }
  }

  #failed(error, retry) {
    if (error.name !== "AbortError") fill(this.work, errorNotice(error, retry));
  }

  // ------------------------------------------------------------ the head

  #drawWork(asked) {
    const { texts } = this.desk;
    this.stateLine = h("div", { class: "ps-row" });
    this.nextLine = h("div", { class: "ps-next" });
    this.saving = h("span", { class: "ps-saving", role: "status" });
    this.leftOver = h("div", {});
    this.tabs = h("div", { class: "ps-view-tabs", role: "tablist", "aria-label": "Views" });
    this.panel = h("div", { id: "ps-view", class: "ps-stack" });
    this.views = VIEWS.filter((view) => texts || view.withoutTexts);
    this.tabs.hidden = this.views.length < 2;
    this.tabs.addEventListener("keydown", (event) => this.#tabKey(event));
    fill(this.work,
      h("div", { class: "ps-stack-s" },
        h("div", { class: "ps-row-between" },
          h("div", { class: "ps-row" }, h("h2", { class: "ps-break" }, texts?.name ?? "Sentences from templates"), this.stateLine), this.saving),
        this.nextLine, this.leftOver),
      this.tabs, this.panel);
    this.#sayState();
    this.#saySaving();
    this.#offerLeftOver();
    const named = this.views.find((view) => view.name === asked);
    this.#openView(named ?? this.views[0], false);
  }

  #sayState() {
    const { texts } = this.desk;
    if (!texts) {
      fill(this.stateLine, chip("Not saved yet", "warn"), learnersLine(this.learners));
      return fill(this.nextLine, "These sentences hold the class names and nothing a person knows about them. "
        + "Write what can be seen: shape, margin, echo, colour, place; then save.");
    }
    fill(this.stateLine, stateChips(this.desk), learnersLine(this.learners));
    fill(this.nextLine, nextStep(this.desk, (name) => this.#leaving(() => this.#openView(this.#named(name), true))));
  }

  #saySaving() {
    const box = this.desk.outbox;
    if (!box) return;
    const n = box.waiting;
    this.saving.dataset.state = box.problem ? "stuck" : n ? "saving" : "saved";
    if (box.problem)
      return fill(this.saving, chip(`${count(n, "change")} not saved`, "bad"), ` ${box.problem.message} `, button("Send now", () => box.tryNow(), "small"));
    fill(this.saving, n ? chip(`Saving ${n}…`, "info") : chip("All saved", ""));
  }

  // What an earlier page could not save before it was closed.
  #offerLeftOver() {
    if (!this.desk.outbox) return;
    this.left = new LeftOver(this.desk, {
      done: () => this.tabs.querySelector("[aria-selected=true]")?.focus(),
      edit: (sentence) => this.#leaving(() => this.#openLinked({ view: "review", sentence, isEdited: true })),
    });
    fill(this.leftOver, this.left.node);
  }

  // ------------------------------------------------------------ tabs

  #named(name) {
    return this.views.find((view) => view.name === name) ?? this.views[0];
  }

  #openView(view, focus, isEdited = false) {
    fill(this.tabs, this.views.map((each) => h("button", {
      type: "button",
      role: "tab",
      id: `ps-tab-${each.name}`,
      class: "ps-view-tab",
      "aria-selected": String(each === view),
      "aria-controls": "ps-view",
      tabindex: each === view ? "0" : "-1",
      onclick: () => this.#leaving(() => this.#openView(each, true)),
    }, each.title)));
    this.#showTab();
    this.panel.setAttribute("role", this.tabs.hidden ? "group" : "tabpanel");
    this.panel.setAttribute("aria-label", view.title);
    setParam("view", view === this.views[0] ? null : view.name);
    this.view = h(view.element);
    this.view.desk = this.desk;
    this.view.beginsWithEdit = isEdited;
    this.view.addEventListener("ps-texts-saved", ({ detail }) => this.#saved(detail));
    this.view.addEventListener("ps-texts-gone", ({ detail }) => this.#gone(detail));
    this.view.addEventListener("ps-open-view", ({ detail }) => this.#openLinked(detail));
    fill(this.panel, this.view);
    if (focus) this.tabs.querySelector("[aria-selected=true]")?.focus();
  }

  // On a narrow page the row of tabs is wider than the page: the chosen one is brought into sight.
  #showTab() {
    const chosen = this.tabs.querySelector("[aria-selected=true]");
    const [row, tab] = [this.tabs.getBoundingClientRect(), chosen.getBoundingClientRect()];
    if (tab.right > row.right) this.tabs.scrollLeft += tab.right - row.right;
    else if (tab.left < row.left) this.tabs.scrollLeft -= row.left - tab.left;
  }

  // A link from one view into another: { view, sentence, isEdited: whether its editor is to be open }.
  #openLinked({ view, sentence, isEdited = false }) {
    setParam("sentence", sentence);
    this.#openView(this.#named(view), true, isEdited);
  }

  #tabKey(event) {
    const place = this.views.findIndex((view) => `ps-tab-${view.name}` === document.activeElement.id);
    const last = this.views.length - 1;
    const to = { ArrowRight: place === last ? 0 : place + 1, ArrowLeft: place === 0 ? last : place - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#leaving(() => this.#openView(this.views[to], true));
  }

  // ------------------------------------------------------------ saved or deleted by a view

  async #saved({ texts, view = "review" }) {
    this.view.isDirty = false;
    this.saved = [texts, ...this.saved.filter((other) => String(other.id) !== String(texts.id))];
    this.#fillTextSelect();
    await this.#openTexts(texts.id, view);
    const said = texts.version ? `Saved as version ${texts.version}.` : `“${texts.name}” is there, without a sentence yet.`;
    fill(this.leftOver, h("p", { class: "ps-notice ps-notice-good ps-break" }, said,
      texts.version && link("Train with these texts", `/train?images=${encodeURIComponent(this.imageSet.id)}`)));
    announce(said);
  }

  async #gone({ name }) {
    this.view.isDirty = false;
    setParam("id", null);
    setParam("view", null);
    await this.#openSet(this.imageSet.id);
    announce(`${name} was deleted`);
    this.textSelect.focus();
  }
}

// ---------------------------------------------------------------- what stands in the head

function stateChips({ texts, summary, since }) {
  const newest = summary?.newest_version;
  const signed = texts.versions.find((row) => row.version === summary?.newest_signed);
  const isNewestSigned = signed && signed.version === newest;
  return [
    chip(newest ? `Version ${newest}` : "No version yet", "info"),
    signed ? chip(`${isNewestSigned ? "Signed" : `Version ${signed.version} signed`} by ${signed.signed_by}`, "good") : chip("Not signed off", ""),
    since.changed > 0 && chip(`${count(since.changed, "sentence")} changed since`, "warn"),
    since.missing > 0 && chip(`${count(since.missing, "sentence")} not in it`, ""),
  ];
}

// One line that says what to do now; go(name) opens a view.
function nextStep({ summary, reader, hasKeys }, go) {
  if (!summary) return null;
  const { pending, flagged } = summary.queues;
  if (!summary.total) return ["There is no sentence here yet. ", button("Write some", () => go("write"), "small")];
  if (!reader) return `${count(summary.total, "sentence")} to read. Say who you are, then begin.`;
  if (pending) return `${count(pending, "sentence")} ${pending === 1 ? "waits" : "wait"} for you.${hasKeys ? " Press A to approve, R to reject." : ""}`;
  if (flagged) return [`You have read everything. ${count(flagged, "sentence")} ${flagged === 1 ? "needs" : "need"} a second look. `,
    button("Sign off without", () => go("versions"), "small")];
  return ["You have read everything. ", button("Sign off a version", () => go("versions"), "small")];
}

function learnersLine(learners) {
  if (!learners.length) return null;
  const names = learners.map((method) => method.title ?? method.name);
  const list = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  return h("details", { class: "ps-inline-fold" }, h("summary", {}, "Who reads these texts"),
    h("p", { class: "ps-soft" }, `${list} ${names.length > 1 ? "learn" : "learns"} from these sentences; the other methods use the class names alone.`));
}

function nothingYet() {
  return empty("No image set to describe yet",
    "Descriptions belong to the classes of an image set. For a class “cyst”, one might read: “a breast ultrasound image of a cyst: "
    + "round, black inside, with a thin smooth wall and brighter tissue behind it.”",
    link("Add an image set", "/image-sets", "main"));
}

define("ps-descriptions", Descriptions);
