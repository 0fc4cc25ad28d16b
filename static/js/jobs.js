/**
 * <ps-jobs>: every job with its state, attempts and log; cancel, try again. `?id=JOB` opens one.
 *
 * Refreshes by itself while something waits or runs, and slowly otherwise: somebody else may start a job.
 */

import {
  announce,
  api,
  button,
  busy,
  count,
  define,
  duration,
  empty,
  errorNotice,
  fill,
  h,
  link,
  listOf,
  moment,
  param,
  percent,
  PsElement,
  setParam,
} from "./core.js";
import { confirmDialog, follow, linkTo, uid } from "./follow.js";
import {
  cancelText,
  cellsText,
  batchLine,
  descriptionsLine,
  experimentLine,
  failureText,
  imagesLine,
  isActive,
  stageWord,
  stateChip,
  stateSentence,
} from "./job-words.js";
import "./job-monitor.js";
import { focusPager, pager } from "./pager.js";

const BUSY_MS = 1500;
const IDLE_FACTOR = 4;
const PER_PAGE = 50;
// value, words, states asked for
const FILTERS = [
  ["", "All", []],
  ["active", "Running and waiting", ["running", "queued"]],
  ["succeeded", "Done", ["succeeded"]],
  ["failed", "Failed", ["failed"]],
  ["cancelled", "Cancelled", ["cancelled"]],
];

class Jobs extends PsElement {
  start() {
    this.turn = 0;
    this.filter = "";
    this.offset = 0;
    this.states = new Map();
    this.show(busy());
    follow(
      this,
      BUSY_MS,
      () => this.refresh(),
      (error) => this.showTrouble(error),
    );
  }

  async refresh() {
    this.turn += 1;
    const idle = this.jobs && !this.jobs.some(isActive);
    if (idle && this.turn % IDLE_FACTOR) return true;
    await this.ask();
    return true;
  }

  async ask(focus = null) {
    const query = new URLSearchParams({ limit: PER_PAGE, offset: this.offset });
    for (const state of FILTERS.find(([value]) => value === this.filter)[2]) query.append("state", state);
    const asked = (this.asked = (this.asked ?? 0) + 1);
    const page = await api.get(`/jobs?${query}`, { signal: this.signal });
    if (asked !== this.asked) return; // another page was chosen meanwhile
    this.jobs = listOf(page);
    this.total = page.total ?? this.jobs.length;
    this.trouble?.replaceChildren();
    this.announceChanges();
    if (!this.jobs.length && this.offset) return this.go(Math.max(0, this.offset - PER_PAGE), focus);
    if (!this.jobs.length && !this.filter && !this.offset) this.showEmpty();
    else this.showTable(focus);
    return null;
  }

  async go(offset, focus = null) {
    this.offset = offset;
    try {
      await this.ask(focus);
    } catch (error) {
      if (error.name !== "AbortError") this.showTrouble(error);
    }
  }

  showTrouble(error) {
    if (this.trouble) this.trouble.replaceChildren(errorNotice(error));
    else this.fail(error);
  }

  announceChanges() {
    for (const job of this.jobs) {
      const before = this.states.get(job.id);
      if (before && before !== job.state) announce(stateSentence(job), { urgent: job.state === "failed" });
      this.states.set(job.id, job.state);
    }
  }

  showEmpty() {
    const hadFocus = this.contains(document.activeElement);
    this.body = null;
    this.show(
      empty(
        "No jobs yet",
        "Each training you start becomes a job. It appears here with its progress, and stays here with its log when it is done.",
        link("Start a training", "/train", "main"),
      ),
    );
    if (hadFocus) this.querySelector("a").focus();
  }

