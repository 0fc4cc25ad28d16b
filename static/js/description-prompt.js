// Asking a language model: which prompt, which classes, how many sentences, what else; then the exact text and where it
// goes; and only then the button that sends it.
import { announce, api, busy, button, chip, count, errorNotice, field, fill, h, newKey } from "./core.js";

const MOST_SENTENCES = 200;
const ENDPOINT = "endpoint";
const FOLDER = "folder";
const USUAL = "visible_features";

export class PromptPanel {
  #asked = 0;

  // prompts: what the server lists. ready: a preview, which says whether anything can be written and where it would go.
  // started(task): it was sent.
  constructor(desk, signal, prompts, ready, started) {
    this.desk = desk;
    this.signal = signal;
    this.prompts = prompts;
    this.ready = ready;
    this.started = started;
    this.isDirty = false;
    this.node = h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-prompt-title" });
    this.#draw();
  }

  #draw() {
    const usable = this.prompts.filter((prompt) => !prompt.problem);
    this.choice = h("select", {}, usable.map((prompt) => h("option", { value: prompt.name, selected: prompt.name === USUAL }, prompt.title)));
    this.about = h("div", { class: "ps-stack-s" });
    this.count = h("input", { type: "number", min: "1", max: String(MOST_SENTENCES), step: "1" });
    this.wishes = h("textarea", { rows: "3", maxlength: "4000", spellcheck: "true" });
    this.modality = h("input", { type: "text", maxlength: "200", value: this.desk.imageSet.modality ?? "" });
    this.writer = h("select", {}, h("option", { value: ENDPOINT }, "The server in the settings"), h("option", { value: FOLDER }, "A model folder on this machine"));
    this.model = h("input", { type: "text", maxlength: "300", placeholder: this.ready?.model ?? "" });
    this.modelField = h("div", {});
    this.classes = h("fieldset", { class: "ps-field" }, h("legend", {}, "Classes to write about"), h("div", { class: "ps-radios" }, this.desk.imageSet.classes.map(({ name }) => this.#classBox(name))));
    this.said = h("div", {});
    this.preview = h("div", { class: "ps-stack-s", role: "group", "aria-label": "What will be sent" });
    this.show = button("Show what will be sent", () => this.#preview(), "");
    const broken = this.prompts.filter((prompt) => prompt.problem);
    fill(this.node,
      h("h3", { id: "ps-prompt-title" }, "Ask a language model"),
      h("p", { class: "ps-soft" }, "It gets class names, the kind of image and your wishes; never an image, nor the name of one. Nothing is sent before you have seen it."),
      this.#configured(),
      h("div", { class: "ps-grid" },
        field("What to ask for", this.choice),
        field("Sentences for each class", this.count),
        field("What the pictures are", this.modality, "For example breast ultrasound."),
        field("Who writes", this.writer), this.modelField),
      this.about, this.classes,
      field("Wishes of your own (optional)", this.wishes, "Added to the question as you write them: for example which features matter, or in which words."),
      broken.length > 0 && h("ul", { class: "ps-notes" }, broken.map((prompt) => h("li", {}, `The prompt ${prompt.name} cannot be used: ${prompt.problem}`))),
      this.said, h("div", { class: "ps-actions" }, this.show), this.preview);
    for (const node of [this.count, this.wishes, this.modality, this.model, this.classes]) node.addEventListener("input", () => this.#changed());
    this.choice.addEventListener("change", () => this.#choose());
    this.writer.addEventListener("change", () => this.#chooseWriter());
    this.#choose();
    this.#chooseWriter();
    this.isDirty = false;
  }

  #classBox(name) {
    const row = this.desk.summary?.classes.find((each) => each.class === name);
    const there = row ? row.draft + row.approved + row.needs_second_reader : 0;
    const box = h("input", { type: "checkbox", checked: true, value: name });
    return h("label", { class: "ps-check ps-break" }, box, `${name} (${there} there)`);
  }

  // What is missing before anything can be written, in words that say where to put it.
  #configured() {
    if (!this.ready?.problem) return null;
    if (this.ready.model) return h("div", { class: "ps-notice ps-notice-warn" }, h("p", {}, this.ready.problem));
    return h("div", { class: "ps-notice ps-notice-warn" },
      h("p", {}, "No language model is set up. Either start Promptoscope with these settings, or choose a model folder on this machine below:"),
      h("ul", {},
        h("li", {}, h("code", {}, "PROMPTOSCOPE_LLM_BASE_URL"), " the address of an OpenAI-compatible server, which usually ends in /v1"),
        h("li", {}, h("code", {}, "PROMPTOSCOPE_LLM_MODEL"), " the model's name there"),
        h("li", {}, h("code", {}, "PROMPTOSCOPE_LLM_API_KEY"), " its key, where it asks for one")));
  }

  #choose() {
    const prompt = this.prompts.find((each) => each.name === this.choice.value);
    if (!prompt) return;
    this.count.value = String(prompt.sentences);
    fill(this.about, h("p", { class: "ps-hint" }, prompt.purpose, prompt.own && " A prompt of your own home folder."));
    this.#changed();
  }

  #chooseWriter() {
    const isFolder = this.writer.value === FOLDER;
    this.model.placeholder = isFolder ? "" : this.ready?.model ?? "";
    fill(this.modelField, field(isFolder ? "Folder of the model" : "Model (optional)", this.model,
      isFolder ? "A causal language model as transformers saves it; nothing leaves this machine." : this.ready?.model ? `Without one: ${this.ready.model}.` : ""));
    this.#changed();
  }

  // What was shown is no longer what would be sent.
  #changed() {
    this.isDirty = Boolean(this.wishes.value.trim());
    this.#asked += 1;
    if (this.preview.childNodes.length) {
      fill(this.preview, h("p", { class: "ps-hint", role: "status" }, "You changed something. Look again at what will be sent."));
    }
    this.show.classList.add("ps-button-main");
  }

  get order() {
    const own = this.model.value.trim();
    const isFolder = this.writer.value === FOLDER;
    return {
      prompt: this.choice.value,
      classes: [...this.classes.querySelectorAll("input:checked")].map((box) => box.value),
      n: Number(this.count.value),
      instructions: this.wishes.value.trim(),
      modality: this.modality.value.trim() || null,
      actor: this.desk.reader || "owner",
      ...(own && { [isFolder ? "folder" : "model"]: own }),
    };
  }

  #mistake(order) {
    const { n, classes } = order;
    if (!classes.length) return "No class is chosen. Tick at least one.";
    if (!Number.isInteger(n) || n < 1 || n > MOST_SENTENCES) return `A class gets 1 to ${MOST_SENTENCES} sentences. Type a whole number between.`;
    if (this.writer.value === FOLDER && !order.folder) return "The folder of the model is missing. Type its path.";
    return "";
  }

