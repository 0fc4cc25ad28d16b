/**
 * <ps-compare>: an experiment's results (`?experiment=ID`), or finished runs side by side, like with like: `?images=ID`
 * narrows those to one set, `?run=ID` opens one.
 */

import {
  announce,
  api,
  busy,
  button,
  chip,
  count,
  define,
  duration,
  empty,
  errorNotice,
  field,
  h,
  link,
  listOf,
  param,
  percent,
  PsElement,
  setParam,
} from "./core.js";
import { descriptionUse } from "./description-use.js";
import { forest } from "./figures.js";
import "./experiment-results.js";
import { progressText, stateOf, tookText } from "./experiment-words.js";
import { confirmDialog, follow, linkTo, uid } from "./follow.js";
import { calibrationText, cautionsOf, isBad, leakageChip, leakageFacts, leakageLine } from "./honesty-words.js";
import { stateChip } from "./job-words.js";
import { lossPlot } from "./job-monitor.js";
import { replaceKept } from "./keep-place.js";
import { METRICS, gflopsText, metricOf, metricText } from "./metric-words.js";
import { fileName, saveCsv } from "./plot.js";
import { publishedTable } from "./published.js";
import { recipeLines, recipeShort } from "./recipe-words.js";

const RESULTS_POLL_MS = 5000;
const PATIENCE_MS = 300;
const UNTESTED =
  "What takes longer follows in a moment: intervals over patients, tests, and published numbers. Intervals shown now are over draws only.";

class Compare extends PsElement {
  async start() {
    this.show(busy("Collecting results …"));
    const all = await api.get("/experiments?limit=1000", { signal: this.signal });
    this.experiments = listOf(all);
    this.source = h("div", {});
    this.page = h("div", { class: "ps-stack" });
    this.show(h("div", { class: "ps-stack" }, this.source, this.page));
    this.drawSource();
    await this.open();
  }

  /** Experiments by name, and the runs that were started one by one. */
  drawSource() {
    this.source.hidden = !this.experiments.length;
    if (this.source.hidden) return;
    const options = this.experiments.map((each) => h("option", { value: each.id }, each.name));
    const select = h("select", {}, options, h("option", { value: "" }, "Single runs"));
    select.value = this.chosenExperiment()?.id ?? "";
    select.addEventListener("change", () => {
      for (const name of ["set", "amount", "line", "run", "images"]) setParam(name, null);
      setParam("experiment", select.value || "none");
      this.open().catch((error) => this.fail(error));
    });
    this.source.replaceChildren(field("Results of", select));
  }

  /** The one in the address, by id or name; without one, and with no run or set asked for, the newest. */
  chosenExperiment() {
    const asked = param("experiment");
    if (asked) return this.experiments.find((each) => each.id === asked || each.name === asked);
    return param("run") || param("images") ? undefined : this.experiments[0];
  }

  async open() {
    this.unfollow?.();
    const chosen = this.chosenExperiment();
    if (chosen) return this.openExperiment(chosen);
    const asked = param("experiment");
    await this.openRuns();
    if (asked && asked !== "none") {
      const text = "The experiment this address asks for is not here; single runs are shown instead.";
      this.page.prepend(h("p", { class: "ps-notice ps-notice-warn" }, text));
    }
  }

  async openExperiment({ id, name }) {
    this.page.replaceChildren(busy(`Putting the cells of “${name}” together …`));
    const results = h("ps-experiment-results", {});
    const head = h("div", { class: "ps-row" });
    const answer = async () => {
      const experiment = await api.get(`/experiments/${encodeURIComponent(id)}`, { signal: this.signal });
      const way = link("See its cells", linkTo("/experiments", { id }), "small");
      replaceKept(head, stateOf(experiment), progressLine(experiment), way);
      results.experiment = experiment;
      if (!results.isConnected) this.page.replaceChildren(head, results);
      return ["queued", "running"].includes(experiment.state);
    };
    try {
      if (await answer()) this.unfollow = follow(this, RESULTS_POLL_MS, answer);
    } catch (error) {
      if (error.name !== "AbortError") this.page.replaceChildren(errorNotice(error, () => this.openExperiment({ id, name })));
    }
  }

