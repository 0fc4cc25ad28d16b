/**
 * <ps-job-monitor job-id="...">: one job, followed while it runs.
 *
 * Shows state, stages, epoch n of N, time per epoch and left, age of the heartbeat, live curves; Cancel asks first.
 * When it ends: the metrics and where to go next, or what went wrong and what to do. Polls only while the job is
 * waiting or running. Fires "job-change" (detail: the job) when the state changes.
 */

import { announce, api, button, define, duration, errorNotice, h, link, percent, PsElement } from "./core.js";
import { shortNumber } from "./charts.js";
import { descriptionUse } from "./description-use.js";
import { curves } from "./figures.js";
import { confirmDialog, follow, linkTo } from "./follow.js";
import { isBad, leakageLine } from "./honesty-words.js";
import {
  cancelText,
  cellsText,
  batchLine,
  descriptionsLine,
  experimentLine,
  failureText,
  imagesLine,
  isActive,
  stateChip,
  stateSentence,
  STAGES,
  whatStays,
} from "./job-words.js";
import { METRICS, metricText } from "./metric-words.js";
import { fileName } from "./plot.js";
import { recipeLines } from "./recipe-words.js";

const POLL_MS = 1200;

class JobMonitor extends PsElement {
  start() {
    if (!this.heading) this.build();
    this.watch();
  }

  watch() {
    this.stop?.();
    this.stop = follow(
      this,
      POLL_MS,
      () => this.refresh(),
      (error) => this.showTrouble(error),
    );
  }

  get jobId() {
    return this.getAttribute("job-id");
  }