  build() {
    this.trouble = h("div");
    this.body = h("tbody");
    this.chosen = h("div");
    this.pages = h("div");
    this.count = h("p", { class: "ps-soft", role: "status" });
    const group = uid("state");
    const filter = ([value, words]) =>
      h(
        "label",
        { class: "ps-radio" },
        h("input", {
          type: "radio",
          name: group,
          value,
          checked: value === this.filter,
          onchange: () => this.choose(value),
        }),
        words,
      );
    const head = ["Job", "State", "Progress", "Started", "Took", "Attempts", "Actions"];
    this.show(
      h(
        "div",
        { class: "ps-stack" },
        this.trouble,
        this.chosen,
        h("fieldset", {}, h("legend", {}, "Show"), h("div", { class: "ps-radios" }, FILTERS.map(filter))),
        h(
          "div",
          { class: "ps-table-scroll ps-card", tabindex: "0", role: "region", "aria-label": "Jobs, newest first" },
          this.count,
          h(
            "table",
            { class: "ps-table ps-cards-when-narrow" },
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                head.map((name) => h("th", { scope: "col" }, name)),
              ),
            ),
            this.body,
          ),
          this.pages,
        ),
      ),
    );
    if (param("id")) this.open(param("id"));
  }

  choose(value) {
    this.filter = value;
    this.go(0);
  }

  showTable(focus) {
    if (!this.body) this.build();
    const rows = this.jobs;
    const first = this.offset + 1;
    this.count.textContent = rows.length
      ? `${first} to ${this.offset + rows.length} of ${count(this.total, "job")}, newest first`
      : "No job in this state.";
    // The focus is in a row that is about to be drawn anew: put it back on the same button.
    const held = this.body.contains(document.activeElement) && document.activeElement.dataset.key;
    this.body.replaceChildren(...rows.map((job) => this.row(job)));
    if (held) this.focusNear(held);
    const kept = focus ?? (this.pages.contains(document.activeElement) && document.activeElement.dataset.go);
    const place = { offset: this.offset, shown: rows.length, total: this.total, perPage: PER_PAGE };
    fill(this.pages, pager("Pages of jobs", ["job"], place, (offset, name) => this.go(offset, name)));
    focusPager(this.pages, kept);
  }

  /** On the same button, else on the same job, else on the first one: what was pressed may be gone. */
  focusNear(key) {
    const [job] = key.split(" ");
    const places = [`[data-key="${CSS.escape(key)}"]`, `[data-key^="${CSS.escape(`${job} `)}"]`, "button"];
    places.map((place) => this.body.querySelector(place)).find(Boolean)?.focus();
  }

  row(job) {
    const cell = (name, ...content) => h("td", { "data-label": name }, content);
    return h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        this.rowButton(job, job.label || job.id, () => this.open(job.id)),
        imagesLine(job),
        experimentLine(job),
        descriptionsLine(job),
        batchLine(job),
      ),
      cell("State", stateChip(job.state)),
      cell("Progress", progressOf(job)),
      cell("Started", moment(job.started_at) || "–"),
      cell("Took", timeTaken(job)),
      cell("Attempts", String((job.attempts || []).length)),
      cell("Actions", h("div", { class: "ps-actions" }, this.actions(job))),
    );
  }

  rowButton(job, words, act, kind = "quiet ps-button-small ps-button-text") {
    const made = button(words, act, kind);
    made.dataset.key = `${job.id} ${words}`;
    return made;
  }

  actions(job) {
    const small = (words, act) => this.rowButton(job, words, act, "small");
    if (isActive(job) && job.cancel_requested) return [h("span", { class: "ps-soft" }, "Stopping …")];
    if (isActive(job)) return [small("Cancel", () => this.cancel(job))];
    if (job.state === "succeeded") return [];
    const again = small("Try again", () => this.act(job, "retry"));
    // a job goes with its run; that of an experiment goes with the experiment
    return job.run_id ? [again, small("Delete", () => this.delete(job))] : [again];
  }

  /** Jobs without a result are deleted here; runs with one on the Compare page. */
  async delete(job) {
    const sure = await confirmDialog({
      title: "Delete this job?",
      text: `“${job.label || job.id}” goes with its log and its settings, and cannot be tried again. This cannot be undone.`,
      yes: "Delete the job",
      no: "Keep it",
    });
    if (!sure) return;
    try {
      await api.delete(`/runs/${encodeURIComponent(job.run_id)}`);
      if (param("id") === job.id) this.close();
      announce(`${job.label || "The job"} was deleted`);
      await this.ask();
    } catch (error) {
      this.showTrouble(error);
    }
  }

  async cancel(job) {
    const sure = await confirmDialog({
      title: "Cancel this job?",
      text: cancelText(job),
      yes: "Cancel the job",
      no: "Let it run",
    });
    if (sure) await this.act(job, "cancel");
  }

  async act(job, what) {
    try {
      await api.post(`/jobs/${encodeURIComponent(job.id)}/${what}`);
      this.jobs = null;
      await this.refresh();
    } catch (error) {
      this.showTrouble(error);
    }
  }

  async open(id) {
    setParam("id", id);
    const log = h("pre", { class: "ps-log", tabindex: "0", "aria-label": "Log" }, "Loading …");
    const close = button("Close", () => this.close(), "quiet ps-button-small");
    const title = h("h2", { tabindex: "-1" }, "One job");
    const monitor = h("ps-job-monitor", { "job-id": id });
    const attempts = h("div");
    const details = h(
      "details",
      { class: "ps-unfold", open: param("log") !== null },
      h("summary", {}, "Log and attempts"),
      h("div", { class: "ps-stack-s" }, attempts, log),
    );
    details.addEventListener("toggle", () => details.open && this.showLog(id, log, attempts));
    setParam("log", null);
    this.chosen.replaceChildren(
      h("section", { class: "ps-stack-s" }, h("div", { class: "ps-row-between" }, title, close), monitor, details),
    );
    title.focus({ preventScroll: true });
    this.chosen.scrollIntoView({ block: "nearest" });
  }

  async showLog(id, log, attempts) {
    try {
      const [job, answer] = await Promise.all([
        api.get(`/jobs/${encodeURIComponent(id)}`),
        api.get(`/jobs/${encodeURIComponent(id)}/log`),
      ]);
      log.textContent = logText(answer) || "Nothing was written yet.";
      attempts.replaceChildren(h("ul", { class: "ps-queue" }, (job.attempts || []).map(attemptLine)));
    } catch (error) {
      log.textContent = error.message;
    }
  }

  close() {
    const id = param("id");
    setParam("id", null);
    this.chosen.replaceChildren();
    this.body?.querySelector(`[data-key^="${CSS.escape(id)} "]`)?.focus();
  }
}