  async openRuns() {
    this.page.replaceChildren(busy("Collecting results …"));
    this.metric = metricOf(param("metric")) || metricOf("accuracy");
    this.sets = listOf(await api.get("/image-sets?limit=1000", { signal: this.signal }));
    this.chooser = this.setChooser();
    this.results = h("div", { class: "ps-stack" });
    this.chosen = h("section", { class: "ps-stack", "aria-live": "off" });
    this.page.replaceChildren(this.chooser, this.results, this.chosen);
    await this.load();
    if (param("run")) await this.openRun(param("run"), false);
  }

  setChooser() {
    const choices = [
      h("option", { value: "" }, "All image sets"),
      ...this.sets.map((set) => h("option", { value: set.id }, set.name)),
    ];
    const select = h("select", { id: uid("set") }, choices);
    select.value = param("images") || "";
    select.addEventListener("change", () => {
      setParam("images", select.value);
      this.load();
    });
    const group = uid("metric");
    const radio = (metric) =>
      h(
        "label",
        { class: "ps-radio" },
        h("input", {
          type: "radio",
          name: group,
          value: metric.name,
          checked: metric === this.metric,
          onchange: () => this.chooseMetric(metric),
        }),
        metric.title,
      );
    const metrics = h(
      "fieldset",
      {},
      h("legend", {}, "Shown in the plot"),
      h("div", { class: "ps-radios" }, METRICS.map(radio)),
    );
    return h(
      "div",
      { class: "ps-option-grid", hidden: true },
      h("div", { class: "ps-field" }, h("label", { for: select.id }, "Image set"), select),
      metrics,
    );
  }

  async load() {
    const set = param("images") || "";
    const ask = (tested) => api.get(`/runs/comparison?${comparisonQuery(set, tested)}`, { signal: this.signal });
    try {
      const first = await ask(false);
      const whole = ask(true);
      // a short wait spares the eye a page that changes at once
      if ((await Promise.race([whole, sleep(PATIENCE_MS)])) === undefined && this.isOf(set)) {
        this.answer = first;
        this.draw();
      }
      const answer = await whole;
      if (!this.isOf(set)) return;
      this.answer = answer;
    } catch (error) {
      if (error.name !== "AbortError" && this.isOf(set)) {
        this.results.replaceChildren(errorNotice(error, () => this.load()));
      }
      return;
    }
    this.draw();
  }

  // Whether this image set is still the one that is asked for.
  isOf(set) {
    return set === (param("images") || "");
  }

  chooseMetric(metric) {
    this.metric = metric;
    setParam("metric", metric.name);
    this.draw();
  }

  draw() {
    const { groups, notes } = this.answer;
    this.chooser.hidden = !groups.length && !param("images");
    if (!groups.length) return this.results.replaceChildren(nothingYet(notes));
    this.results.replaceChildren(
      this.answer.tested === false ? h("p", { class: "ps-notice", role: "status" }, UNTESTED) : "",
      ...groups.map((group) => this.groupCard(group)),
      notes?.length
        ? h(
            "div",
            { class: "ps-notice" },
            h("h3", {}, "What is not compared"),
            h(
              "ul",
              {},
              notes.map((note) => h("li", {}, note)),
            ),
          )
        : "",
      h("p", { class: "ps-hint" }, "Research use only. Not for use in diagnostic procedures."),
    );
  }

  groupCard(group) {
    const shots = group.shots === null ? "all training images" : count(group.shots, "shot");
    const title = `${group.image_set.name}, ${shots} per class`;
    const plot = h("ps-plot", {});
    plot.content = { ...this.plotOf(group, title), cautions: cautionsOf(group.rows, group.backbone) };
    return h(
      "section",
      { class: "ps-card" },
      h("h2", {}, title),
      (group.warnings || []).map((warning, index) =>
        h("p", { class: `ps-notice ${index || !isBad(group.leakage) ? "ps-notice-warn" : "ps-notice-bad"}` }, warning),
      ),
      h(
        "p",
        { class: "ps-soft" },
        `Encoder: ${group.backbone}.${group.n_test ? ` ${group.n_test} test images.` : ""} ${group.verdict?.sentence ?? ""}`,
      ),
      plot,
      this.table(group, title),
      publishedTable(group.rows, rowName, title),
      (group.notes || []).map((note) => h("p", { class: "ps-hint" }, note)),
    );
  }

