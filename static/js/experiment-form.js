/**
 * <ps-experiment-form>: what to compare, on what, how often; or a TOML file.
 *
 * Set `known` = {sets, methods, backbones, texts} and `taken` = names in use. Every change asks the server how long it would
 * take. All that a file can say can be chosen here, what few need under folds. Fires "experiment-made" (detail: the
 * experiment).
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
  errorNotice,
  field,
  h,
  PsElement,
} from "./core.js";
import { checks, radios } from "./choices.js";
import { classSummary } from "./class-bars.js";
import "./experiment-options.js";
import { PROTOCOLS } from "./experiment-words.js";
import { uid } from "./follow.js";
import { METRICS } from "./metric-words.js";
import "./method-form.js";
import { costWords, inGroups } from "./method-groups.js";
import "./recipe-picker.js";

const SHOTS = [1, 2, 4, 8, 16, "all"];
const FIRST_SHOTS = [1, 4, 16];
const SHARES = [10, 30, 100];
const SEEDS = { 3: [1, 2, 3], 5: [1, 2, 3, 4, 5] };
const VARIANTS = [
  { value: "default", words: "Ours", note: "" },
  { value: "paper", words: "As in the papers", note: "" },
  { value: "reference", words: "As in the official code", note: "" },
];
const ESTIMATE_MS = 600;
const MEASURED_MS = 2500;
const LARGEST_FILE = 200_000;
class ExperimentForm extends PsElement {
  set known(known) {
    this.given = known;
  }

  set taken(names) {
    this.names = names;
    if (this.name && !this.name.value) this.name.value = this.freeName();
  }

  freeName() {
    for (let n = 1; ; n += 1) if (!(this.names ?? []).includes(`Experiment ${n}`)) return `Experiment ${n}`;
  }

  start() {
    if (this.form) return;
    this.build();
    this.show(this.form);
    this.changed();
  }

  // the parts of the form ---------------------------------------------------------------------------------------

  build() {
    const { sets, methods } = this.given;
    this.name = h("input", {
      type: "text",
      value: this.freeName(),
      autocomplete: "off",
      maxlength: "200",
      required: true,
    });
    this.sets = checks(
      sets.map((set, at) => ({ value: set.name, words: set.name, note: classSummary(set), on: at === 0 })),
    );
    this.targets = checks(sets.map((set) => ({ value: set.name, words: set.name, note: classSummary(set) })));
    this.targetBox = part("Test on these sets", this.targets.node);
    this.baseNode = h("div");
    this.baseHelp = h("small", { class: "ps-hint" });
    this.baseBox = part("Base classes, which are trained on", this.baseNode, this.baseHelp);
    this.methods = methodGroups(methods);
    this.options = h("ps-experiment-options");
    this.recipes = h("ps-recipe-picker");
    this.recipes.methods = methods;
    this.variant = radios(VARIANTS, "default");
    this.shots = checks(SHOTS.map((value) => ({ value, words: String(value), on: FIRST_SHOTS.includes(value) })));
    this.ownShots = h("input", { type: "text", inputmode: "numeric", autocomplete: "off", placeholder: "such as 3, 32" });
    this.shotsHelp = h("small", { class: "ps-hint" });
    this.shotsBox = part("Training images per class", this.shots.node, this.shotsHelp, field("Other numbers", this.ownShots));
    this.shares = checks(SHARES.map((value) => ({ value, words: `${value} %`, on: true })));
    this.ownShares = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", placeholder: "such as 1, 50" });
    this.sharesBox = part("Share of the labels", this.shares.node, field("Other shares in %", this.ownShares));
    this.protocol = radios(
      PROTOCOLS.map(([value, words, note]) => ({ value, words, note })),
      "few-shot",
    );
    this.seeds = radios(
      [
        { value: "3", words: "3 seeds", note: "as in the papers; differences must be large to be seen" },
        { value: "5", words: "5 seeds", note: "narrower intervals" },
        { value: "own", words: "Own", note: "" },
      ],
      "5",
    );
    this.ownSeeds = h("input", { type: "text", value: "1, 2, 3", inputmode: "numeric", autocomplete: "off" });
    this.ownBox = field("Seeds, such as 1, 2, 3", this.ownSeeds);
    this.controlled = h("input", { type: "checkbox", id: uid("controlled") });
    this.updates = h("input", { type: "number", min: "1", placeholder: "our number" });
    this.updatesBox = field("Updates of each method", this.updates);
    this.texts = this.wordings();
    this.problem = h("div", { class: "ps-form-problem" });
    this.estimate = h("p", { class: "ps-soft", role: "status" });
    this.go = h("button", { type: "submit", class: "ps-button ps-button-main" }, "Start experiment");
    this.form = h(
      "form",
      { class: "ps-stack", novalidate: true, "aria-label": "New experiment" },
      h("div", { class: "ps-actions" }, this.fromFile()),
      part("1 Images", this.sets.node, field("Name of the experiment", this.name)),
      part("2 Methods", this.methods.node, this.otherwise()),
      part("3 Protocol", this.protocol.node, this.targetBox, this.baseBox),
      part(
        "4 How many images and repeats",
        h(
          "div",
          { class: "ps-option-grid" },
          this.shotsBox,
          this.sharesBox,
          part("Repeats with other draws", this.seeds.node, this.ownBox),
        ),
        this.fairness(),
      ),
      this.texts.node,
      this.more(),
      h("div", { class: "ps-start-bar" }, this.problem, h("div", { class: "ps-actions" }, this.go, this.estimate), this.asFile()),
    );
    this.form.addEventListener("submit", (event) => this.begin(event));
    for (const each of ["input", "change"]) this.form.addEventListener(each, () => this.changed());
  }

  /** Options, variants and published settings of methods, which most comparisons leave as they are. */
  otherwise() {
    return h(
      "details",
      { class: "ps-unfold" },
      h("summary", {}, "Options of the chosen methods, variants, published settings"),
      h(
        "div",
        { class: "ps-stack" },
        this.options,
        part(
          "Variant",
          this.variant.node,
          h("small", { class: "ps-hint" }, "Where paper and official code differ. It holds for all chosen methods that have it."),
        ),
        this.recipes,
      ),
    );
  }

  /** The experiment as a file, to copy. */
  asFile() {
    this.fileText = h("textarea", { class: "ps-log", rows: "8", readonly: true, "aria-label": "TOML file" });
    const copy = button("Copy as TOML", () => this.copyToml(), "quiet ps-button-small ps-self-start");
    const hide = () => {
      this.fileBox.hidden = true;
      copy.focus();
    };
    this.fileBox = h(
      "div",
      { class: "ps-stack-s", hidden: true },
      this.fileText,
      button("Hide the file", hide, "quiet ps-button-small ps-self-start"),
    );
    return h(
      "div",
      { class: "ps-stack-s" },
      copy,
      this.fileBox,
    );
  }

  async copyToml() {
    if (this.missing) return this.refuse(this.missing);
    try {
      const { toml } = await api.post("/experiments/file", this.values, { signal: this.signal });
      this.fileBox.hidden = false;
      this.fileText.value = toml;
      this.fileText.select();
      await navigator.clipboard?.writeText(toml);
      announce("The file was copied");
    } catch (error) {
      if (error.name === "NotAllowedError") announce("The file is selected: copy it");
      else if (error.name !== "AbortError") this.say(errorNotice(error));
    }
  }

  fairness() {
    const note = h(
      "small",
      { class: "ps-hint", id: `${this.controlled.id}-hint` },
      "Equal updates, same crops, dropout off, one setting for all sets, no images to choose on. Learning rates stay the methods' own.",
    );
    this.controlled.setAttribute("aria-describedby", note.id);
    return h(
      "div",
      { class: "ps-field" },
      h(
        "div",
        { class: "ps-check" },
        this.controlled,
        h("label", { for: this.controlled.id }, "Controlled comparison"),
      ),
      note,
      this.updatesBox,
    );
  }

  wordings() {
    const names = [...new Set(this.given.texts.map((text) => text.name))];
    const found = checks([
      { value: "templates", words: "Sentences made from the class names", on: true },
      ...names.map((name) => ({ value: name, words: name })),
    ]);
    const node = part(
      "5 Wording",
      h("p", { class: "ps-hint" }, "Several wordings are compared: each method is run with each of them."),
      found.node,
    );
    node.hidden = !names.length;
    return { ...found, node };
  }

  more() {
    const { backbones } = this.given;
    const choice = (rows) =>
      h(
        "select",
        {},
        rows.map(([value, words, disabled]) => h("option", { value, disabled }, words)),
      );
    this.backbone = choice(
      backbones.map((each) => [each.name, `${each.title}${each.available ? "" : " (not here yet)"}`, !each.available]),
    );
    this.metric = choice(
      METRICS.filter((metric) => metric.name !== "ece").map((metric) => [metric.name, metric.title]),
    );
    this.metric.value = "balanced_accuracy";
    this.epochs = h("input", { type: "number", min: "1", max: "5000", placeholder: "each method's own" });
    this.views = h("input", { type: "number", min: "1", max: "5000", placeholder: "each method's own" });
    this.template = h("input", { type: "text", autocomplete: "off", placeholder: "such as a photo of a {}." });
    this.compareTo = choice([["", "Each with each other"]]);
    this.modality = h("input", { type: "text", autocomplete: "off", placeholder: "as the images say" });
    this.leakage = h("input", { type: "checkbox", id: uid("leakage") });
    return h(
      "details",
      { class: "ps-card ps-unfold" },
      h("summary", {}, "Further settings"),
      h(
        "div",
        { class: "ps-option-grid" },
        field("Encoder", this.backbone),
        field("Ranked by", this.metric),
        field("Epochs", this.epochs, "Leave it empty for each method's own number. Not in a controlled comparison."),
        field("Views", this.views, "Random crops of each training image that are kept ready."),
        field("Modality", this.modality, "A word for the sentences, such as ultrasound."),
        field("Sentence", this.template, "{} takes the class name. For lines without descriptions."),
        field("Compare to", this.compareTo, "One line that all others are held against: fewer tests, so that more is seen."),
        h(
          "div",
          { class: "ps-field" },
          h(
            "div",
            { class: "ps-check" },
            this.leakage,
            h("label", { for: this.leakage.id }, "Train although training and test share images"),
          ),
          h("small", { class: "ps-hint" }, "Every result will carry the mark that its numbers are too good."),
        ),
      ),
    );
  }

  fromFile() {
    this.file = h("input", {
      type: "file",
      accept: ".toml,text/plain",
      class: "ps-visually-hidden",
      tabindex: "-1",
      "aria-hidden": "true",
    });
    this.file.addEventListener("change", (event) => {
      event.stopPropagation();
      this.sendFile(this.file.files[0]);
    });
    return [button("Start from a TOML file…", () => this.file.click(), "small"), this.file];
  }

  // what follows from the choices -------------------------------------------------------------------------------

  changed() {
    const protocol = this.protocol.value;
    this.targetBox.hidden = protocol !== "cross-set";
    this.sharesBox.hidden = protocol !== "full";
    this.shotsBox.hidden = protocol === "full";
    this.ownBox.hidden = this.seeds.value !== "own";
    this.epochs.disabled = this.controlled.checked;
    this.updatesBox.hidden = !this.controlled.checked;
    this.baseBox.hidden = protocol !== "base-to-novel";
    this.limitBase();
    this.options.backbone = this.backbone.value;
    this.options.methods = this.given.methods.filter(({ name }) => this.methods.values.includes(name));
    this.limitShots(protocol);
    this.renew();
  }

  /**
   * What was said of an earlier choice goes, and only then: leaving a field changes nothing, and the button that is being
   * pressed must not move away below the pointer.
   */
  renew() {
    const told = JSON.stringify([this.values, this.missing]);
    if (told === this.told) return;
    this.told = told;
    this.problem.replaceChildren();
    this.fileBox.hidden = true;
    clearTimeout(this.waiting);
    this.estimate.textContent = this.missing || "Estimating …";
    this.waiting = setTimeout(() => this.askEstimate(), ESTIMATE_MS);
  }

  /** No more shots than the smallest class of the chosen sets has, and a number where the protocol draws one. */
  limitShots(protocol) {
    const chosen = this.given.sets.filter((set) => this.sets.values.includes(set.name));
    const rows = chosen.flatMap((set) => set.classes.map((row) => ({ ...row, set: set.name })));
    const smallest = rows.sort((a, b) => a.train - b.train)[0];
    this.shots.limit((value) =>
      value === "all" ? protocol !== "realistic" : protocol === "realistic" || !smallest || value <= smallest.train,
    );
    this.shotsHelp.textContent =
      smallest && smallest.train < 16 && protocol !== "realistic"
        ? `At most ${smallest.train}: the class '${smallest.name}' of ${smallest.set} has no more.`
        : "";
  }

  /** Classes that all chosen sets have: base classes are the same in each of them. */
  limitBase() {
    const chosen = this.given.sets.filter((set) => this.sets.values.includes(set.name));
    const names = (chosen[0]?.classes ?? [])
      .map(({ name }) => name)
      .filter((name) => chosen.every((set) => set.classes.some((row) => row.name === name)));
    if (this.base && names.join() === this.baseNames.join()) return;
    this.baseNames = names;
    this.base = checks(names.map((name) => ({ value: name, words: name })));
    this.baseNode.replaceChildren(this.base.node);
    this.baseHelp.textContent = names.length
      ? "Without a choice the first half of the classes of each set."
      : "The chosen sets have no class in common: the first half of the classes of each is trained on.";
  }

  /** Lines of the comparison, as the server knows them, to be compared to. */
  offerLines(lines) {
    const before = this.compareTo.value;
    const rows = [{ name: "", title: "Each with each other" }, ...(lines ?? [])];
    this.compareTo.replaceChildren(...rows.map(({ name, title }) => h("option", { value: name }, title)));
    if (rows.some(({ name }) => name === before)) this.compareTo.value = before;
  }

  /** What the server is sent. */
  get values() {
    const protocol = this.protocol.value;
    const given = {
      name: this.name.value.trim(),
      images: this.sets.values,
      protocol,
      seeds:
        this.seeds.value === "own"
          ? numbers(this.ownSeeds)
          : SEEDS[this.seeds.value],
      backbone: this.backbone.value,
      metric: this.metric.value,
    };
    const { values: methods } = this.methods;
    if (methods.length) given.methods = methods;
    if (this.recipes.values?.length) given.recipes = this.recipes.values;
    if (this.variant.value !== "default") given.variant = this.variant.value;
    const options = this.options.values;
    if (Object.keys(options).length) given.options = options;
    if (protocol === "full") given.shares = once([...this.shares.values, ...numbers(this.ownShares)]);
    else given.shots = once([...this.shots.values, ...numbers(this.ownShots)]);
    if (protocol === "cross-set") given.target_images = this.targets.values;
    if (protocol === "base-to-novel" && this.base.values.length) given.base_classes = this.base.values;
    const worded = this.texts.values;
    if (worded.join() !== "templates") given.descriptions = worded;
    if (this.controlled.checked) {
      given.controlled = true;
      if (this.updates.value) given.updates = Number(this.updates.value);
    } else if (this.epochs.value) given.epochs = Number(this.epochs.value);
    if (this.views.value) given.views = Number(this.views.value);
    if (this.template.value.trim()) given.template = this.template.value.trim();
    if (this.compareTo.value) given.compare_to = this.compareTo.value;
    if (this.modality.value.trim()) given.modality = this.modality.value.trim();
    if (this.leakage.checked) given.allow_leakage = true;
    return given;
  }

  /** What is missing, in a sentence; empty where nothing is. */
  get missing() {
    const { name, images, methods, recipes, shots, shares, seeds, target_images: targets, descriptions } = this.values;
    if (!images.length) return "Choose one image set or more.";
    if (!methods && !recipes) return "Choose one method or more; zero-shot is added by itself.";
    if (targets && !targets.length) return "Choose the image sets to test on.";
    if (this.options.problems.length) return this.options.problems[0];
    if (shots?.some((each) => each !== "all" && !(Number.isInteger(each) && each > 0)))
      return "Other numbers of training images are whole numbers from 1, such as 3, 32.";
    if (shares?.some((each) => !(each > 0 && each <= 100))) return "Other shares lie above 0 and up to 100, such as 1, 50.";
    if (shots && !shots.length) return "Choose one number of training images or more.";
    if (shares && !shares.length) return "Choose one share of the labels or more.";
    if (!seeds.length || seeds.some((seed) => !Number.isInteger(seed) || seed < 0))
      return "Seeds are whole numbers from 0, such as 1, 2, 3.";
    if (descriptions && !descriptions.length) return "Choose one wording or more.";
    return name ? "" : "Give the experiment a name.";
  }

  async askEstimate() {
    const asked = (this.asked = (this.asked ?? 0) + 1);
    if (this.missing) {
      this.estimate.textContent = this.missing;
      return;
    }
    try {
      const found = await api.post("/experiments/estimate?measure=true", this.values, { signal: this.signal });
      if (asked !== this.asked) return;
      this.estimate.textContent = estimateText(found, this.given.methods);
      this.offerLines(found.lines);
      if (found.measuring?.length) this.waiting = setTimeout(() => this.askEstimate(), MEASURED_MS);
    } catch (error) {
      if (error.name !== "AbortError" && asked === this.asked) this.estimate.textContent = error.message;
    }
  }

  async begin(event) {
    event.preventDefault();
    const missing = this.missing;
    if (missing) return this.refuse(missing);
    await this.send(this.values);
  }

  async sendFile(file) {
    if (!file) return;
    if (file.size > LARGEST_FILE) {
      this.file.value = "";
      return this.refuse(`An experiment file has at most ${LARGEST_FILE / 1000} kB; '${file.name}' has more.`);
    }
    const toml = textOf(await file.arrayBuffer());
    this.file.value = "";
    if (toml === null) return this.refuse(`An experiment file is text in UTF-8; '${file.name}' holds other bytes. Save it as UTF-8.`);
    if (!toml.trim()) return this.refuse(`'${file.name}' is empty. Write at least name, images and methods.`);
    await this.send({ toml });
  }

  refuse(sentence) {
    this.say(h("p", { class: "ps-notice ps-notice-bad", role: "alert" }, sentence));
  }

  async send(body) {
    this.say(busy("Checking images, methods and options …"));
    this.go.disabled = true;
    try {
      const made = await api.post("/experiments", body, { signal: this.signal });
      this.say();
      announce(`${made.name} waits in the queue: ${count(made.n_cells, "cell")}`);
      this.name.value = "";
      this.told = null;
      this.dispatchEvent(new CustomEvent("experiment-made", { detail: made, bubbles: true }));
    } catch (error) {
      if (error.name !== "AbortError") this.say(errorNotice(error));
    } finally {
      this.go.disabled = false;
    }
  }

  say(...nodes) {
    this.problem.replaceChildren(...nodes);
  }
}

