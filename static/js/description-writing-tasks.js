// What language models were asked to write for these texts: running, done, failed, class by class.
import { button, chip, count, fill, h, listOf } from "./core.js";
import { TaskCard } from "./description-task.js";

const SHOWN_AT_FIRST = 2;
const MOST = 50;
const MOST_PARTS = 1000;
const PARTS = { waiting: ["waiting", ""], done: ["done", "good"], failed: ["failed", "bad"] };
const MOST_DROPPED = 8;

export class WritingTasks {
  // written(words): sentences were added.
  constructor(desk, owner, written) {
    Object.assign(this, { desk, owner, written });
    this.list = h("div", { class: "ps-stack" });
    this.node = h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-tasks-title", hidden: true },
      h("h3", { id: "ps-tasks-title" }, "Asked so far"), this.list);
  }

  async load() {
    const tasks = listOf(await this.desk.get("/tasks", { kind: "write", limit: MOST }));
    this.#draw(tasks.slice(0, SHOWN_AT_FIRST), tasks.slice(SHOWN_AT_FIRST));
  }

  #draw(shown, rest) {
    this.node.hidden = !shown.length;
    fill(this.list, shown.map((task) => this.#card(task).node),
      rest.length > 0 && button(`Show ${rest.length} older`, () => this.#draw([...shown, ...rest], []), "small"));
  }

  // A task that was just begun: shown first, followed, and looked at.
  add(task) {
    this.node.hidden = false;
    const card = this.#card(task);
    this.list.prepend(card.node);
    card.node.scrollIntoView({ block: "nearest" });
    card.heading.focus({ preventScroll: true });
  }

  #card(task) {
    return new TaskCard(this.desk, this.owner, task, {
      title: (each) => each.request.prompt?.title ?? "Sentences by a language model",
      body: (each) => taskBody(each),
      more: (each) => this.desk.get(`/tasks/${encodeURIComponent(each.id)}/parts`, { limit: MOST_PARTS }).then(listOf),
      ended: (each) => this.#ended(each),
    });
  }

  async #ended(task) {
    const n = (task.more ?? []).filter((part) => part.state === "done").reduce((sum, part) => sum + (part.answer?.sentences?.length ?? 0), 0);
    if (n) await this.written(`${count(n, "sentence")} ${n === 1 ? "was" : "were"} written. They are drafts until somebody has read them.`);
  }
}

function taskBody(task) {
  const { request } = task;
  const parts = task.more ?? [];
  const by = request.folder ?? parts.find((part) => part.answer?.model)?.answer.model ?? request.model;
  return [
    h("p", { class: "ps-hint ps-break" }, [by && `by ${by}`, `${count(request.n, "sentence")} for each class`, request.instructions && `wishes: “${request.instructions}”`].filter(Boolean).join(", ")),
    parts.length > 0 && h("ul", { class: "ps-parts" }, parts.map(partLine)),
  ];
}

function partLine(part) {
  const { answer, error } = part;
  const [word, tone] = PARTS[part.state] ?? [part.state, ""];
  const kept = answer?.sentences?.length ?? 0;
  const dropped = answer?.dropped ?? [];
  return h("li", { class: "ps-stack-s" },
    h("div", { class: "ps-row" }, h("strong", { class: "ps-break" }, part.label), chip(word, tone), part.state === "done" && count(kept, "draft")),
    error && h("p", { class: "ps-break" }, error.message ?? [error.expected, error.found, error.remedy].filter(Boolean).join(". ")),
    dropped.length > 0 && h("details", { class: "ps-inline-fold" }, h("summary", {}, `${count(dropped.length, "sentence")} left out`),
      h("ul", { class: "ps-notes" }, dropped.slice(0, MOST_DROPPED).map((each) => h("li", { class: "ps-break" }, `“${each.text}”: ${each.reason}`)),
        dropped.length > MOST_DROPPED && h("li", {}, `and ${dropped.length - MOST_DROPPED} more`))));
}