  plotOf(group, title) {
    const metric = this.metric;
    const known = group.rows.filter((row) => Number.isFinite(row.metrics[metric.name]?.mean));
    const ordered = [...known].sort(
      (a, b) => (metric.higher ? 1 : -1) * (b.metrics[metric.name].mean - a.metrics[metric.name].mean),
    );
    const rows = ordered.map((row) => {
      const value = row.metrics[metric.name];
      return {
        label: rowName(row),
        note: `${metricText(metric, value.mean)}, ${unitsText(value, row)}`,
        mean: value.mean,
        low: value.low,
        high: value.high,
        reference: row.is_baseline,
      };
    });
    const ends = rows.flatMap((row) => [row.mean, row.low, row.high]).filter(Number.isFinite);
    const low = Math.min(0, ...ends);
    const high = metric.name === "ece" ? Math.min(1, Math.max(0.2, ...ends)) : 1;
    const sentence = plotSentence(metric, rows);
    return {
      title: `${metric.title}: mean and 95 % interval`,
      sentence,
      figure: forest({
        rows,
        low,
        high,
        lines: rows.filter((row) => row.reference).map((row) => ({ value: row.mean, name: row.label })),
        title: `${metric.title} (${metric.higher ? "right is better" : "left is better"})`,
        format: (value) => (metric.percent ? percent(value, 0) : String(Number(value.toFixed(2)))),
      }),
      columns: ["Method", "Mean", "Low", "High", "Seeds", "Interval over"],
      rows: ordered.map((row) => {
        const value = row.metrics[metric.name];
        return [
          rowName(row),
          ...[value.mean, value.low, value.high].map((number) => metricText(metric, number)),
          row.n_seeds,
          overText(value, row),
        ];
      }),
      csvRows: ordered.map((row) => {
        const value = row.metrics[metric.name];
        return [rowName(row), value.mean, value.low, value.high, row.n_seeds, overText(value, row)];
      }),
      file: fileName(title, metric.name),
    };
  }

