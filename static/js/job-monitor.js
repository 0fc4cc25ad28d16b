/**
 * <ps-job job-id="...">: one job, followed while it runs.
 *
 * Shows state, stages, epoch n of N, time per epoch and left, age of the heartbeat, live curves; Cancel asks first.
 * When it ends: the metrics and where to go next, or what went wrong and what to do. Polls only while the job is
 * waiting or running. Fires "job-change" (detail: the job) when the state changes.
 */

import { announce, api, confirmDialog, h, linkTo, poll } from "./core.js";
import { METRICS, metricText } from "./metric-words.js";
import { duration, failureText, isActive, stateChip, stateSentence, STAGES } from "./job-words.js";
import { lineChart, percent, shortNumber } from "./plots.js";
import "./plot-figure.js";

const POLL_MS = 1200;

class JobMonitor extends HTMLElement {
  connectedCallback() {
    this.build();
    this.stop = poll(() => this.refresh(), POLL_MS);
  }

  disconnectedCallback() {
    this.stop?.();
  }

  get jobId() {
    return this.getAttribute("job-id");
  }

  build() {
    this.heading = h("h3", { class: "job-title" });
    this.chip = h("span");
    this.cancelButton = h("button", { type: "button", class: "button danger small" }, "Cancel this job");
    this.cancelButton.addEventListener("click", () => this.cancel());
    this.steps = h("ol", { class: "stage-list" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Progress of the present stage" });
    this.facts = h("dl", { class: "facts" });
    this.loss = h("ps-plot");
    this.accuracy = h("ps-plot");
    this.curves = h("div", { class: "curves" }, this.loss, this.accuracy);
    this.curves.hidden = true;
    this.end = h("div", { class: "job-end" });
    const head = h("header", { class: "job-head" }, this.heading, this.chip, this.cancelButton);
    this.replaceChildren(h("article", { class: "card job" }, head, this.steps, this.bar, this.facts, this.curves, this.end));
  }

  /** Answers whether to ask again. */
  async refresh() {
    const job = await api.get(`/jobs/${encodeURIComponent(this.jobId)}`);
    if (this.job && this.job.state !== job.state) {
      announce(stateSentence(job), job.state === "failed");
      this.dispatchEvent(new CustomEvent("job-change", { detail: job, bubbles: true }));
    }
    this.job = job;
    const run = job.run_id ? await api.get(`/runs/${encodeURIComponent(job.run_id)}`).catch(() => null) : null;
    this.show(job, run);
    return isActive(job);
  }

  show(job, run) {
    this.heading.textContent = job.label || job.id;
    this.chip.replaceChildren(stateChip(job.state));
    this.cancelButton.hidden = !isActive(job);
    this.showStages(job);
    this.showFacts(job);
    this.showCurves(job, run);
    this.showEnd(job, run);
  }

  showStages(job) {
    this.steps.hidden = this.bar.hidden = job.state !== "running";
    if (job.state !== "running") return;
    const current = STAGES.findIndex(([name]) => name === job.stage);
    const step = ([, words], index) => {
      const place = index < current ? "done" : index === current ? "now" : "coming";
      const mark = { done: "✓", now: "▶", coming: "○" }[place];
      return h(
        "li",
        { class: place, "aria-current": place === "now" ? "step" : null },
        h("span", { "aria-hidden": "true" }, mark),
        ` ${words}`,
        h("span", { class: "visually-hidden" }, { done: " (done)", now: " (now)", coming: "" }[place]),
      );
    };
    this.steps.replaceChildren(...STAGES.map(step));
    const share = job.total ? job.done / job.total : null;
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
    this.bar.textContent = percent(share ?? 0, 0);
  }

  showFacts(job) {
    const facts = [];
    if (job.state === "queued") {
      facts.push(["Place in the queue", job.queue_position ?? "next"]);
    } else if (job.state === "running") {
      if (job.epochs) facts.push(["Epoch", `${job.epoch ?? 0} of ${job.epochs}`]);
      if (job.total && job.stage !== "training") facts.push(["Step", `${job.done} of ${job.total}`]);
      if (Number.isFinite(job.seconds_per_epoch)) facts.push(["Time per epoch", duration(job.seconds_per_epoch)]);
      if (Number.isFinite(job.seconds_left)) facts.push(["Time left", `about ${duration(job.seconds_left)}`]);
      if (Number.isFinite(job.heartbeat_age_s)) facts.push(["Last sign of life", `${duration(job.heartbeat_age_s)} ago`]);
    }
    if ((job.attempts || []).length > 1) facts.push(["Attempt", job.attempts.length]);
    this.facts.hidden = !facts.length;
    this.facts.replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
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
    if (job.state === "failed") return this.end.replaceChildren(this.failure(job));
    const text = job.state === "cancelled" ? "It was stopped before its end and takes no part in comparisons." : "";
    this.end.replaceChildren(h("p", { class: "muted" }, text), this.retryButton(job));
  }

  failure(job) {
    return h(
      "div",
      { class: "notice bad", role: "alert" },
      h("p", {}, h("strong", {}, "This job failed. "), failureText(job.error) || "The process ended without a message."),
      h("p", {}, this.retryButton(job), " ", h("a", { href: linkTo("/jobs", { id: job.id }) }, "Read its log")),
    );
  }

  retryButton(job) {
    const button = h("button", { type: "button", class: "button small" }, "Try again");
    button.addEventListener("click", () => this.act(`/jobs/${encodeURIComponent(job.id)}/retry`));
    button.hidden = job.state === "succeeded";
    return button;
  }

  async cancel() {
    const sure = await confirmDialog({
      title: "Cancel this job?",
      text: `${this.job.label || "The job"} stops and gives no model. You can start it again later.`,
      yes: "Cancel the job",
      no: "Let it run",
    });
    if (sure) await this.act(`/jobs/${encodeURIComponent(this.jobId)}/cancel`);
  }

  async act(path) {
    try {
      await api.post(path);
    } catch (error) {
      announce(error.message, true);
      this.end.replaceChildren(h("div", { class: "notice bad", role: "alert" }, h("p", {}, error.message)));
      return;
    }
    this.stop?.();
    this.stop = poll(() => this.refresh(), POLL_MS);
  }
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
    draw: (width) => lineChart({ width, series: [{ name: "loss", points }], xLabel: "epoch", xHigh: total, y: { low: 0 }, sentence }),
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
    draw: (width) =>
      lineChart({
        width,
        series: [{ name: "train", points, kind: 2 }],
        xLabel: "epoch",
        xHigh: total,
        y: { low: 0, high: 1, format: (value) => percent(value, 0) },
        sentence,
      }),
    columns: ["Epoch", "Accuracy on training images"],
    rows: points.map(([epoch, value]) => [epoch, percent(value)]),
    csvRows: points,
    file: fileName(label, "train-accuracy"),
  };
}

/** A safe file name from a label. */
export function fileName(...parts) {
  return parts.join(" ").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "");
}

function resultOf(run) {
  const tile = (metric) =>
    h("div", { class: "metric" }, h("dt", {}, metric.title), h("dd", {}, metricText(metric, run.metrics[metric.name])));
  const link = (words, path, query, kind = "") => h("a", { class: `button small ${kind}`, href: linkTo(path, query) }, words);
  return [
    h("dl", { class: "metric-row" }, ...METRICS.map(tile)),
    h("p", { class: "muted" }, `On ${run.n_test} test images that took no part in training. ${calibrationNote(run)}`),
    ...(run.notes || []).map((note) => h("p", { class: "note" }, note)),
    h(
      "p",
      { class: "next-steps" },
      link("Compare", "/compare", { images: run.image_set?.id, run: run.id }),
      link("Classify images", "/classify", { model: run.model_id }),
      link("Look at attention", "/attention", { model: run.model_id }),
    ),
    h("p", { class: "research-use" }, "Research use only. Not for use in diagnostic procedures."),
  ];
}

function calibrationNote(run) {
  return run.n_val === 0 ? "No images were left over to tune or calibrate on." : "";
}

if (!customElements.get("ps-job")) customElements.define("ps-job", JobMonitor);
