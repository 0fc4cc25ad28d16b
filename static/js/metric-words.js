/** The six metrics of a run: their names, what they mean, which way is better. Fractions between 0 and 1 unless said. */

import { percent } from "./core.js";

export const METRICS = [
  {
    name: "accuracy",
    title: "Accuracy",
    help: "Share of test images classified correctly.",
    higher: true,
    percent: true,
  },
  {
    name: "balanced_accuracy",
    title: "Balanced accuracy",
    help: "Mean of the share correct in each class.",
    higher: true,
    percent: true,
  },
  {
    name: "macro_f1",
    title: "Macro F1",
    help: "Mean over classes of F1 (precision and recall together).",
    higher: true,
    percent: true,
  },
  {
    name: "auroc",
    title: "AUROC",
    help: "Chance that a case of a class scores higher than one of another; 0.5 is guessing.",
    higher: true,
  },
  {
    name: "kappa",
    title: "Cohen's kappa",
    help: "Agreement beyond chance; 0 is chance, 1 is perfect.",
    higher: true,
  },
  {
    name: "ece",
    title: "ECE",
    help: "Expected calibration error: how far the probabilities are off on average; lower is better.",
    higher: false,
  },
];

export function metricOf(name) {
  return METRICS.find((metric) => metric.name === name);
}

/** Thousand million operations, with three digits. */
export function gflopsText(value) {
  return Number.isFinite(value) ? value.toLocaleString("en", { maximumSignificantDigits: 3 }) : "–";
}

/** A value as shown: percentages with one decimal, the rest with three. */
export function metricText(metric, value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return metric.percent ? percent(value) : value.toFixed(3);
}