  table(group, title) {
    const costs = costColumns(group.rows);
    const head = ["Method", ...METRICS.map((metric) => metric.title), ...costs.map(([name]) => name)];
    const mark = (name, index) =>
      h("th", { scope: "col", class: index ? "ps-number" : "", title: METRICS[index - 1]?.help || null }, name);
    const help = METRICS.map((metric) => h("li", {}, h("strong", {}, `${metric.title}: `), metric.help));
    return h(
      "div",
      { class: "ps-stack-s" },
      h(
        "div",
        { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": `Table of ${title}` },
        h(
          "table",
          { class: "ps-table ps-compare" },
          h("thead", {}, h("tr", {}, head.map(mark))),
          h(
            "tbody",
            {},
            group.rows.map((row) => this.row(row, group, costs)),
          ),
        ),
      ),
      h(
        "div",
        { class: "ps-plot-tools" },
        h(
          "details",
          { class: "ps-unfold" },
          h("summary", {}, "What the numbers mean"),
          h("ul", { class: "ps-notes" }, help),
        ),
        button("Download CSV", () => saveCsv(csvOf(group, title)), "quiet ps-button-small"),
      ),
    );
  }

  row(row, group, costs) {
    if (row.missing) {
      const train = h("a", { href: linkTo("/train", { method: row.method, images: group.image_set.id }) }, "Run it");
      return h(
        "tr",
        { class: "ps-missing" },
        h("th", { scope: "row" }, "Zero-shot"),
        h("td", { colspan: String(METRICS.length + costs.length) }, "Not run yet, so there is no baseline. ", train),
      );
    }
    const cell = (metric) => {
      const value = row.metrics[metric.name] || {};
      const interval =
        Number.isFinite(value.low) &&
        h(
          "span",
          { class: "ps-interval", title: value.interval || null },
          `${bare(metric, value.low)} to ${bare(metric, value.high)}`,
        );
      return h("td", { class: "ps-number" }, h("span", {}, metricText(metric, value.mean)), interval);
    };
    const baseline = row.is_baseline;
    return h(
      "tr",
      { class: baseline ? "ps-baseline" : "" },
      h(
        "th",
        { scope: "row" },
        h(
          "span",
          { class: "ps-row-name" },
          rowName(row),
          baseline && chip("Baseline, untrained", "info"),
          leakageChip(row.leakage),
        ),
        h(
          "span",
          { class: "ps-run-buttons" },
          "Details of seed",
          row.run_ids.map((id, index) => this.runButton(row, id, index)),
        ),
        h("small", { class: "ps-hint" }, [row.note, intervalWords(row)].filter(Boolean).join(" ")),
      ),
      METRICS.map(cell),
      costs.map(([, cell]) => h("td", { class: "ps-number" }, cell(row))),
    );
  }

  runButton(row, id, index) {
    const made = button(String(row.seeds[index]), () => this.openRun(id, true), "quiet ps-button-small");
    made.setAttribute("aria-label", `Details of ${rowName(row)}, seed ${row.seeds[index]}`);
    return made;
  }

  async openRun(id, focus) {
    setParam("run", id);
    this.chosen.replaceChildren(busy("Loading the run …"));
    try {
      const run = await api.get(`/runs/${encodeURIComponent(id)}`, { signal: this.signal });
      this.chosen.replaceChildren(...runDetails(run), this.deleting(run));
    } catch (error) {
      this.chosen.replaceChildren(errorNotice(error, () => this.openRun(id, focus)));
    }
    if (!focus) return;
    const heading = this.chosen.querySelector("h2");
    heading?.focus({ preventScroll: true });
    this.chosen.scrollIntoView({ block: "start" });
  }

  deleting(run) {
    const said = h("div");
    const node = button("Delete this run…", async () => {
      const sure = await confirmDialog({
        title: "Delete this run?",
        text:
          `“${run.name || run.method_title}” goes with its numbers, its job and log` +
          `${run.model_id ? ", its model and the explanations made with it" : ""}. ` +
          "Classifications made with it stay. This cannot be undone.",
        yes: "Delete the run",
        no: "Keep it",
      });
      if (!sure) return;
      try {
        await api.delete(`/runs/${encodeURIComponent(run.id)}`);
      } catch (error) {
        return said.replaceChildren(errorNotice(error));
      }
      setParam("run", null);
      this.chosen.replaceChildren();
      announce(`${run.name || run.method_title} was deleted`);
      await this.load();
      this.results.querySelector("h2")?.setAttribute("tabindex", "-1");
      this.results.querySelector("h2")?.focus();
    });
    return h("div", { class: "ps-stack-s" }, h("div", { class: "ps-actions" }, node), said);
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const comparisonQuery = (set, tested) => new URLSearchParams({ ...(set && { image_set: set }), tested });
const progressLine = ({ cells, n_cells: all }) => h("span", { class: "ps-soft" }, progressText(cells, all));

function rowName(row) {
  if (row.recipe) return `${row.method_title} (recipe ${recipeShort(row.recipe)})`;
  // where a method has several rows, each name shows in what it differs
  if (row.differs) return `${row.method_title} (${row.differs})`;
  return row.variant && row.variant !== "default" ? `${row.method_title} (${row.variant})` : row.method_title;
}

/** A number without its unit, for the second line of a cell. */
function bare(metric, value) {
  return metric.percent ? (100 * value).toFixed(1) : value.toFixed(3);
}

const GROUPS = ["group (patient)", "groups (patients)"];

/** The units of an interval, short enough to stand beside a plot. */
function unitsText(value, row) {
  const patients = unitsOf(value, ["group"]);
  if (value.over?.startsWith("seeds and")) return `${count(row.n_seeds, "seed")}, ${count(value.n_units, ...patients)}`;
  if (value.over === "groups") return count(value.n_units, "group");
  return value.over === "images" ? count(value.n_units, "image") : count(row.n_seeds, "seed");
}

/** How units of an interval are called: groups by the given words, or images. */
function unitsOf(value, groups) {
  return value.over?.endsWith("groups") ? groups : ["test image"];
}

/** What an interval is over, in a few words. */
function overText(value, row) {
  if (value.over?.startsWith("seeds and")) {
    return `over new draws (${count(row.n_seeds, "seed")}) and ${count(value.n_units, ...unitsOf(value, GROUPS))}`;
  }
  if (value.over === "seeds") return `over ${count(row.n_seeds, "seed")}`;
  if (value.over === "groups") return `over ${count(value.n_units, ...GROUPS)}`;
  if (value.over === "images") return `over ${count(value.n_units, "test image")}`;
  return `${count(row.n_seeds, "seed")}, no interval`;
}

/** What the intervals of a row are over, as a sentence: other draws of images, or other images for the same model. */
function intervalWords(row) {
  if (row.over === "seeds") return `Intervals: over ${count(row.n_seeds, "seed")}, on these test images.`;
  if (row.over?.startsWith("seeds and")) {
    const main = row.metrics.balanced_accuracy;
    return `Intervals: this method over new draws (${count(row.n_seeds, "seed")}) and ${main.over.endsWith("groups") ? "new patients" : "new images"} (${count(main.n_units, ...unitsOf(main, GROUPS))}).`;
  }
  const words = { images: ["test image"], groups: GROUPS }[row.over];
  const units = row.metrics.balanced_accuracy?.n_units;
  return words && units ? `Intervals: this one model, over ${count(units, ...words)}.` : "";
}

function plotSentence(metric, rows) {
  if (!rows.length) return `No run has a value of ${metric.title}.`;
  const best = rows[0];
  const base = rows.find((row) => row.reference);
  const against = base && base !== best ? ` Zero-shot, the dashed line, is at ${metricText(metric, base.mean)}.` : "";
  return `${metric.help} Best: ${best.label}, ${metricText(metric, best.mean)}.${against}`;
}

function csvOf(group, title) {
  const numbers = METRICS.flatMap((metric) => [metric.name, `${metric.name}_low`, `${metric.name}_high`]);
  return {
    columns: [
      "method",
      "variant",
      "recipe",
      "image_set",
      "backbone",
      "shots",
      "n_seeds",
      "seeds",
      "n_test",
      ...numbers,
      "training_seconds",
      "feature_seconds",
      "seconds",
      "update_steps",
      "image_passes",
      "labelled_to_choose",
      "trainable_parameters",
      "gflops_per_image",
      "unlabelled_images",
      "peak_mb",
      "precision",
      "differs",
      "descriptions",
      "interval_over",
      "claim",
      "leakage",
      "classes_known_before",
      "calibration",
    ],
    rows: group.rows
      .filter((row) => !row.missing)
      .map((row) => [
        row.method,
        row.variant,
        row.recipe ?? "",
        group.image_set.name,
        group.backbone,
        group.shots ?? "all",
        row.n_seeds,
        row.seeds.join(" "),
        row.n_test,
        ...METRICS.flatMap((metric) => ["mean", "low", "high"].map((end) => row.metrics[metric.name]?.[end])),
        row.training_seconds,
        row.feature_seconds,
        row.seconds,
        row.steps,
        row.image_passes,
        row.n_val,
        row.trainable_parameters,
        row.gflops_per_image,
        row.unlabelled_images,
        row.peak_mb,
        row.precision ?? "",
        row.differs ?? "",
        row.description_version?.sentence ?? row.descriptions ?? "",
        row.over ?? "",
        row.metrics.balanced_accuracy?.claim ?? "",
        row.leakage?.sentence ?? "",
        (row.known_classes || []).join(" "),
        calibrationText(row.calibration),
      ]),
    file: fileName("comparison", title),
  };
}

/** What stands behind the metrics: what a row took, and what beside labelled images it was allowed to read. */
function costColumns(rows) {
  const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "–");
  return [
    ["Training time", (row) => [tookText(row.training_seconds), allOfIt(row)]],
    ["Learned numbers", (row) => whole(row.trainable_parameters)],
    ["GFLOPs per image", (row) => gflopsText(row.gflops_per_image)],
    rows.some((row) => row.unlabelled_images) && ["Unlabelled images read", (row) => whole(row.unlabelled_images)],
  ].filter(Boolean);
}

/** What a run took with features that others use too, measuring and saving: below what its training took. */
const allOfIt = (row) =>
  Number.isFinite(row.seconds) && h("span", { class: "ps-interval" }, `of ${tookText(row.seconds)} in all`);

function nothingYet(notes) {
  return empty(
    "Nothing to compare yet",
    "When a training is done, its result appears here beside zero-shot, the encoder without any training.",
    notes?.length > 0 &&
      h(
        "ul",
        { class: "ps-soft" },
        notes.map((note) => h("li", {}, note)),
      ),
    link("Start a training", "/train", "main"),
  );
}

// one run -----------------------------------------------------------------------------------------------------

function runDetails(run) {
  const finished = run.state === "succeeded";
  const facts = [
    ["Images", finished && `${run.n_train} to train, ${run.n_val} to tune, ${run.n_test} to test`],
    ["Descriptions", run.description_version ? descriptionUse(run.description_version) : textOf(run.descriptions)],
    ["Learned numbers", run.trainable_parameters?.toLocaleString("en")],
    ["GFLOPs per image", run.gflops_per_image && gflopsText(run.gflops_per_image)],
    ["Unlabelled images read", run.unlabelled_images?.toLocaleString("en")],
    ["Update steps", run.steps?.toLocaleString("en")],
    ["Training took", duration(run.training_seconds ?? run.seconds)],
    ["Features took", run.feature_seconds && `${duration(run.feature_seconds)}, kept for other runs`],
    ["In all", run.training_seconds !== undefined && run.training_seconds !== null && duration(run.seconds)],
    ["Peak memory", run.peak_mb && `${Math.round(run.peak_mb).toLocaleString("en")} MB`],
    ["Encoder", run.precision ? `${run.backbone}, ${run.precision}` : run.backbone],
    ...leakageFacts(run.leakage),
  ].filter(([, value]) => value);
  const loss = (run.epoch_metrics || []).length > 1 && h("ps-plot", {});
  if (loss) loss.content = lossPlot(run.epoch_metrics, run.epochs, run.name);
  return [
    h(
      "div",
      { class: "ps-row" },
      h("h2", { tabindex: "-1" }, run.name || run.method_title),
      finished ? null : stateChip(run.state),
    ),
    h(
      "div",
      { class: "ps-card" },
      h(
        "dl",
        { class: "ps-factlist" },
        facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      ),
      recipeLines(run.recipe),
      leakageLine(run.leakage),
      notesOf(run).map((note) => h("p", { class: "ps-notice" }, note)),
      h(
        "div",
        { class: "ps-actions" },
        run.model_id && link("Classify images", linkTo("/classify", { model: run.model_id }), "small"),
        run.model_id && link("Look at attention", linkTo("/attention", { model: run.model_id }), "small"),
      ),
    ),
    finished && run.confusion?.length > 0 && h("div", { class: "ps-card" }, answersOf(run)),
    loss && h("div", { class: "ps-card" }, loss),
  ].filter(Boolean);
}

/** The notes of a run that are not said elsewhere already. */
function notesOf(run) {
  return (run.notes || []).filter((note) => note !== run.leakage?.sentence);
}

function textOf(value) {
  return value && typeof value === "object" ? value.source || value.name || "" : value || "";
}

function answersOf(run) {
  const answers = h("ps-answers", {});
  answers.ask = {
    runs: [run.id],
    parts: Object.keys(run.parts ?? {}),
    name: run.name || run.method_title,
    cautions: cautionsOf([run]),
  };
  return answers;
}

define("ps-compare", Compare);