  build() {
    this.heading = h("h3", { class: "ps-break", tabindex: "-1" });
    this.chip = h("span");
    this.cancelButton = button("Cancel this job", () => this.cancel(), "small");
    this.steps = h("ol", { class: "ps-stages" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Progress of the present stage" });
    this.facts = h("dl", { class: "ps-factlist" });
    this.trouble = h("p", { class: "ps-hint", role: "status" });
    this.loss = h("ps-plot");
    this.accuracy = h("ps-plot");
    this.curves = h("div", { class: "ps-curves", hidden: true }, this.loss, this.accuracy);
    this.end = h("div", { class: "ps-stack-s" });
    this.images = h("span");
    const head = h("header", { class: "ps-job-head" }, this.heading, this.images, this.chip, this.cancelButton);
    this.show(
      h(
        "article",
        { class: "ps-card ps-job" },
        head,
        this.steps,
        this.bar,
        this.facts,
        this.trouble,
        this.end,
        this.curves,
      ),
    );
  }

  showTrouble(error) {
    if (error.status >= 400 && error.status < 500) this.end.replaceChildren(errorNotice(error));
    else this.trouble.textContent = `${error.message} Asking again …`;
  }

  /** Answers whether to ask again. */
  async refresh() {
    const job = await api.get(`/jobs/${encodeURIComponent(this.jobId)}`);
    if (this.job && this.job.state !== job.state) {
      announce(stateSentence(job), { urgent: job.state === "failed" });
      this.dispatchEvent(new CustomEvent("job-change", { detail: job, bubbles: true }));
    }
    this.job = job;
    this.trouble.textContent = "";
    const run = job.run_id ? await api.get(`/runs/${encodeURIComponent(job.run_id)}`).catch(() => null) : null;
    this.showJob(job, run);
    return isActive(job);
  }

  showJob(job, run) {
    this.heading.textContent = job.label || job.id;
    this.images.replaceChildren(imagesLine(job), experimentLine(job), descriptionsLine(job), batchLine(job));
    this.chip.replaceChildren(stateChip(job.state));
    this.cancelButton.hidden = !isActive(job) || Boolean(job.cancel_requested);
    this.showStages(job);
    this.showFacts(job);
    this.showCurves(job, run);
    this.showEnd(job, run);
  }

  showStages(job) {
    this.bar.hidden = job.state !== "running";
    // cells go through the stages again and again; a task about descriptions has one
    this.steps.hidden = this.bar.hidden || Boolean(job.experiment_id || job.description_set || job.explanation_batch_id);
    if (job.state !== "running") return;
    const stages = STAGES.filter(([name, , rare]) => !rare || name === job.stage);
    const current = stages.findIndex(([name]) => name === job.stage);
    const step = ([, words], index) => {
      const place = index < current ? "done" : index === current ? "now" : "coming";
      const mark = { done: "✓", now: "▶", coming: "○" }[place];
      return h(
        "li",
        { class: `ps-${place}`, "aria-current": place === "now" ? "step" : null },
        h("span", { "aria-hidden": "true" }, mark),
        ` ${words}`,
        h("span", { class: "ps-visually-hidden" }, { done: " (done)", now: " (now)", coming: "" }[place]),
      );
    };
    this.steps.replaceChildren(...stages.map(step));
    const share = job.total ? job.done / job.total : null; // without a value the bar says only that something runs
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
    this.bar.textContent = percent(share ?? 0, 0);
  }

  showFacts(job) {
    const facts = job.cells ? [["Cells", cellsText(job)]] : [];
    if (job.state === "running" && !job.run_id && job.note) facts.push(["Now", job.note]);
    if (job.state === "queued") {
      facts.push(["Place in the queue", job.queue_position ?? "next"]);
    } else if (job.state === "running") {
      if (job.cancel_requested) facts.push(["Now", "stopping"]);
      else if (!job.stage) facts.push(["Now", "starting a process of its own"]);
      if (job.epochs) facts.push(["Epoch", `${job.epoch ?? 0} of ${job.epochs}`]);
      if (job.total && job.stage !== "training" && !job.cells) facts.push(["Step", `${job.done} of ${job.total}`]);
      if (Number.isFinite(job.seconds_per_epoch)) facts.push(["Time per epoch", duration(job.seconds_per_epoch)]);
      if (Number.isFinite(job.seconds_left)) facts.push(["Time left", `about ${duration(job.seconds_left)}`]);
      if (Number.isFinite(job.heartbeat_age_s))
        facts.push(["Last sign of life", `${duration(job.heartbeat_age_s)} ago`]);
    }
    if ((job.attempts || []).length > 1) facts.push(["Attempt", job.attempts.length]);
    this.facts.hidden = !facts.length;
    this.facts.replaceChildren(
      ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))),
    );
  }

  showCurves(job, run) {
    const epochs = run?.epoch_metrics || [];
    this.curves.hidden = epochs.length < 2;
    if (this.curves.hidden) return;
    this.loss.content = lossPlot(epochs, job.epochs, job.label);
    const known = epochs.filter((row) => Number.isFinite(row.train_accuracy));
    this.accuracy.hidden = known.length < 2;
    if (known.length > 1) this.accuracy.content = accuracyPlot(known, job.epochs, job.label);
  }

  showEnd(job, run) {
    if (isActive(job)) return this.end.replaceChildren();
    if (job.state === "succeeded" && run?.metrics) return this.end.replaceChildren(...resultOf(run));
    if (job.state === "failed") return this.end.replaceChildren(this.failure(job, run));
    if (job.state === "succeeded" && job.experiment_id) return this.end.replaceChildren(...comparisonOf(job));
    if (job.state === "succeeded" && job.explanation_batch_id) {
      const open = link("See the results", linkTo("/attention", { batch: job.explanation_batch_id }), "small");
      return this.end.replaceChildren(h("div", { class: "ps-actions" }, open));
    }
    if (job.state === "succeeded" && job.description_set) return this.end.replaceChildren(...descriptionsOf(job));
    const stopped = `It was stopped before its end${whatStays(job)}.`;
    const text = job.state === "cancelled" ? stopped : "";
    this.end.replaceChildren(h("p", { class: "ps-soft" }, text), this.retryButton(job));
  }

  failure(job, run) {
    const sentence = failureText(job.error) || "The process ended without a message.";
    const log = h("a", { href: linkTo("/jobs", { id: job.id, log: "open" }) }, "Read its log");
    return h(
      "div",
      { class: "ps-notice ps-notice-bad" },
      h("p", {}, h("strong", {}, "This job failed. "), sentence),
      h("div", { class: "ps-actions" }, this.retryButton(job), wayOn(job, run), log),
    );
  }

  retryButton(job) {
    return button("Try again", () => this.act(`/jobs/${encodeURIComponent(job.id)}/retry`), "small");
  }

  async cancel() {
    const sure = await confirmDialog({
      title: "Cancel this job?",
      text: cancelText(this.job),
      yes: "Cancel the job",
      no: "Let it run",
    });
    if (sure) await this.act(`/jobs/${encodeURIComponent(this.jobId)}/cancel`);
  }

  async act(path) {
    try {
      await api.post(path);
      this.heading.focus({ preventScroll: true }); // the button that was pressed goes away
      this.watch();
    } catch (error) {
      this.end.replaceChildren(errorNotice(error));
    }
  }
}

/** Where a finished task about descriptions goes on. */
function descriptionsOf(job) {
  const open = link("Open the descriptions", linkTo("/descriptions", { id: job.description_set.id }), "small");
  return [job.note && h("p", { class: "ps-soft" }, job.note), h("div", { class: "ps-actions" }, open)].filter(Boolean);
}

