/**
 * <ps-classify>: new images, and how likely each class is according to a trained model.
 *
 * `?model=ID` chooses the model, `?id=ID` opens an earlier classification. Images go straight to our own API.
 */

import {
  announce,
  api,
  busy,
  button,
  count,
  define,
  errorNotice,
  h,
  link,
  listOf,
  moment,
  param,
  PsElement,
  send,
  setParam,
  size,
} from "./core.js";
import { linkTo } from "./follow.js";
import "./image-drop.js";
import { humanName } from "./method-form.js";
import { firstModel, modelFacts, modelSelect, nameOf, noModels } from "./model-picker.js";
import { pictureNotice, pictureWords } from "./picture-words.js";
import { fileName, saveCsv } from "./plot.js";
import { probabilityBars, verdict } from "./probability-bars.js";

const SHOWN_EARLIER = 20;

class Classify extends PsElement {
  async start() {
    this.show(busy());
    this.models = listOf(await api.get("/models?limit=1000", { signal: this.signal }));
    if (!this.models.length) return this.show(noModels("Classifying"));
    this.model = firstModel(this.models, param("model"));
    this.build();
    if (param("id")) await this.open(param("id"));
    this.showEarlier();
  }

  build() {
    this.facts = h("div");
    this.drop = h("ps-image-drop", { label: "Drop images here, or choose files" });
    this.drop.addEventListener("files", (event) => this.classify(event.detail));
    this.progress = h("div", { role: "status" });
    this.results = h("section", { class: "ps-stack", "aria-label": "Results" });
    this.earlier = h("div");
    const choose = modelSelect(this.models, this.model, (model) => this.choose(model));
    this.chooser = choose;
    this.show(
      h(
        "div",
        { class: "ps-stack" },
        h("div", { class: "ps-card" }, choose, this.facts),
        this.drop,
        this.progress,
        this.results,
        this.earlier,
      ),
    );
    this.showModel();
  }

  choose(model) {
    this.model = model;
    setParam("model", model.id);
    setParam("id", null);
    this.results.replaceChildren();
    this.showModel();
  }

  showModel() {
    this.chooser.querySelector("select").value = this.model.id;
    this.facts.replaceChildren(modelFacts(this.model));
  }

  async classify(files) {
    const form = new FormData();
    form.append("model_id", this.model.id);
    for (const file of files) form.append("files", file, file.name);
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    const line = h("span", {}, `Sending ${count(files.length, "file")} (${size(bytes)}) …`);
    const bar = h("progress", { max: 1, value: 0, "aria-label": "Upload" });
    const sending = send("/classifications", form, (sent, total) => {
      bar.value = total ? sent / total : 0;
      if (sent < total) return;
      line.textContent = `Classifying ${count(files.length, "file")} …`;
      bar.removeAttribute("value");
    });
    this.drop.disabled = true;
    this.progress.replaceChildren(
      h(
        "div",
        { class: "ps-card" },
        line,
        bar,
        h(
          "div",
          { class: "ps-actions" },
          button("Stop", () => sending.cancel(), "small"),
        ),
      ),
    );
    try {
      const answer = await sending.done;
      setParam("id", answer.id);
      this.progress.replaceChildren();
      this.showResults(answer);
      this.showEarlier();
      announce(
        `${count(answer.images.length, "image")} classified, ${count(answer.problems.length, "file")} refused.`,
      );
    } catch (error) {
      this.progress.replaceChildren(
        error.name === "AbortError" ? h("p", { class: "ps-soft" }, "Stopped.") : refused(error),
      );
    } finally {
      this.drop.disabled = false;
    }
  }

  async open(id) {
    this.results.replaceChildren(busy("Loading …"));
    try {
      const answer = await api.get(`/classifications/${encodeURIComponent(id)}`, { signal: this.signal });
      const model = this.models.find((one) => one.id === answer.model_id);
      if (model) {
        this.model = model;
        this.showModel();
      }
      setParam("id", id);
      this.showResults(answer);
    } catch (error) {
      this.results.replaceChildren(errorNotice(error));
    }
  }