/** "45 cells, about 6 min (4 min to 9 min) and 0.7 GB of memory …" */
function estimateText(found, methods) {
  const { n_cells: cells, seconds, low, high, peak_mb: memory } = found;
  const named = (names) => names.map((name) => methods.find((method) => method.name === name)?.title ?? name).join(", ");
  const measuring = found.measuring ?? [];
  const unknown = (found.unknown ?? []).filter((name) => !measuring.includes(name));
  const known = Number.isFinite(seconds);
  const size = memory ? ` and ${(memory / 1000).toFixed(1)} GB of memory` : "";
  const between = Number.isFinite(low) ? ` (${duration(low)} to ${duration(high)})` : "";
  const how = found.by_timing?.length ? "judged by earlier runs here and by a few steps" : "judged by earlier runs here";
  return [
    known ? `${count(cells, "cell")}, about ${duration(seconds)}${between}${size}, ${how}.` : `${count(cells, "cell")}.`,
    measuring.length && `Measuring ${named(measuring)} …`,
    unknown.length && `${known ? "Not counted, since they" : "These"} have not run here yet: ${named(unknown)}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

/** Numbers in a text field, with commas or blanks between. */
const numbers = (input) =>
  input.value
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);

const once = (values) => [...new Set(values)];

const part = (title, ...children) =>
  h("fieldset", { class: /^\d/.test(title) ? "ps-card" : "" }, legend(title), ...children);

function legend(title) {
  const [, number, words] = /^(\d) (.*)$/.exec(title) ?? [null, null, title];
  return number
    ? h(
        "legend",
        { class: "ps-part-title" },
        h("span", { class: "ps-part-number", "aria-hidden": "true" }, number),
        words,
      )
    : h("legend", {}, words);
}

/** The text of a file in UTF-8; null for other bytes, which would come out as other letters. */
function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** What a method does and what it costs; a summary that says how fast it is needs no second word for that. */
function aboutMethod(method) {
  const cost = costWords(method);
  if (!/\b(slow|slower|slowest|fast|no training)\b/i.test(method.summary)) return `${method.summary} ${cost}`;
  const how = cost.replace(/^\w+: /, "");
  return `${method.summary} ${how.charAt(0).toUpperCase()}${how.slice(1)}`;
}

/** A group of methods that stays folded while none of it is chosen, so that the keyboard need not walk through all. */
function foldedGroup(words, size, box) {
  const chosen = h("span", { class: "ps-soft" });
  const say = () => {
    const n = box.values.length;
    chosen.textContent = ` ${count(size, "method")}${n ? `, ${n} chosen` : ""}`;
  };
  say();
  box.node.addEventListener("input", say);
  box.node.setAttribute("role", "group");
  box.node.setAttribute("aria-label", words);
  return h("details", { class: "ps-unfold ps-method-group", open: box.values.length > 0 }, h("summary", {}, words, chosen), box.node);
}

/** All methods in groups; the first that is offered first and one simple baseline are chosen. */
function methodGroups(methods) {
  const learned = methods.filter((method) => !method.is_baseline);
  const starter = [...learned].filter((method) => method.starter).sort((a, b) => a.starter_place - b.starter_place)[0];
  const simple = learned.find((method) => method.is_simple);
  const boxes = [];
  const parts = inGroups(learned).map(([words, own]) => {
    const box = checks(
      own.map((method) => ({
        value: method.name,
        words: method.title,
        note: aboutMethod(method),
        on: method === starter || method === simple,
      })),
    );
    boxes.push(box);
    box.node.classList.add("ps-method-checks");
    return foldedGroup(words, own.length, box);
  });
  const baseline = methods.find((method) => method.is_baseline);
  const always =
    baseline &&
    h("p", { class: "ps-soft" }, chip(baseline.title, "info"), " is always run, once: it is the line to beat.");
  return {
    node: h("div", { class: "ps-stack" }, always, parts),
    get values() {
      return boxes.flatMap((box) => box.values);
    },
  };
}

define("ps-experiment-form", ExperimentForm);