/** Where a finished experiment goes on. */
function comparisonOf(job) {
  const actions = h(
    "div",
    { class: "ps-actions" },
    link("See the results", linkTo("/compare", { experiment: job.experiment_id }), "small"),
    link("Open the experiment", linkTo("/experiments", { id: job.experiment_id }), "small"),
  );
  return [job.note && h("p", { class: "ps-soft" }, job.note), actions].filter(Boolean);
}

/** Where leakage can be allowed, for a job that was refused for it. */
function wayOn(job, run) {
  if (job.error?.code !== "leakage" || !job.image_set?.id) return null;
  const asked = { images: job.image_set.id, method: run?.method, leakage: "allow" };
  return h("a", { href: linkTo("/train", asked) }, "Allow it on the Train page");
}

/** The loss over epochs as content of a <ps-plot>. */
export function lossPlot(epochs, total, label) {
  const points = epochs.map((row) => [row.epoch, row.loss]);
  const [last, first] = [points.at(-1)[1], points[0][1]];
  const names = [...new Set(epochs.flatMap((row) => Object.keys(row.terms || {})))];
  const terms = names.length > 1 ? names : [];
  const sentence = `Loss after ${points.at(-1)[0]} epochs: ${shortNumber(last)}; it began at ${shortNumber(first)}.`;
  return {
    title: "Loss",
    sentence,
    figure: curves({
      series: [{ name: "loss", points }],
      x: { title: "epoch", low: 1, high: Math.max(total || 0, points.at(-1)[0]) },
      y: { low: Math.min(0, ...points.map(([, loss]) => loss)) },
    }),
    columns: ["Epoch", "Loss", ...terms, "Learning rate"],
    rows: epochs.map((row) => [
      row.epoch,
      shortNumber(row.loss),
      ...terms.map((name) => (row.terms?.[name] === undefined ? "–" : shortNumber(row.terms[name]))),
      row.learning_rate === null ? "–" : shortNumber(row.learning_rate),
    ]),
    csvRows: epochs.map((row) => [row.epoch, row.loss, ...terms.map((name) => row.terms?.[name]), row.learning_rate]),
    file: fileName(label, "loss"),
  };
}

function accuracyPlot(epochs, total, label) {
  const points = epochs.map((row) => [row.epoch, row.train_accuracy]);
  const sentence = `Accuracy on the training images themselves: ${percent(points.at(-1)[1])}. It says nothing about new images.`;
  return {
    title: "Accuracy on the training images",
    sentence,
    figure: curves({
      series: [{ name: "train", points, kind: 2 }],
      x: { title: "epoch", low: 1, high: Math.max(total || 0, points.at(-1)[0]) },
      y: { low: 0, high: 1, format: (value) => percent(value, 0) },
    }),
    columns: ["Epoch", "Accuracy on training images"],
    rows: points.map(([epoch, value]) => [epoch, percent(value)]),
    csvRows: points,
    file: fileName(label, "train-accuracy"),
  };
}

/** The interval of this model's number over its test images, as a second value of its tile. */
function intervalOf(metric, own) {
  if (!Number.isFinite(own?.low)) return "";
  const text = `${metricText(metric, own.low)} to ${metricText(metric, own.high)}`;
  return h("dd", { class: "ps-hint", title: own.interval }, text);
}

function resultOf(run) {
  const tile = (metric) =>
    h(
      "div",
      { class: "ps-metric" },
      h("dt", {}, metric.title),
      h("dd", {}, metricText(metric, run.metrics[metric.name])),
      intervalOf(metric, run.intervals?.[metric.name]),
    );
  const calibration = run.n_val === 0 ? " No images were left over to tune or calibrate on." : "";
  return [
    h("dl", { class: "ps-metrics" }, METRICS.map(tile)),
    h("p", { class: "ps-soft" }, `On ${run.n_test} test images${isBad(run.leakage) ? "" : " that took no part in training"}.${calibration}`),
    leakageLine(run.leakage),
    recipeLines(run.recipe),
    run.description_version ? h("p", { class: "ps-hint" }, descriptionUse(run.description_version)) : "",
    (run.notes || [])
      .filter((note) => note !== run.leakage?.sentence)
      .map((note) => h("p", { class: "ps-hint" }, note)),
    h(
      "div",
      { class: "ps-actions" },
      link("Compare", linkTo("/compare", { images: run.image_set?.id, run: run.id }), "small"),
      link("Classify images", linkTo("/classify", { model: run.model_id }), "small"),
      link("Look at attention", linkTo("/attention", { model: run.model_id }), "small"),
    ),
    h("p", { class: "ps-hint" }, "Research use only. Not for use in diagnostic procedures."),
  ].flat();
}

define("ps-job-monitor", JobMonitor);