  showResults(answer) {
    const heading = h("h2", { tabindex: "-1" }, count(answer.images.length, "image"));
    const download = button("Download CSV", () => saveCsv(csvOf(answer)), "small");
    this.results.replaceChildren(
      h("div", { class: "ps-row-between" }, heading, answer.images.length ? download : ""),
      h(
        "p",
        { class: "ps-notice ps-notice-warn" },
        h("span", {}, h("strong", {}, "Research use only. "), "Not for use in diagnostic procedures."),
      ),
      ...(answer.problems.length ? [problemTray(answer.problems)] : []),
      h(
        "div",
        { class: "ps-results" },
        answer.images.map((image) => this.resultCard(answer, image)),
      ),
    );
    heading.focus({ preventScroll: true });
  }

  resultCard(answer, image) {
    const closer = linkTo("/attention", { model: answer.model_id, image: image.image_id });
    const picture = h("img", {
      src: `/api/v1/images/${encodeURIComponent(image.image_id)}/thumbnail?size_px=320`,
      alt: `Uploaded image ${image.file}`,
      loading: "lazy",
    });
    const look = link("Look closer", closer, "small");
    look.setAttribute("aria-label", `Look closer at ${image.file}`);
    return h(
      "article",
      { class: "ps-card ps-result" },
      h("div", { class: "ps-picture" }, picture),
      h("h3", { class: "ps-break" }, image.file),
      h("p", { class: "ps-verdict" }, verdict(image.probabilities)),
      pictureNotice(image),
      probabilityBars(image.probabilities, image.label),
      h("div", { class: "ps-actions" }, look),
    );
  }

  async showEarlier() {
    const list = listOf(
      await api.get(`/classifications?limit=${SHOWN_EARLIER}`, { signal: this.signal }).catch(() => []),
    );
    const others = list.filter((one) => String(one.id) !== param("id")).slice(0, SHOWN_EARLIER);
    if (!others.length) return this.earlier.replaceChildren();
    const line = (one) => {
      const model = this.models.find((known) => known.id === one.model_id);
      const words = `${count((one.images || []).length, "image")}, ${model ? nameOf(model) : "a deleted model"}, `;
      return h(
        "li",
        {},
        button([words, moment(one.created_at)], () => this.open(one.id), "quiet ps-button-small"),
      );
    };
    this.earlier.replaceChildren(
      h(
        "details",
        { class: "ps-unfold" },
        h("summary", {}, `Earlier classifications (${others.length})`),
        h("ul", { class: "ps-queue" }, others.map(line)),
      ),
    );
  }
}

function problemTray(problems) {
  const why = (one) => `${humanName(one.problem)}. ${[one.expected, one.found].filter(Boolean).join("; ")}.`;
  return h(
    "div",
    { class: "ps-notice ps-notice-bad" },
    h("h3", {}, `${count(problems.length, "file")} could not be used`),
    h(
      "ul",
      {},
      problems.map((one) => h("li", { class: "ps-break" }, h("strong", {}, one.file), `: ${why(one)}`)),
    ),
  );
}

function refused(error) {
  const problems = error.shape?.problems || error.shape?.details?.problems || [];
  return problems.length
    ? h("div", { class: "ps-stack-s" }, errorNotice(error), problemTray(problems))
    : errorNotice(error);
}

function csvOf(answer) {
  const classes = [...new Set(answer.images.flatMap((image) => Object.keys(image.probabilities)))];
  return {
    columns: ["file", "label", ...classes, "model", "picture", "note"],
    rows: answer.images.map((image) => [
      image.file,
      image.label,
      ...classes.map((name) => image.probabilities[name]),
      answer.model_id,
      pictureWords(image),
      "Research use only. Not for use in diagnostic procedures.",
    ]),
    file: fileName("classification", String(answer.id)),
  };
}

define("ps-classify", Classify);
