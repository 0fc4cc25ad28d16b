// One task about descriptions, followed while its job waits or runs: how far it is, Cancel, Try again, why it failed.
import { announce, api, button, chip, duration, errorNotice, fill, h, moment, percent } from "./core.js";
import { confirmDialog, follow, linkTo } from "./follow.js";
import { failureText, isActive, stateChip } from "./job-words.js";

const POLL_MS = 1200;

export class TaskCard {
  // owner: an element that leaves the page with the card. title(task), body(task) -> nodes below the state; more(task):
  // what else the body needs, asked for whenever the counts of its parts change; ended(task): called once when it ends
  // while somebody looks.
  constructor(desk, owner, task, { title, body, more = null, ended = () => {} }) {
    Object.assign(this, { desk, owner, task, title, body, more, ended });
    this.heading = h("h4", { class: "ps-break", tabindex: "-1" });
    this.state = h("div", { class: "ps-row" });
    this.progress = h("div", { class: "ps-stack-s" });
    this.trouble = h("p", { class: "ps-hint", role: "status" });
    this.content = h("div", { class: "ps-stack-s" });
    this.node = h("article", { class: "ps-task ps-stack-s" }, this.heading, this.state, this.progress, this.trouble, this.content);
    this.#show();
    if (this.isActive) this.watch();
    else if (more) this.refresh().catch((error) => this.#away(error));
  }

  get isActive() {
    return Boolean(this.task.job && isActive(this.task.job));
  }

  watch() {
    this.stop?.();
    this.stop = follow(this.owner, POLL_MS, () => this.refresh(), (error) => this.#away(error));
  }

  #away(error) {
    if (error.status >= 400 && error.status < 500) fill(this.content, errorNotice(error));
    else this.trouble.textContent = `${error.message} Asking again …`;
  }

  // Answers whether to ask again.
  async refresh() {
    const was = this.isActive;
    const task = await this.desk.get(`/tasks/${encodeURIComponent(this.task.id)}`);
    const counts = JSON.stringify(task.parts);
    if (this.more && counts !== this.countsBefore) this.found = await this.more(task);
    this.countsBefore = counts;
    this.task = { ...task, more: this.found };
    this.trouble.textContent = "";
    this.#show();
    if (was && !this.isActive) {
      announce(`${this.title(this.task)}: ${this.task.job.state === "succeeded" ? "done" : this.task.job.state}`, { urgent: this.task.job.state === "failed" });
      await this.ended(this.task);
    }
    return this.isActive;
  }

  #show() {
    const { job } = this.task;
    this.heading.textContent = this.title(this.task);
    // what has the focus must not be put anew each second
    const stopping = this.isStopping && this.isActive;
    const key = `${job?.state}|${stopping}`;
    if (key !== this.shownState) {
      this.shownState = key;
      fill(this.state, job ? stateChip(job.state) : chip("no job", ""), h("span", { class: "ps-hint" }, moment(this.task.created_at)),
        this.isActive && !stopping && button("Cancel", () => this.#cancel(), "small"),
        stopping && chip("stopping", "warn"));
    }
    fill(this.progress, this.isActive && bar(job), this.isActive && h("p", { class: "ps-hint" }, standing(job)));
    this.#showBody();
  }

  // Put anew only where it says something else: what somebody opened in it stays open.
  #showBody() {
    const { job, parts, result, more } = this.task;
    const said = JSON.stringify([job?.state, job?.error, parts, Boolean(result), Boolean(more)]);
    if (said === this.saidBefore) return;
    this.saidBefore = said;
    fill(this.content, job?.state === "failed" && this.#failure(job), job?.state === "cancelled" && this.#cancelled(), this.body(this.task));
  }

  #failure(job) {
    return h("div", { class: "ps-notice ps-notice-bad" },
      h("p", {}, h("strong", {}, "This failed. "), failureText(job.error) || "The process ended without a message."),
      h("div", { class: "ps-actions" }, this.#retry(), h("a", { href: linkTo("/jobs", { id: job.id, log: "open" }) }, "Read its log")));
  }

  #cancelled() {
    return h("p", { class: "ps-soft" }, "It was stopped before its end; what is done stays. ", this.#retry("Go on"));
  }

  #retry(words = "Try again") {
    return button(words, () => this.#act("retry"), "small");
  }

  async #cancel() {
    const sure = await confirmDialog({ title: "Stop this?", text: "What is done already stays. You can go on with the rest later.", yes: "Stop", no: "Let it run" });
    if (sure) await this.#act("cancel");
  }

  async #act(what) {
    try {
      await api.post(`/jobs/${encodeURIComponent(this.task.job.id)}/${what}`);
      this.isStopping = what === "cancel";
      this.heading.focus({ preventScroll: true });
      await this.refresh();
      if (this.isActive) this.watch();
    } catch (error) {
      this.saidBefore = "";
      fill(this.content, errorNotice(error), this.body(this.task));
    }
  }
}

function bar(job) {
  const node = h("progress", { max: 1, "aria-label": "Progress" });
  if (job.total) node.value = job.done / job.total;
  node.textContent = percent(job.total ? job.done / job.total : 0, 0);
  return node;
}

function standing(job) {
  if (job.state === "queued") return "Waits for a free worker.";
  const parts = [job.note, job.total ? `${job.done} of ${job.total}` : job.stage ? "" : "starting a process of its own", Number.isFinite(job.seconds_left) && `about ${duration(job.seconds_left)} left`];
  return parts.filter(Boolean).join(", ");
}
