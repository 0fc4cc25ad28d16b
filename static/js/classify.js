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
  chip,
  count,
  define,
  errorNotice,
  fill,
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
import { descriptionUse } from "./description-use.js";
import { confirmDialog, linkTo } from "./follow.js";
import "./image-drop.js";
import { judgedAnswer, setWords, silence } from "./judged-answer.js";
import { humanName } from "./method-form.js";
import { firstModel, modelFacts, modelSelect, nameOf, noModels } from "./model-picker.js";
import { focusPager, pager } from "./pager.js";
import { pictureNotice, pictureWords } from "./picture-words.js";
import { fileName, saveCsv } from "./plot.js";
import { probabilityBars, verdict } from "./probability-bars.js";

const EARLIER_PER_PAGE = 20;

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
      h("div", { class: "ps-row-between" }, heading, h("div", { class: "ps-actions" }, answer.images.length ? download : "", this.deleting(answer))),
      ...(answer.unreadable?.length ? [unreadableNotice()] : []),
      h(
        "p",
        { class: "ps-notice ps-notice-warn" },
        h("span", {}, h("strong", {}, "Research use only. "), "Not for use in diagnostic procedures."),
      ),
      ...(answer.description_version ? [h("p", { class: "ps-hint" }, descriptionUse(answer.description_version))] : []),
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
      silence(image),
      pictureNotice(image),
      probabilityBars(image.probabilities, image.label),
      judgedAnswer(image),
      h("div", { class: "ps-actions" }, look),
    );
  }

  /** A button that deletes a classification, after a question. */
  deleting(answer) {
    const node = button("Delete …", async () => {
      const sure = await confirmDialog({
        title: "Delete this classification?",
        text: `The answers for ${count(answer.images.length, "image")} go, with the images that were sent for it and their explanations. This cannot be undone.`,
        yes: "Delete the classification",
        no: "Keep it",
      });
      if (!sure) return;
      try {
        await api.delete(`/classifications/${encodeURIComponent(answer.id)}`);
      } catch (error) {
        return this.results.prepend(errorNotice(error));
      }
      setParam("id", null);
      this.results.replaceChildren(h("p", { class: "ps-notice", role: "status", tabindex: "-1" }, "The classification was deleted."));
      this.results.firstElementChild.focus();
      await this.showEarlier();
    }, "small");
    node.setAttribute("aria-label", "Delete this classification");
    return node;
  }

  async showEarlier(offset = 0, focus = null) {
    const query = `limit=${EARLIER_PER_PAGE}&offset=${offset}`;
    const page = await api.get(`/classifications?${query}`, { signal: this.signal }).catch(() => null);
    const list = listOf(page);
    if (!list.length && !offset) return this.earlier.replaceChildren();
    const line = (one) => {
      const model = this.models.find((known) => known.id === one.model_id);
      const name = model ? nameOf(model) : `${one.model_name ?? "a model"} (deleted)`;
      const words = `${count(one.n_images ?? 0, "image")}, ${name}, `;
      const isShown = String(one.id) === param("id");
      return h(
        "li",
        {},
        button(h("span", {}, words, moment(one.created_at)), () => this.open(one.id), "quiet ps-button-small ps-button-text"),
        isShown && chip("Shown", "info"),
        one.unreadable?.length > 0 && chip("Cannot be read in full", "warn"),
      );
    };
    const total = page.total ?? list.length;
    const place = { offset, shown: list.length, total, perPage: EARLIER_PER_PAGE };
    const pages = h("div", {});
    fill(pages, pager("Pages of classifications", ["classification"], place, (next, name) => this.showEarlier(next, name)));
    const isOpen = this.earlier.querySelector("details")?.open;
    this.earlier.replaceChildren(
      h(
        "details",
        { class: "ps-unfold", open: isOpen },
        h("summary", {}, `Earlier classifications (${total})`),
        h("ul", { class: "ps-queue" }, list.map(line)),
        pages,
      ),
    );
    focusPager(pages, focus);
  }
}

function unreadableNotice() {
  const words = "Parts of this record were damaged and cannot be read; what can be is shown.";
  return h("p", { class: "ps-notice ps-notice-warn" }, words);
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
    columns: [
      ...["file", "label", ...classes, "set", "better_no_answer", "distance", "distance_p", "nearest"],
      ...["model", "descriptions", "picture", "note"],
    ],
    rows: answer.images.map((image) => [
      image.file,
      image.label,
      ...classes.map((name) => image.probabilities[name]),
      setWords(image),
      image.abstain ?? "",
      image.outside?.score ?? "",
      image.outside?.p ?? "",
      (image.outside?.nearest ?? []).map((one) => one.file).join("; "),
      answer.model_id,
      answer.description_version?.sentence ?? "",
      pictureWords(image),
      "Research use only. Not for use in diagnostic procedures.",
    ]),
    file: fileName("classification", String(answer.id)),
  };
}

define("ps-classify", Classify);
