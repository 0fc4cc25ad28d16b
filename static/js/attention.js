/**
 * <ps-attention>: where a trained model looks in one image, and what zero vectors do to its attention.
 *
 * `?model=ID&image=ID&class=NAME` computes (or finds) an explanation, `?id=ID` opens one.
 */

import {
  announce,
  api,
  at,
  busy,
  button,
  chip,
  count,
  define,
  duration,
  empty,
  errorNotice,
  h,
  link,
  listOf,
  param,
  percent,
  PsElement,
  send,
  setParam,
} from "./core.js";
import { headsCard } from "./attention-heads.js";
import { attentionViews } from "./attention-views.js";
import { shortNumber } from "./charts.js";
import { curves, stackedBars } from "./figures.js";
import { uid } from "./follow.js";
import "./image-drop.js";
import { trustCard } from "./map-trust.js";
import "./map-viewer.js";
import "./region-editor.js";
import { regionCard } from "./region-shares.js";
import { firstModel, modelFacts, modelSelect, noModels } from "./model-picker.js";
import { fileName } from "./plot.js";
import { pictureNotice, windowingLine } from "./picture-words.js";
import { probabilityBars } from "./probability-bars.js";

const PAGE_SIZE = 18;
const PREDICTED = "";
const SHARES = [
  ["zero_vectors", "zero vectors"],
  ["class_token", "class token"],
  ["patches", "image patches"],
];

const PART_TITLES = {
  trust: "How far to trust the maps",
  what_if: "What if there were more or fewer zero vectors?",
};
const PART_WORDS = {
  trust: "Testing the maps: hiding squares all over the image, and making the tower random …",
  what_if: "Sending the image through the tower again, with other numbers of zero vectors …",
};

class Attention extends PsElement {
  async start() {
    if (param("view") === "set" || param("batch"))
      return this.show(h("div", { class: "ps-stack" }, attentionViews("set"), h("ps-explanation-batches")));
    this.show(busy());
    this.models = listOf(await api.get("/models?limit=1000", { signal: this.signal }));
    if (!this.models.length) return this.show(noModels("Looking at attention"));
    this.model = firstModel(this.models, param("model"));
    this.imageId = param("image");
    this.className = param("class") || PREDICTED;
    this.build();
    await this.showModel();
    if (param("id")) await this.open(param("id"));
    else if (this.imageId && param("model")) await this.explain();
  }

  build() {
    this.facts = h("div");
    this.pictures = h("div", { class: "ps-stack-s" });
    this.classes = h("fieldset", {});
    this.chosenImage = h("p", { class: "ps-soft", role: "status" });
    this.go = button("Show attention", () => this.explain(), "main");
    this.results = h("section", { class: "ps-stack", "aria-label": "Explanation" });
    this.modelField = modelSelect(this.models, this.model, (model) => this.chooseModel(model));
    const body = h(
      "div",
      { class: "ps-stack-s" },
      this.modelField,
      h("details", { class: "ps-unfold" }, h("summary", {}, "About this model"), this.facts),
      this.sourcePicker(),
      this.pictures,
      this.classes,
      h("div", { class: "ps-actions" }, this.go, this.chosenImage),
    );
    this.chooser = h(
      "details",
      { class: "ps-card ps-unfold", open: true },
      h("summary", {}, "Model, image and class"),
      body,
    );
    this.show(h("div", { class: "ps-stack" }, attentionViews("image"), this.chooser, this.results));
  }

  async chooseModel(model) {
    this.model = model;
    this.imageId = null;
    this.shownClass = "";
    this.className = PREDICTED;
    for (const name of ["image", "class", "id", "region"]) setParam(name, null);
    this.results.replaceChildren();
    await this.showModel();
  }

  async showModel() {
    setParam("model", this.model.id);
    this.modelField.querySelector("select").value = this.model.id;
    this.facts.replaceChildren(modelFacts(this.model));
    this.showClasses();
    this.markChosen();
    await this.showSource();
  }

