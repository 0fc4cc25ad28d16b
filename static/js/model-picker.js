/**
 * Choosing a trained model, and saying what it was made from: whoever reads a result must see its model and data.
 */

import { chip, count, h, link, moment, percent, empty } from "./core.js";
import { descriptionUse } from "./description-use.js";
import { uid } from "./follow.js";
import { calibrationText, knownLine, leakageFacts, leakageLine } from "./honesty-words.js";

/** The model with this id; else the newest trained one, for zero-shot is a yardstick rather than a tool. */
export function firstModel(models, id) {
  const isTrained = (model) => !model.is_baseline;
  return models.find((model) => String(model.id) === id) || models.find(isTrained) || models[0];
}

/** A native list of models with a label. `onChoose(model)` is called for each choice by hand. */
export function modelSelect(models, chosen, onChoose) {
  const id = uid("model");
  const words = (model) => `${nameOf(model)} · ${model.image_set?.name ?? "unknown images"}${accuracyOf(model)}`;
  const select = h(
    "select",
    { id },
    models.map((model) => h("option", { value: model.id }, words(model))),
  );
  select.value = chosen?.id ?? "";
  select.addEventListener("change", () => onChoose(models.find((model) => String(model.id) === select.value)));
  return h("div", { class: "ps-field" }, h("label", { for: id }, "Model"), select);
}

export function nameOf(model) {
  return model.name || `${model.method_title}, ${shotsOf(model)}, seed ${model.seed}`;
}

const shotsOf = (model) =>
  model.shots === null || model.shots === undefined ? "all images" : count(model.shots, "shot");

const accuracyOf = (model) =>
  Number.isFinite(model.metrics?.accuracy) ? ` · ${percent(model.metrics.accuracy)}` : "";

/** What a model is and what it learned from, as one line of facts. */
export function modelFacts(model) {
  const facts = [
    ["Method", model.method_title || model.method],
    ["Learned from", learnedFrom(model)],
    ["Classes", model.classes.join(", ")],
    ...(model.description_version ? [["Descriptions", descriptionUse(model.description_version)]] : []),
    ["On test images", testFigures(model)],
    ["Made", moment(model.created_at)],
    ...leakageFacts(model.leakage),
  ];
  return h(
    "div",
    { class: "ps-stack-s" },
    h(
      "dl",
      { class: "ps-factlist ps-factlist-small" },
      facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    leakageLine(model.leakage) || allowedLine(model),
    knownLine(model.known_classes, model.backbone),
    model.calibrated ? calibrated(model) : uncalibrated(),
  );
}

/** For models older than the counts: that leakage was allowed is known, how much there was is not. */
function allowedLine(model) {
  if (!model.allowed_leakage) return "";
  return h(
    "p",
    { class: "ps-notice ps-notice-bad" },
    "Leakage was allowed; how much there was has not been counted for this model.",
  );
}

function calibrated(model) {
  return h(
    "div",
    { class: "ps-stack-s" },
    chip("✓ Probabilities are calibrated", "good ps-self-start"),
    h("p", { class: "ps-hint" }, calibrationText(model.calibration)),
  );
}

function learnedFrom(model) {
  const set = model.image_set?.name ?? "unknown images";
  if (model.is_baseline) return `nothing: untrained; tested on ${set}`;
  return `${set} (${model.n_train ?? "–"} images, ${shotsOf(model)} per class, seed ${model.seed})`;
}

function testFigures(model) {
  const metrics = model.metrics || {};
  if (!Number.isFinite(metrics.accuracy)) return "not measured";
  const auroc = Number.isFinite(metrics.auroc) ? `, AUROC ${metrics.auroc.toFixed(2)}` : "";
  const own = model.intervals?.accuracy;
  const between = Number.isFinite(own?.low) ? ` (${percent(own.low)} to ${percent(own.high)})` : "";
  return `accuracy ${percent(metrics.accuracy)}${between}${auroc}, ${count(model.n_test ?? 0, "image")}`;
}

function uncalibrated() {
  return h(
    "p",
    { class: "ps-notice ps-notice-warn" },
    h(
      "span",
      {},
      h("strong", {}, "Not calibrated. "),
      "Too few images were left to check the probabilities: their order means something, their size may not.",
    ),
  );
}

export function noModels(what) {
  return empty(
    "No trained model yet",
    `${what} needs a model. Train one on your images, or on the drawn demo set: the quickest method takes about a minute.`,
    link("Train a model", "/train", "main"),
  );
}
