/** Words for jobs: states and stages. Pages say the same thing the same way by using these. */

import { chip, h } from "./core.js";
import { progressText } from "./experiment-words.js";
import { linkTo } from "./follow.js";

/** state -> [icon, word, sentence end, tone]. The icon is decoration: the word carries the state. */
const STATES = {
  queued: ["…", "Waiting", "waits for its turn", ""],
  running: ["▶", "Running", "is running", "info"],
  succeeded: ["✓", "Done", "is done", "good"],
  failed: ["✕", "Failed", "has failed", "bad"],
  cancelled: ["–", "Cancelled", "was cancelled", "warn"],
};

/** Stages of a training in the order they happen: [name, words on screen, whether only few trainings have it]. */
export const STAGES = [
  ["images", "Read the images"],
  ["backbone", "Load the encoder"],
  ["states", "Ask the language model", true],
  ["features", "Image features"],
  ["training", "Train"],
  ["tuning", "Choose settings"],
  ["evaluation", "Test"],
  ["saving", "Save"],
];

const OTHER_STAGES = {
  writing: "Ask the language model",
  evidence: "Weigh the sentences",
  calibrating: "Look at patches",
  measuring: "Measure the images",
  "summing up": "Draw the ranges",
};

export const isActive = (job) => job.state === "queued" || job.state === "running";

export const stateWord = (state) => STATES[state]?.[1] || state;

export const stageWord = (stage) => STAGES.find(([name]) => name === stage)?.[1] || OTHER_STAGES[stage] || stage || "";

export function stateSentence(job) {
  return `${job.label || "The job"} ${STATES[job.state]?.[2] || job.state}.`;
}

/** A state as a chip: icon, word and colour. */
export function stateChip(state) {
  const [icon, word, , tone] = STATES[state] || ["?", state, "", ""];
  return chip([h("span", { "aria-hidden": "true" }, icon), ` ${word}`], `${tone} ps-state`);
}

/** An experiment's job: what it compares stands on the page of experiments. */
export function experimentLine(job) {
  if (!job.experiment_id) return "";
  const open = h("a", { href: linkTo("/experiments", { id: job.experiment_id }) }, "Open the experiment");
  return h("span", { class: "ps-hint ps-block" }, open);
}

/** The job of a task about descriptions: what came of it stands on their page. */
export function descriptionsLine(job) {
  if (!job.description_set) return "";
  const open = h("a", { href: linkTo("/descriptions", { id: job.description_set.id }) }, job.description_set.name);
  return h("span", { class: "ps-hint ps-block ps-break" }, "Descriptions: ", open);
}

/** The job of a batch of explanations: what it measured stands on the page of attention. */
export function batchLine(job) {
  if (!job.explanation_batch_id) return "";
  const open = h("a", { href: linkTo("/attention", { batch: job.explanation_batch_id }) }, "Open the batch");
  return h("span", { class: "ps-hint ps-block" }, open);
}

/** "12 of 45 cells done, 1 running, 2 failed" of an experiment's job; nothing of others. */
export function cellsText({ cells }) {
  if (!cells) return "";
  return progressText(
    cells,
    Object.values(cells).reduce((sum, n) => sum + n, 0),
  );
}

/** What is left of a job that was stopped, as the end of a sentence. */
export function whatStays(job) {
  if (job.experiment_id) return "; finished cells stay";
  if (job.explanation_batch_id) return "; what is measured stays";
  if (job.description_set) return job.kind === "write" ? "; what is written stays" : "";
  return " and takes no part in comparisons";
}

/** What cancelling means, before it is done. */
export function cancelText(job) {
  if (job.experiment_id) return "Finished cells stay. You can go on with the others at any time.";
  if (job.explanation_batch_id) return "What is measured stays. You can go on with the other images later.";
  if (job.kind === "write") return "Sentences that are written stay as drafts. You can go on with the other classes later.";
  if (job.description_set) return `${job.label || "The job"} stops and gives no evidence. You can start it again later.`;
  return `${job.label || "The job"} stops and gives no model. You can start it again later.`;
}

/** Which images a job trains on, as a line below its name; empty where nobody knows. */
export function imagesLine(job) {
  return job.image_set ? h("span", { class: "ps-hint ps-break" }, `on ${job.image_set.name}`) : "";
}

/** What went wrong and what to do, as sentences. */
export function failureText(error) {
  if (!error) return "";
  if (typeof error === "string") return error;
  return error.message || [error.expected, error.found, error.remedy].filter(Boolean).join(" ");
}