  showClasses() {
    const group = uid("class");
    const radio = (value, words) => {
      const input = h("input", { type: "radio", name: group, value, checked: value === this.className });
      input.addEventListener("change", () => (this.className = value));
      return h("label", { class: "ps-radio" }, input, words);
    };
    this.classes.replaceChildren(
      h("legend", {}, "Evidence for which class"),
      h(
        "div",
        { class: "ps-radios" },
        radio(PREDICTED, "the most likely one"),
        this.model.classes.map((name) => radio(name, name)),
      ),
    );
  }

  // the image -----------------------------------------------------------------------------------------------------

  sourcePicker() {
    const group = uid("source");
    const sources = [
      ["test", "Test images"],
      ["earlier", "Classified before"],
      ["upload", "Upload one"],
    ];
    this.source = "test";
    const radio = ([value, words]) => {
      const input = h("input", { type: "radio", name: group, value, checked: value === this.source });
      input.addEventListener("change", () => {
        this.source = value;
        this.showSource();
      });
      return h("label", { class: "ps-radio" }, input, words);
    };
    return h("fieldset", {}, h("legend", {}, "Image"), h("div", { class: "ps-radios" }, sources.map(radio)));
  }

  async showSource() {
    this.offset = 0;
    const shown = {
      test: () => this.showTestImages(),
      earlier: () => this.showEarlier(),
      upload: () => this.showUpload(),
    };
    try {
      await shown[this.source]();
    } catch (error) {
      if (error.name !== "AbortError") this.pictures.replaceChildren(errorNotice(error, () => this.showSource()));
    }
  }

  async showTestImages() {
    const set = this.model.image_set?.id;
    if (!set)
      return this.pictures.replaceChildren(
        h("p", {}, "The images of this model are no longer here. Upload one instead."),
      );
    const only = this.shownClass ? `&class=${encodeURIComponent(this.shownClass)}` : "";
    const query = `part=test&offset=${this.offset}&limit=${PAGE_SIZE}${only}`;
    const answer = await api.get(`/image-sets/${encodeURIComponent(set)}/images?${query}`, { signal: this.signal });
    const images = listOf(answer);
    if (!images.length)
      return this.pictures.replaceChildren(h("p", {}, "This set has no test part. Upload an image instead."));
    const total = answer.total ?? images.length;
    const turn = (words, to, possible) => {
      const made = button(words, () => this.turnTo(to), "small");
      made.disabled = !possible;
      return made;
    };
    this.pictures.replaceChildren(
      this.classFilter(),
      this.thumbnails(images.map((image) => ({ id: image.id, name: image.name, note: image.class }))),
      h(
        "div",
        { class: "ps-actions" },
        total > images.length && turn("Earlier", this.offset - PAGE_SIZE, this.offset > 0),
        total > images.length && turn("More", this.offset + PAGE_SIZE, this.offset + images.length < total),
        h(
          "span",
          { class: "ps-soft" },
          `${this.offset + 1} to ${this.offset + images.length} of ${total}; the label is the true class`,
        ),
      ),
    );
  }

  classFilter() {
    const id = uid("filter");
    const select = h(
      "select",
      { id },
      h("option", { value: "" }, "all classes"),
      this.model.classes.map((name) => h("option", { value: name }, name)),
    );
    select.value = this.shownClass || "";
    select.addEventListener("change", async () => {
      this.shownClass = select.value;
      await this.turnTo(0);
      this.pictures.querySelector("select")?.focus();
    });
    return h("div", { class: "ps-input-line" }, h("label", { for: id }, "Show"), select);
  }

  async turnTo(offset) {
    this.offset = Math.max(0, offset);
    await this.showTestImages();
  }

  async showEarlier() {
    const images = await this.recentlyClassified();
    if (!images.length)
      return this.pictures.replaceChildren(h("p", {}, "Nothing was classified yet. Upload an image instead."));
    this.pictures.replaceChildren(
      this.thumbnails(images),
      h("p", { class: "ps-soft" }, "The label is what a model said."),
    );
  }

