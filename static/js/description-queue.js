// The list beside the sentence: queues with counts, filters, and what applies to all that match.
import { announce, button, chip, count, field, fill, h } from "./core.js";
import { AUTHORS, FINDINGS, STATES, stateChip } from "./description-words.js";
import { confirmDialog } from "./follow.js";
import { NO_FILTERS } from "./description-trail.js";

const QUEUES = [["pending", "Pending"], ["flagged", "Flagged"], ["done", "Done"], ["", "All"]];
const TYPING_MS = 300;
const BULK = { approve: "Approve", reject: "Reject", flag: "Flag", remove: "Remove" };
const DID = { approve: "Approved", reject: "Rejected", flag: "Flagged", remove: "Removed" };

export class QueuePanel {
  // ask: { open(row), bulk(body, words), add(body), askName() }
  constructor(desk, trail, signal, ask) {
    this.desk = desk;
    this.trail = trail;
    this.ask = ask;
    this.nodes = new Map();
    this.queues = h("div", { class: "ps-queues", role: "group", "aria-label": "Queue" });
    this.list = h("ol", { class: "ps-queue-list" });
    this.list.addEventListener("keydown", (event) => this.#walk(event));
    this.list.addEventListener("focusin", ({ target }) => this.#stop(target.closest("li")));
    this.foot = h("div", { class: "ps-stack-s" });
    this.bulkLine = h("div", { class: "ps-row" });
    this.node = h("section", { class: "ps-card ps-queue", "aria-label": "Sentences" },
      this.queues, this.#filters(), this.#bulk(), h("div", { class: "ps-queue-scroll", tabindex: "0", role: "region", "aria-label": "List of sentences" }, this.list, this.foot), this.#adding());
    trail.addEventListener("rows", () => this.#rows(), { signal });
    trail.addEventListener("row", ({ detail }) => this.#row(detail.row), { signal });
    this.count();
    this.#rows();
  }

  get isFiltered() {
    return Object.keys(NO_FILTERS).some((name) => !["queue", "order"].includes(name) && this.trail.filters[name]);
  }

  // ------------------------------------------------------------ queues and filters

  count() {
    const { summary } = this.desk;
    const held = this.queues.contains(document.activeElement) && document.activeElement.dataset.queue;
    fill(this.queues, QUEUES.map(([name, text]) => {
      const n = name ? summary?.queues[name] : summary?.total;
      const node = button("", () => this.choose(name), "small");
      node.append(text, h("span", { class: "ps-count" }, String(n ?? "")));
      node.dataset.queue = name;
      node.setAttribute("aria-pressed", String(this.trail.filters.queue === name));
      return node;
    }));
    if (held !== false) this.queues.querySelector(`[data-queue="${held}"]`)?.focus();
  }

  choose(name) {
    return this.#restart({ queue: name });
  }

  clear() {
    for (const control of Object.values(this.controls)) control.value = "";
    this.controls.order.value = NO_FILTERS.order;
    return this.#restart({ ...NO_FILTERS, queue: this.trail.filters.queue });
  }

  async #restart(filters) {
    try {
      await this.trail.restart(filters);
      this.count();
      announce(count(this.trail.total, "sentence"));
    } catch (error) {
      if (error.name !== "AbortError") fill(this.foot, h("p", { class: "ps-notice ps-notice-bad", role: "alert" }, error.message));
    }
  }

  #filters() {
    const choice = (all, rows) => h("select", {}, h("option", { value: "" }, all), rows.map(([value, text]) => h("option", { value }, text)));
    this.controls = {
      q: h("input", { type: "search", maxlength: "200" }),
      class: choice("All classes", this.desk.imageSet.classes.map(({ name }) => [name, name])),
      state: choice("All states", [...Object.entries(STATES).map(([name, [text]]) => [name, text]), ["withdrawn", "Removed"]]),
      finding: choice("With or without", Object.entries(FINDINGS)),
      author_kind: choice("All authors", Object.entries(AUTHORS)),
      order: h("select", {}, [["given", "As given"], ["evidence", "By evidence"], ["class", "By class"]].map(([value, text]) => h("option", { value }, text))),
    };
    const apply = () => this.#restart(Object.fromEntries(Object.entries(this.controls).map(([name, control]) => [name, control.value.trim()])));
    let timer = 0;
    this.controls.q.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(apply, TYPING_MS);
    });
    for (const [name, control] of Object.entries(this.controls)) if (name !== "q") control.addEventListener("change", apply);
    return h("details", { class: "ps-inline-fold" }, h("summary", {}, "Filter and sort"),
      h("div", { class: "ps-queue-filters" },
        field("Words", this.controls.q), field("Class", this.controls.class), field("State", this.controls.state),
        field("Finding", this.controls.finding), field("Author", this.controls.author_kind), field("Order", this.controls.order)));
  }

  // ------------------------------------------------------------ all that match

  #bulk() {
    const select = h("select", { "aria-label": "What to do with all" }, Object.entries(BULK).map(([kind, text]) => h("option", { value: kind }, text)));
    const go = button("Apply to all that match…", () => this.#confirmBulk(select.value), "small");
    return h("details", { class: "ps-inline-fold" }, h("summary", {}, "All at once"), h("div", { class: "ps-row ps-bulk" }, select, go));
  }

  async #confirmBulk(kind) {
    const { order, ...where } = this.trail.filters;
    const given = Object.fromEntries(Object.entries(where).filter(([, value]) => value));
    const { total } = await this.desk.get("/sentences", { ...given, ...this.desk.asRead, limit: 1 });
    if (!total) return announce("No sentence matches.");
    const sure = await confirmDialog({
      title: `${BULK[kind]} ${count(total, "sentence")}?`,
      text: `All that match: ${this.#matchWords(given)}. It can be undone in one go.`,
      yes: `${BULK[kind]} ${total}`,
      no: "Leave them",
    });
    if (sure) this.ask.bulk({ kind, where: given }, DID[kind]);
    return undefined;
  }

