/**
 * <ps-explanation-batch batch-id="...">: one batch, followed while it runs, then its answer, tables and rows.
 *
 * Fires "batch-change" when its job changes state, and "batch-gone".
 */

import { announce, api, busy, button, count, define, duration, errorNotice, h, percent, PsElement } from "./core.js";
import { modelResult } from "./explanation-batch-result.js";
import { confirmDialog, follow } from "./follow.js";
import { failureText, isActive, stageWord, stateChip } from "./job-words.js";

const POLL_MS = 1000;

class ExplanationBatch extends PsElement {
  async start() {
    this.show(busy("Loading what is measured …"));
    this.heading = null;
    this.watch();
  }

  path(rest = "") {
    return `/explanation-batches/${encodeURIComponent(this.getAttribute("batch-id"))}${rest}`;
  }

  watch() {
    this.stop?.();
    this.stop = follow(
      this,
      POLL_MS,
      () => this.refresh(),
      (error) => (this.heading ? (this.trouble.textContent = error.message) : this.fail(error)),
    );
  }

  /** Answers whether to ask again. */
  async refresh() {
    const found = await api.get(this.path(), { signal: this.signal });
    if (!this.heading) this.build(found);
    const before = this.batch;
    this.batch = found;
    this.trouble.textContent = "";
    if (before && before.job?.state !== found.job?.state) {
      announce(`The batch: ${found.job.state}.`);
      this.dispatchEvent(new CustomEvent("batch-change", { bubbles: true }));
    }
    this.drawHead(found);
    if (!before || before.finished_at !== found.finished_at) this.drawResult(found);
    return Boolean(found.job && isActive(found.job));
  }

  build(found) {
    this.heading = h("h2", { class: "ps-break", tabindex: "-1" }, `${found.image_set.name}, ${found.part} images`);
    this.chip = h("span");
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Measured" });
    this.now = h("p", { class: "ps-soft", role: "status" });
    this.actions = h("div", { class: "ps-actions" });
    this.trouble = h("p", { class: "ps-hint", role: "status" });
    this.end = h("div");
    this.result = h("div", { class: "ps-stack" });
    const head = h(
      "article",
      { class: "ps-card" },
      h("header", { class: "ps-job-head" }, this.heading, this.chip),
      h("p", { class: "ps-soft ps-break" }, askedFor(found)),
      this.bar,
      this.now,
      this.end,
      this.actions,
      this.trouble,
    );
    this.show(h("section", { class: "ps-stack", "aria-label": "Batch" }, head, this.result));
  }

  drawHead(found) {
    const { job } = found;
    const state = job?.state ?? "succeeded";
    const active = Boolean(job && isActive(job));
    this.chip.replaceChildren(stateChip(state));
    this.bar.hidden = !active;
    this.bar.value = job?.total ? job.done / job.total : 0;
    this.now.textContent = active ? progressWords(job) : "";
    this.end.replaceChildren(...endOf(found, state));
    const key = `${state} ${job?.cancel_requested}`;
    if (key === this.actionsFor) return;
    this.actionsFor = key;
    const held = this.actions.contains(document.activeElement);
    this.actions.replaceChildren(...this.buttons(state, active, job));
    if (held) this.heading.focus({ preventScroll: true });
  }

  buttons(state, active, job) {
    return [
      active && !job.cancel_requested && button("Cancel", () => this.cancel()),
      ["failed", "cancelled"].includes(state) && button("Go on", () => this.act("/resume"), "main"),
      !active && button("Delete…", () => this.remove(), "quiet"),
    ].filter(Boolean);
  }

  async drawResult(found) {
    this.result.replaceChildren(
      ...found.models.filter((model) => model.summaries).map((model) => modelResult(found, model)),
    );
  }

  async act(rest) {
    try {
      await api.post(this.path(rest));
      this.heading.focus({ preventScroll: true });
      this.watch();
    } catch (error) {
      this.end.replaceChildren(errorNotice(error));
    }
  }

  async cancel() {
    const sure = await confirmDialog({
      title: "Cancel the measuring?",
      text: "What is measured stays. You can go on with the other images later.",
      yes: "Cancel it",
      no: "Let it run",
    });
    if (sure) await this.act("/cancel");
  }

  async remove() {
    const sure = await confirmDialog({
      title: "Delete this batch?",
      text: "Its rows and summaries go. Models, images and their explanations stay.",
      yes: "Delete the batch",
      no: "Keep it",
    });
    if (!sure) return;
    try {
      await api.delete(this.path());
      this.dispatchEvent(new CustomEvent("batch-gone", { bubbles: true }));
    } catch (error) {
      this.end.replaceChildren(errorNotice(error));
    }
  }
}

function askedFor({ models, n_images: n, settings }) {
  const names = models.map((model) => model.name).join(" and ");
  const numbers = (settings?.vectors ?? []).join(", ");
  return `${names}; ${count(n, "image")}; k = ${numbers}; a change of ${settings?.margin} in the lesion's share matters, as stated beforehand.`;
}

function progressWords(job) {
  if (job.cancel_requested) return "Stopping …";
  if (job.state === "queued") return "Waits for its turn.";
  const left = Number.isFinite(job.seconds_left) ? `, about ${duration(job.seconds_left)} left` : "";
  const share = job.total ? ` ${job.done} of ${job.total} measures (${percent(job.done / job.total, 0)})${left}` : "";
  return `${stageWord(job.stage) || "Starting"}${job.note ? `, ${job.note}` : ""}:${share || " …"}`;
}

function endOf(found, state) {
  if (state === "failed")
    return [
      h(
        "div",
        { class: "ps-notice ps-notice-bad", role: "alert" },
        h("p", {}, h("strong", {}, "The measuring failed. "), failureText(found.job.error) || "It ended without a message."),
      ),
    ];
  if (state === "cancelled")
    return [h("p", {}, `Cancelled. ${count(found.n_rows, "measure")} stay; the others can still be made.`)];
  return [];
}

define("ps-explanation-batch", ExplanationBatch);