  /** The images of the newest classifications, as many as two pages hold; a list names no images, so each is asked. */
  async recentlyClassified() {
    const most = 2 * PAGE_SIZE;
    const images = [];
    for (const { id } of listOf(await api.get("/classifications?limit=20", { signal: this.signal }))) {
      if (images.length >= most) break;
      const one = await api.get(`/classifications/${encodeURIComponent(id)}`, { signal: this.signal }).catch(ifGone);
      images.push(...one.images.map((image) => ({ id: image.image_id, name: image.file, note: image.label })));
    }
    return images.slice(0, most);
  }

  showUpload() {
    const drop = h("ps-image-drop", { single: true, label: "Drop an image here, or choose one" });
    const note = h("div", { role: "status" });
    drop.addEventListener("files", (event) => this.upload(event.detail[0], note));
    this.pictures.replaceChildren(drop, note);
  }

  async upload(file, note) {
    const form = new FormData();
    form.append("model_id", this.model.id);
    form.append("files", file, file.name);
    note.replaceChildren(busy("Reading the image …"));
    try {
      const answer = await send("/classifications", form).done;
      note.replaceChildren();
      this.imageId = answer.images[0].image_id;
      await this.explain();
    } catch (error) {
      note.replaceChildren(errorNotice(error));
    }
  }

  thumbnails(images) {
    const group = uid("image");
    const card = (image) => {
      const input = h("input", {
        type: "radio",
        name: group,
        value: image.id,
        class: "ps-choice-radio",
        checked: String(image.id) === String(this.imageId),
      });
      input.addEventListener("change", () => {
        this.imageId = image.id;
        this.markChosen();
      });
      const picture = h("img", {
        src: `/api/v1/images/${encodeURIComponent(image.id)}/thumbnail`,
        alt: image.name,
        loading: "lazy",
      });
      return h("label", { class: "ps-thumb" }, input, picture, h("span", {}, image.note || ""));
    };
    return h("div", { class: "ps-thumbs" }, images.map(card));
  }

  markChosen() {
    this.go.disabled = !this.imageId;
    this.chosenImage.textContent = this.imageId ? "" : "Choose an image first.";
  }

  // computing and opening --------------------------------------------------------------------------------------------

  async explain() {
    this.go.disabled = true;
    setParam("id", null);
    setParam("image", this.imageId);
    setParam("class", this.className);
    const ended = this.showWaiting();
    this.results.scrollIntoView({ block: "nearest" });
    try {
      const body = { model_id: this.model.id, image_id: this.imageId, class_name: this.className || null };
      this.showExplanation(await api.post("/explanations", body, { signal: this.signal }));
      announce("The maps are ready.");
    } catch (error) {
      if (error.name !== "AbortError") this.results.replaceChildren(errorNotice(error, () => this.explain()));
    }
    ended();
    this.go.disabled = false;
  }

  /** Counts the seconds while the server computes. Returns a function that ends it. */
  showWaiting() {
    const began = Date.now();
    const passed = h("span", { "aria-hidden": "true" });
    this.results.replaceChildren(
      h(
        "div",
        { class: "ps-row" },
        busy("Computing the maps: a second or two, longer the first time after a start."),
        passed,
      ),
    );
    return this.every(1000, () => (passed.textContent = duration(Math.round((Date.now() - began) / 1000))));
  }

  async open(id) {
    this.results.replaceChildren(busy("Loading …"));
    try {
      const found = await api.get(`/explanations/${encodeURIComponent(id)}`, { signal: this.signal });
      const model = this.models.find((one) => one.id === found.model_id);
      this.imageId = found.image_id;
      this.className = found.class;
      if (model) this.model = model;
      await this.showModel();
      this.showExplanation(found);
    } catch (error) {
      if (error.name !== "AbortError") this.results.replaceChildren(errorNotice(error));
    }
  }