  #matchWords({ queue, ...filters }) {
    const words = [queue ? `queue ${queue}` : "all queues", ...Object.entries(filters).map(([name, value]) => `${name.replace("author_kind", "author").replace("q", "words")} “${value}”`)];
    return words.join(", ");
  }

  // ------------------------------------------------------------ the list

  #rows() {
    const known = new Set(this.trail.rows.map((row) => row.id));
    for (const [id, node] of this.nodes) {
      if (known.has(id)) continue;
      node.remove();
      this.nodes.delete(id);
    }
    this.trail.rows.forEach((row, place) => {
      const node = this.nodes.get(row.id) ?? this.#make(row.id);
      if (node.row !== row) this.#fillRow(node, row);
      if (this.list.children[place] !== node) this.list.insertBefore(node, this.list.children[place] ?? null);
    });
    const { rows, isComplete, total } = this.trail;
    fill(this.foot,
      !rows.length && h("p", { class: "ps-soft" }, "No sentence here."),
      !isComplete && rows.length > 0 && button(`Show more of ${count(Math.max(total, rows.length), "sentence")}`, () => this.trail.more().catch((error) => announce(error.message)), "small"));
    this.mark(this.trail.current);
  }

  #make(id) {
    const node = h("li", {}, h("button", { type: "button", class: "ps-queue-row", tabindex: "-1", onclick: () => this.ask.open(node.row) }));
    this.nodes.set(id, node);
    return node;
  }

  #row(row) {
    const node = this.nodes.get(row.id);
    if (node) this.#fillRow(node, row);
  }

  #fillRow(node, row) {
    node.row = row;
    const isHidden = this.desk.isBlind && !row.mine;
    fill(node.firstChild,
      h("span", { class: "ps-queue-text" }, row.text),
      h("span", { class: "ps-queue-facts" }, h("span", { class: "ps-hint" }, row.class),
        row.unsaved && chip("saving…", "info"),
        row.withdrawn ? chip("Removed", "bad") : !isHidden && row.state !== "draft" && stateChip(row.state),
        !isHidden && row.findings?.length > 0 && chip(count(row.findings.length, "finding"), "warn")));
  }

  mark(row) {
    this.marked?.firstChild?.removeAttribute("aria-current");
    this.marked = row && this.nodes.get(row.id);
    this.#stop(this.marked ?? this.list.firstChild);
    if (!this.marked) return;
    this.marked.firstChild.setAttribute("aria-current", "true");
    const box = this.list.parentElement;
    const { offsetTop: top, offsetHeight: height } = this.marked;
    if (top < box.scrollTop || top + height > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, top - height);
  }

  // One row alone is a stop of the Tab key, or hundreds would stand before what follows the list; arrows walk the rows.
  #stop(node) {
    this.stopped?.firstChild?.setAttribute("tabindex", "-1");
    this.stopped = node;
    node?.firstChild.setAttribute("tabindex", "0");
  }

  #walk(event) {
    const here = event.target.closest("li");
    const to = { ArrowDown: here?.nextElementSibling, ArrowUp: here?.previousElementSibling, Home: this.list.firstChild, End: this.list.lastChild }[event.key];
    if (!to || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    to.firstChild.focus();
  }

  // ------------------------------------------------------------ one more sentence

  #adding() {
    const select = h("select", {}, this.desk.imageSet.classes.map(({ name }) => h("option", { value: name }, name)));
    const input = h("input", { type: "text", maxlength: "2000" });
    const form = h("form", { class: "ps-stack-s" }, field("Class", select), field("Sentence", input),
      h("div", { class: "ps-actions" }, h("button", { type: "submit", class: "ps-button ps-button-small" }, "Add it")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (!text) return input.focus();
      if (!this.desk.reader) return this.ask.askName();
      input.value = "";
      this.ask.add({ kind: "add", class: select.value, text });
      return undefined;
    });
    return h("details", { class: "ps-inline-fold" }, h("summary", {}, "Add a sentence"), form);
  }
}
