/** Words for jobs: states, stages, durations. Pages say the same thing the same way by using these. */

import { h } from "./core.js";

/** state -> [icon, word, what it means]. The icon is decoration: the word carries the state. */
const STATES = {
  queued: ["…", "Waiting", "waits for its turn"],
  running: ["▶", "Running", "is running"],
  succeeded: ["✓", "Done", "is done"],
  failed: ["✕", "Failed", "has failed"],
  cancelled: ["–", "Cancelled", "was cancelled"],
};

/** Stages in the order they happen: name -> words on screen. */
export const STAGES = [
  ["backbone", "Load the encoder"],
  ["images", "Read the images"],
  ["features", "Compute image features"],
  ["training", "Train"],
  ["tuning", "Choose settings"],
  ["evaluation", "Test"],
  ["saving", "Save"],
];

export const isActive = (job) => job.state === "queued" || job.state === "running";

export function stateWord(state) {
  return STATES[state]?.[1] || state;
}

export function stateSentence(job) {
  return `${job.label || "The job"} ${STATES[job.state]?.[2] || job.state}.`;
}

/** A state as a chip: icon, word and colour. */
export function stateChip(state) {
  const [icon, word] = STATES[state] || ["?", state];
  return h("span", { class: `chip state-${state}` }, h("span", { "aria-hidden": "true" }, icon), ` ${word}`);
}

/** 75 as "1 min 15 s"; under ten seconds with one decimal. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.round(seconds % 60)).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A moment in the reader's own zone, with the zone's name. */
export function moment(text) {
  if (!text) return "–";
  const zoned = /[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`;
  const when = new Date(zoned);
  if (Number.isNaN(when.getTime())) return text;
  return when.toLocaleString("en-GB", {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  });
}

/** What went wrong, as a sentence and what to do about it. */
export function failureText(error) {
  if (!error) return "";
  return typeof error === "string" ? error : error.message || [error.expected, error.found, error.remedy].filter(Boolean).join(" ");
}