  showExplanation(found) {
    setParam("id", found.id);
    this.chooser.open = false;
    const viewer = h("ps-map-viewer");
    viewer.explanation = found;
    const heading = h("h2", { tabindex: "-1" }, `Evidence for '${found.class}'`);
    this.results.replaceChildren(
      h(
        "div",
        { class: "ps-stack-s" },
        h(
          "div",
          { class: "ps-row-between" },
          heading,
          h("span", { class: "ps-soft" }, `computed in ${duration(found.seconds)}`),
        ),
        found.text ? h("p", { class: "ps-said" }, found.text) : "",
        pictureNotice(found),
        windowingLine(found),
        h(
          "p",
          { class: "ps-hint" },
          "Research use only. Not for use in diagnostic procedures. A map shows what the model used, not where disease is.",
        ),
      ),
      found.maps.length
        ? h("div", { class: "ps-card" }, viewer, allDownloads(found))
        : h("p", { class: "ps-notice" }, found.attention?.note || "There is no attention to show."),
      h("div", { class: "ps-pair" }, probabilities(found), this.slot("trust", trustCard, found)),
      this.regionCards(found),
      ...[layersCard(found)].filter(Boolean),
      this.slot("what_if", whatIfCard, found),
      found.attention?.layers?.length ? headsCard(found) : "",
      signaturesCard(found) || "",
      notesCard(found) || "",
    );
    heading.focus({ preventScroll: true });
    this.results.scrollIntoView({ block: "start" });
    this.completeParts(found);
  }

  /** What the region says of the maps, and where another one is marked; both change in place. */
  regionCards(found) {
    const box = h("div", { class: "ps-stack" });
    const fill = (now) => {
      const editor = now.frame && now.maps.length ? h("ps-region-editor") : null;
      if (editor) {
        editor.explanation = now;
        editor.addEventListener("region", (event) => this.measureIn(event.detail, found, fill));
      }
      const drawing = editor && h("details", { class: "ps-card ps-unfold" }, h("summary", {}, "Mark a region"), editor);
      if (drawing) drawing.open = Boolean(now.region?.id);
      box.replaceChildren(...[regionCard(now), drawing].filter(Boolean));
    };
    fill(found);
    const asked = param("region");
    if (asked) this.measureIn(asked, found, fill);
    return box;
  }

  /** Measures the maps that are shown against another region of the image. */
  async measureIn(region, found, fill) {
    setParam("region", region || null);
    const query = region ? `?region=${encodeURIComponent(region)}` : "";
    try {
      const now = await api.get(`/explanations/${encodeURIComponent(found.id)}${query}`, { signal: this.signal });
      fill(now);
      announce(now.region ? "The maps are measured in the region." : "No region is marked.");
    } catch (error) {
      if (error.status === 404) setParam("region", null);
      if (error.name !== "AbortError" && error.status !== 404) announce(error.message, { urgent: true });
    }
  }

  /** The card of a part that may still be computed; `completeParts` fills it. */
  slot(part, card, found) {
    const box = h("div", { "data-part": part });
    const fill = (now) =>
      box.replaceChildren(
        (now.pending || []).includes(part)
          ? h("div", { class: "ps-card" }, h("h3", {}, PART_TITLES[part]), busy(PART_WORDS[part]))
          : card(now) || "",
      );
    fill(found);
    box.fill = fill;
    return box;
  }

  /** Asks for what is still to come, one part after the other; another image or page ends it. */
  async completeParts(found) {
    for (const part of found.pending || []) {
      const box = this.results.querySelector(`[data-part="${part}"]`);
      const address = `/explanations/${encodeURIComponent(found.id)}/parts/${part}`;
      try {
        const now = await api.post(address, {}, { signal: this.signal });
        if (!box.isConnected) return;
        box.fill(now);
      } catch (error) {
        if (error.name === "AbortError" || !box.isConnected) return;
        const again = () => {
          box.fill(found);
          this.completeParts({ ...found, pending: [part] });
        };
        box.replaceChildren(h("div", { class: "ps-card" }, h("h3", {}, PART_TITLES[part]), errorNotice(error, again)));
      }
    }
  }
}

/** A classification that was deleted meanwhile has no images; other errors stay errors. */
function ifGone(error) {
  if (error.status !== 404) throw error;
  return { images: [] };
}

