/**
 * <ps-explanation-batches>: what zero vectors change over a whole image set: the wish, and what was asked before.
 *
 * `?batch=ID` opens one, which is followed while it runs.
 */

import {
  announce,
  api,
  busy,
  count,
  define,
  empty,
  errorNotice,
  field,
  h,
  link,
  listOf,
  moment,
  param,
  PsElement,
  setParam,
} from "./core.js";
import { checks, radios } from "./choices.js";
import "./explanation-batch.js";
import { linkTo, uid } from "./follow.js";
import { stateChip } from "./job-words.js";
import { nameOf, noModels } from "./model-picker.js";

const PARTS = [
  { value: "test", words: "test images" },
  { value: "val", words: "validation images" },
  { value: "train", words: "training images" },
];
const MOST_VECTORS = 16;
const SHOWN = 20;
const USUAL = ["C1", "C2", "C3", "C4", "C5", "C6"];
const PLAIN = "C0";
const ONLY_WITH_OUTLIERS = "Exists only where some patches are far longer than the rest; otherwise the result says so.";

class ExplanationBatches extends PsElement {
  async start() {
    this.show(busy());
    const [sets, models, conditions] = await Promise.all(
      ["/image-sets?limit=1000", "/models?limit=1000", "/explanation-batches/conditions?limit=1000"].map((path) =>
        api.get(path, { signal: this.signal }),
      ),
    );
    this.sets = listOf(sets);
    this.models = listOf(models);
    this.conditions = listOf(conditions);
    if (!this.models.length) return this.show(noModels("Measuring attention"));
    if (!this.sets.length)
      return this.show(empty("No images yet", "Whole sets are measured.", link("Add images", "/image-sets", "main")));
    this.opened = h("div");
    this.earlier = h("div");
    this.wish = h(
      "details",
      { class: "ps-card ps-unfold", open: !param("batch") },
      h("summary", {}, "What to measure"),
      this.form(),
    );
    this.show(h("div", { class: "ps-stack" }, this.wish, this.opened, this.earlier));
    this.addEventListener("batch-change", () => this.listEarlier());
    this.addEventListener("batch-gone", () => this.leave());
    if (param("batch")) this.open(param("batch"));
    await this.listEarlier();
  }

  // the wish ----------------------------------------------------------------------------------------------------

  form() {
    const options = (rows, words) => rows.map((row) => h("option", { value: row.id }, words(row)));
    const models = options(this.models, (model) => `${nameOf(model)} · ${model.image_set?.name ?? "unknown images"}`);
    const first = this.models.find((model) => String(model.id) === param("model")) ?? this.models[0];
    this.model = h("select", {}, models);
    this.model.value = first.id;
    this.other = h(
      "select",
      {},
      h("option", { value: "" }, "no second model"),
      models.map((node) => node.cloneNode(true)),
    );
    this.images = h("select", {}, options(this.sets, (set) => set.name));
    const own = this.sets.find((set) => String(set.id) === String(first.image_set?.id));
    this.images.value = (own ?? this.sets[0]).id;
    this.whichPart = radios(PARTS, "test");
    this.chosen = checks(this.conditions.filter((each) => each.id !== PLAIN).map(conditionRow));
    this.chosen.node.classList.add("ps-check-grid");
    this.vectors = checks(
      Array.from({ length: MOST_VECTORS + 1 }, (_, k) => ({ value: k, words: String(k), on: k === 4 })),
    );
    this.vectors.node.classList.add("ps-many-checks");
    this.margin = h("input", { type: "number", min: "0.0001", max: "1", step: "any", value: "0.01" });
    this.seed = h("input", { type: "number", step: "1", value: "0" });
    this.trouble = h("div", { role: "status" });
    this.go = h("button", { type: "submit", class: "ps-button ps-button-main" }, "Measure the set");
    const form = h(
      "form",
      { class: "ps-stack-s" },
      h(
        "div",
        { class: "ps-pair" },
        field("Model", this.model),
        field("Second model", this.other, "Measured on the same images, for comparison."),
        field("Images", this.images, "With lesion masks; without them only answers and attention are told."),
        h("fieldset", {}, h("legend", {}, "Which of them"), this.whichPart.node),
      ),
      h(
        "fieldset",
        {},
        h("legend", {}, "Conditions"),
        h("p", { class: "ps-hint" }, "Each is held against C0, nothing added, image by image, on the same patches."),
        this.chosen.node,
      ),
      h("fieldset", {}, h("legend", {}, "How many vectors or patches (k)"), this.vectors.node),
      h(
        "div",
        { class: "ps-pair" },
        field(
          "Change of the lesion's share that matters",
          this.margin,
          "Stated now, before anything is measured; 0.01 is one percentage point.",
        ),
        field("Seed", this.seed, "Of random vectors, patches and resamples."),
      ),
      h("div", { class: "ps-actions" }, this.go),
      this.trouble,
    );
    form.noValidate = true;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    return form;
  }

  async ask() {
    const body = {
      image_set: this.images.value,
      models: [this.model.value, this.other.value].filter(Boolean),
      part: this.whichPart.value,
      conditions: [PLAIN, ...this.chosen.values],
      vectors: this.vectors.values,
      margin: Number(this.margin.value),
      seed: Number(this.seed.value),
    };
    if (!body.vectors.length)
      return this.trouble.replaceChildren(errorNotice(new Error("Choose how many vectors to try: at least one number.")));
    this.go.disabled = true;
    try {
      this.key ??= crypto.randomUUID?.() ?? uid(Date.now());
      const made = await api.post("/explanation-batches", body, { key: this.key });
      this.key = null;
      this.trouble.replaceChildren();
      this.wish.open = false;
      announce("The measuring waits for its turn.");
      this.open(made.id);
      await this.listEarlier();
    } catch (error) {
      this.key = null;
      this.trouble.replaceChildren(errorNotice(error));
    }
    this.go.disabled = false;
  }

  // what there is -------------------------------------------------------------------------------------------------

  open(id) {
    setParam("view", "set");
    setParam("batch", id);
    this.opened.replaceChildren(h("ps-explanation-batch", { "batch-id": id }));
  }

  leave() {
    setParam("batch", null);
    this.opened.replaceChildren();
    this.wish.open = true;
    this.wish.querySelector("summary").focus();
    this.listEarlier();
  }

  async listEarlier() {
    const page = await api.get(`/explanation-batches?limit=${SHOWN}`, { signal: this.signal });
    const item = (batch) =>
      h(
        "li",
        { class: "ps-row" },
        h(
          "a",
          { href: linkTo("/attention", { view: "set", batch: batch.id }), class: "ps-break" },
          `${batch.image_set.name}, ${count(batch.n_images, "image")}: ${batch.models.map((m) => m.name).join(" and ")}`,
        ),
        batch.job && stateChip(batch.job.state),
        h("span", { class: "ps-soft" }, moment(batch.created_at)),
      );
    this.earlier.replaceChildren(
      page.items.length
        ? h("div", { class: "ps-card" }, h("h2", {}, "Measured before"), h("ul", { class: "ps-stack-s ps-plain-list" }, page.items.map(item)))
        : h("p", { class: "ps-soft" }, "No set was measured yet. How long it takes is told once it runs."),
    );
  }
}

function conditionRow(condition) {
  const note = condition.id === "C3" ? `${condition.isolates} ${ONLY_WITH_OUTLIERS}` : condition.isolates;
  return { value: condition.id, words: `${condition.id}: ${condition.title}`, note, on: USUAL.includes(condition.id) };
}

define("ps-explanation-batches", ExplanationBatches);