function logText(answer) {
  const log = answer?.log ?? answer;
  return Array.isArray(log) ? log.join("\n") : String(log ?? "");
}

function attemptLine(attempt) {
  const reason = failureText(attempt.error);
  return h(
    "li",
    {},
    `Attempt ${attempt.number}`,
    stateChip(attempt.state),
    moment(attempt.started_at),
    reason && h("span", {}, reason),
  );
}

function progressOf(job) {
  if (job.state === "running") {
    const share = job.total ? job.done / job.total : null;
    const words =
      cellsText(job) ||
      (job.stage === "training" && job.epochs ? `Epoch ${job.epoch ?? 0} of ${job.epochs}` : stageWord(job.stage));
    const left = Number.isFinite(job.seconds_left) ? `, about ${duration(job.seconds_left)} left` : "";
    const bar = h("progress", { max: 1, value: share ?? 0, "aria-label": `Progress of ${job.label}` });
    return h(
      "div",
      {},
      bar,
      h(
        "small",
        { class: "ps-hint" },
        `${words || "Starting"}${left}${share === null ? "" : ` (${percent(share, 0)})`}`,
      ),
      job.cells && job.note && h("small", { class: "ps-hint ps-block ps-break" }, `Now: ${job.note}`),
    );
  }
  if (job.state === "queued") return job.queue_position ? `Number ${job.queue_position} in the queue` : "Next";
  if (job.state === "failed")
    return h("span", { class: "ps-break" }, failureText(job.error) || "Ended without a message.");
  if (job.cells) return cellsText(job);
  return job.epochs ? `${job.epoch ?? job.epochs} of ${job.epochs} epochs` : "–";
}

function timeTaken(job) {
  if (!job.started_at) return "–";
  const end = job.finished_at ? new Date(job.finished_at) : new Date();
  const seconds = (end - new Date(job.started_at)) / 1000;
  return job.finished_at && seconds >= 0 ? duration(seconds) : "–";
}

define("ps-jobs", Jobs);