function probabilities(found) {
  return h(
    "div",
    { class: "ps-card" },
    h("h3", {}, "Probabilities"),
    probabilityBars(found.probabilities, found.class),
    h("p", { class: "ps-hint" }, `Set off: the class the maps are for, '${found.class}'.`),
  );
}

function allDownloads(found) {
  const address = `/api/v1/explanations/${encodeURIComponent(found.id)}/maps/arrays`;
  const name = fileName(found.image || "image", found.class);
  return h(
    "div",
    { class: "ps-actions" },
    h("a", { class: "ps-button ps-button-small", href: address, download: `${name}.npz` }, "Download all values (.npz)"),
    casePage(found, name),
  );
}

/** Saves the case as one page, measured against the region that is marked at that moment. */
function casePage(found, name) {
  const made = h("a", { class: "ps-button ps-button-small", download: `${name}.html` }, "Save as one page (.html)");
  const aim = () => {
    const region = param("region");
    const query = region ? `?region=${encodeURIComponent(region)}` : "";
    made.href = at(`/api/v1/explanations/${encodeURIComponent(found.id)}/page${query}`);
  };
  for (const name of ["pointerdown", "focus", "click"]) made.addEventListener(name, aim);
  aim();
  return made;
}

/** Where the class token's attention goes in each layer, with and without the vectors. */
function layersCard({ attention, image }) {
  const layers = attention?.layers || [];
  if (!layers.length) return null;
  const sides = attention.compared
    ? [["As this model was trained", layers], ...otherSide(attention)]
    : [["", layers]];
  const kind = attention.vectors === "learned" ? "learned vectors" : "zero vectors";
  const names = SHARES.map(([, words]) => (words === "zero vectors" ? kind : words));
  const plots = sides.map(([words, rows]) => {
    const plot = h("ps-plot");
    plot.content = layerPlot(words, rows, names, image);
    return plot;
  });
  return h(
    "div",
    { class: "ps-card" },
    h("h3", {}, "Where the class token's attention goes, layer by layer"),
    h(
      "ul",
      { class: "ps-key" },
      names.map((name, index) =>
        h(
          "li",
          {},
          h("span", { class: `ps-keymark part-${index + 1}`, "aria-hidden": "true" }),
          name,
          index === 0 ? " (left)" : index === 2 ? " (right)" : " (middle)",
        ),
      ),
    ),
    h("div", { class: "ps-curves" }, plots),
  );
}

function otherSide({ compared, own_vectors: own }) {
  const vectors = `${compared.n_vectors} ${compared.n_vectors === 1 ? "vector" : "vectors"}`;
  return own
    ? [[`Without its ${vectors}`, compared.without.layers]]
    : [[`With ${vectors} added (what if)`, compared.with.layers]];
}

function layerPlot(title, layers, names, image) {
  const mean = (name) => layers.reduce((sum, row) => sum + row[name], 0) / layers.length;
  const means = SHARES.map(([name], index) => `${names[index]} ${percent(mean(name), 0)}`).join(", ");
  const sentence = `Mean over ${count(layers.length, "layer")}: ${means}.`;
  const label = (row, index) => String(row.layer ?? index + 1);
  return {
    title,
    sentence,
    figure: stackedBars({
      names,
      rows: layers.map((row, index) => ({
        label: `layer ${label(row, index)}`,
        parts: SHARES.map(([name]) => row[name]),
      })),
    }),
    columns: ["Layer", ...names, "Entropy (nats)"],
    rows: layers.map((row, index) => [
      label(row, index),
      ...SHARES.map(([name]) => percent(row[name])),
      shortNumber(row.entropy),
    ]),
    csvRows: layers.map((row, index) => [label(row, index), ...SHARES.map(([name]) => row[name]), row.entropy]),
    file: fileName("attention-layers", title, image || ""),
  };
}