  async #preview() {
    const { order } = this;
    const mistake = this.#mistake(order);
    if (mistake) return fill(this.said, errorNotice(new Error(mistake)));
    fill(this.said);
    const asked = (this.#asked += 1);
    fill(this.preview, busy("Putting the text together…"));
    try {
      const found = await api.post(this.desk.path("/writing/preview"), order, { signal: this.signal });
      if (asked === this.#asked) this.#showPreview(order, found);
    } catch (error) {
      if (error.name !== "AbortError" && asked === this.#asked) fill(this.preview, errorNotice(error, () => this.#preview()));
    }
    return undefined;
  }

  #showPreview(order, found) {
    const heading = h("h4", { tabindex: "-1" }, "This will be sent");
    const place = placeOf(found, order);
    const sent = { ...order, fingerprint: found.fingerprint };
    const send = button(order.folder ? `Write with ${place}` : `Send to ${place}`, () => this.#send(sent, send), "main ps-send");
    send.disabled = Boolean(found.problem);
    this.show.classList.remove("ps-button-main");
    fill(this.preview, heading,
      h("dl", { class: "ps-factlist ps-factlist-small" }, facts(found, order, place).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      h("p", {}, `${count(found.requests, "question")}, one for each class, in exactly these words:`),
      found.classes.map((request, at) => requestFold(request, at === 0)),
      found.problem && h("div", { class: "ps-notice ps-notice-warn", role: "alert" }, h("p", {}, found.problem)),
      h("div", { class: "ps-actions" }, send));
    heading.focus();
    announce(`${count(found.requests, "question")} would go to ${place}. Nothing is sent yet.`);
  }

  async #send(order, send) {
    send.disabled = true;
    try {
      const task = await api.post(this.desk.path("/writing"), order, { key: newKey() });
      this.wishes.value = "";
      this.isDirty = false;
      fill(this.preview);
      fill(this.said);
      this.started(task);
    } catch (error) {
      send.disabled = false;
      fill(this.said, errorNotice(error));
      this.said.scrollIntoView({ block: "nearest" });
    }
  }
}

const placeOf = (found, order) => order.folder ?? found.address ?? "the language model";

function facts(found, order, place) {
  const rows = [
    [order.folder ? "Stays on this machine, in" : "Goes to", place],
    ["Model", found.model ?? "none named"],
    ["About", `${found.tokens_in.toLocaleString("en")} tokens asked, ${found.tokens_out.toLocaleString("en")} answered`],
  ];
  if (found.cost !== null && found.cost !== undefined) rows.push(["Cost, about", found.cost.toFixed(4)]);
  return rows;
}

const ROLES = { system: "What sets the scene", user: "The question" };

function requestFold(request, isOpen) {
  return h("details", { class: "ps-fold ps-request", open: isOpen },
    h("summary", {}, h("span", { class: "ps-break" }, request.class), " ", chip(count(request.n, "sentence"), ""),
      request.similar && [" ", chip(`told from ${request.similar}`, "info")]),
    request.messages.map(({ role, content }) => [
      h("p", { class: "ps-hint" }, ROLES[role] ?? role),
      h("pre", { class: "ps-message", tabindex: "0" }, content)]));
}