/** What k zero vectors would do: measured by running the tower again with each number of them. */
function whatIfCard({ what_if: rows, attention, image }) {
  if (!rows?.length) return null;
  const modes = [...new Set(rows.map((row) => row.mode))];
  const words = { replace: "in place of the first patches", insert: "added beside the patches" };
  const plot = h("ps-plot");
  const draw = (mode) =>
    (plot.content = whatIfPlot(
      rows.filter((row) => row.mode === mode),
      mode,
      image,
    ));
  const first = modes.includes(attention?.compared?.mode) ? attention.compared.mode : modes[0];
  const group = uid("mode");
  const radio = (mode) =>
    h(
      "label",
      { class: "ps-radio" },
      h("input", { type: "radio", name: group, value: mode, checked: mode === first, onchange: () => draw(mode) }),
      words[mode] || mode,
    );
  draw(first);
  return h(
    "div",
    { class: "ps-card" },
    h("h3", {}, "What if there were more or fewer zero vectors?"),
    h(
      "p",
      { class: "ps-soft" },
      "The image goes through the tower again with each number of zero vectors. Nothing is trained again.",
    ),
    modes.length > 1
      ? h("fieldset", {}, h("legend", {}, "The vectors stand"), h("div", { class: "ps-radios" }, modes.map(radio)))
      : null,
    plot,
  );
}

function whatIfPlot(rows, mode, image) {
  const line = (name) => rows.map((row) => [row.zero_vectors, row[name]]);
  const region = rows.some((row) => Number.isFinite(row.lesion_share));
  const answers = rows.some((row) => row.class);
  const last = rows.at(-1);
  const sentence = `With ${last.zero_vectors} zero vectors they take ${percent(last.zero_share)} of the class token's attention; the image keeps ${percent(last.patch_share)}.`;
  const number = (value) => (Number.isFinite(value) ? percent(value) : "–");
  return {
    title: "Share of the class token's attention, mean over layers",
    sentence,
    figure: curves({
      x: { title: "zero vectors" },
      y: { low: 0, high: 1, format: (value) => percent(value, 0) },
      series: [
        { name: "image patches", points: line("patch_share"), kind: 1 },
        { name: "class token", points: line("class_token_share"), kind: 2 },
        { name: "zero vectors", points: line("zero_share"), kind: 3 },
      ],
    }),
    columns: [
      "Zero vectors",
      "On zero vectors",
      "On class token",
      "On patches",
      ...(region ? ["In the region"] : []),
      ...(answers ? ["Answer", "Its probability"] : []),
    ],
    rows: rows.map((row) => [
      row.zero_vectors,
      ...[row.zero_share, row.class_token_share, row.patch_share].map(number),
      ...(region ? [number(row.lesion_share)] : []),
      ...(answers ? [row.class ?? "–", number(row.top_probability)] : []),
    ]),
    csvRows: rows.map((row) => [
      row.zero_vectors,
      row.zero_share,
      row.class_token_share,
      row.patch_share,
      ...(region ? [row.lesion_share] : []),
      ...(answers ? [row.class, row.top_probability] : []),
    ]),
    file: fileName("what-if", mode, image || ""),
  };
}

/** Signs that the map follows something else than the picture's subject, each with its number and its limit. */
function signaturesCard({ signatures }) {
  if (!signatures?.length) return null;
  const mark = { true: ["! seen", "warn"], false: ["✓ not seen", "good"], null: ["– not checked", ""] };
  return h(
    "div",
    { class: "ps-card" },
    h("h3", {}, "Signs of a map that misleads"),
    h(
      "ul",
      { class: "ps-stack-s" },
      signatures.map((sign) =>
        h(
          "li",
          {},
          chip(...mark[sign.fires]),
          " ",
          h("strong", {}, sign.title),
          h("br"),
          h("span", { class: "ps-soft" }, sign.sentence),
        ),
      ),
    ),
  );
}

function notesCard({ notes }) {
  return notes?.length
    ? h(
        "div",
        { class: "ps-notice" },
        h("h3", {}, "Notes"),
        h(
          "ul",
          {},
          notes.map((note) => h("li", {}, note)),
        ),
      )
    : null;
}

define("ps-attention", Attention);
