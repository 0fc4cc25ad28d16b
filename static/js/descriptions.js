// The Descriptions page: one image set, the sentences about its classes, and their versions.
// Its address says what is shown: ?image_set=SET, and ?id=TEXTS&version=N for a saved version.
import {
  PsElement, announce, api, button, busy, chip, count, define, empty, errorNotice, field, h, link, listOf, moment, param,
  setParam, table,
} from "./core.js";
import { confirmDialog } from "./follow.js";
import { difference, differenceText } from "./description-editor.js";

const MOST = 1000;
const VERSIONS_COMPARED = 12;
const ORIGIN_TEMPLATES = "templates";

class Descriptions extends PsElement {
  async start() {
    this.show(busy("Loading image sets…"));
    const [sets, methods] = await Promise.all([
      api.get(`/image-sets?limit=${MOST}`, { signal: this.signal }).then(listOf),
      api.get(`/methods?limit=${MOST}`, { signal: this.signal }).then(listOf).catch(() => []),
    ]);
    if (!sets.length) return this.show(nothingYet());
    this.sets = sets;
    this.readers = methods.filter((method) => method.needs?.includes("descriptions"));
    this.#guardLeaving();
    this.#frame();
    return this.#openSet(param("image_set"));
  }

  #guardLeaving() {
    addEventListener("beforeunload", (event) => {
      if (this.isDirty) event.preventDefault();
    }, { signal: this.signal });
  }

  #frame() {
    this.setSelect = h("select", {}, this.sets.map((set) => h("option", { value: set.id }, set.name)));
    this.textSelect = h("select", {});
    this.setSelect.addEventListener("change", () => this.#leaving(() => this.#openSet(this.setSelect.value), this.setSelect, () => this.imageSet.id));
    this.textSelect.addEventListener("change", () =>
      this.#leaving(() => this.#openTexts(this.textSelect.value || null), this.textSelect, () => this.texts?.id ?? ""));
    this.work = h("div", { class: "ps-stack" });
    this.show(
      h("div", { class: "ps-stack" },
        h("div", { class: "ps-grid ps-choose" }, field("Image set", this.setSelect), field("Texts", this.textSelect)),
        readersLine(this.readers),
        this.work),
    );
  }

  // Asks before unsaved sentences are lost; otherwise puts the choice back.
  #leaving(go, select, before) {
    if (!this.isDirty || window.confirm("Sentences were changed and not saved. Leave them?")) go();
    else select.value = before();
  }

  // ------------------------------------------------------------ opening

  async #openSet(id) {
    const known = this.sets.find((set) => String(set.id) === String(id)) ?? this.sets[0];
    const asked = id && !this.sets.some((set) => String(set.id) === String(id));
    this.imageSet = known;
    this.setSelect.value = known.id;
    setParam("image_set", known.id);
    this.work.replaceChildren(busy("Loading the texts…"));
    try {
      this.saved = listOf(await api.get(`/description-sets?image_set=${encodeURIComponent(known.id)}&limit=${MOST}`, { signal: this.signal }));
      this.#fillTextSelect();
      const wanted = this.saved.find((texts) => String(texts.id) === param("id")) ?? this.saved[0];
      await this.#openTexts(wanted?.id ?? null, Number(param("version")) || null);
      if (asked) this.work.prepend(errorNotice(new Error(`The image set ${id} does not exist. “${known.name}” is shown instead.`)));
    } catch (error) {
      this.#failed(error, () => this.#openSet(known.id));
    }
  }

  #fillTextSelect() {
    this.textSelect.replaceChildren(
      ...this.saved.map((texts) => h("option", { value: texts.id }, `${texts.name} (version ${texts.version})`)),
      h("option", { value: "" }, this.saved.length ? "Begin new texts from templates" : "Not saved yet: sentences from templates"),
    );
  }

  async #openTexts(id, version = null) {
    this.work.replaceChildren(busy("Loading the texts…"));
    try {
      if (id) await this.#openSaved(id, version);
      else await this.#openTemplates();
      this.textSelect.value = id ?? "";
      setParam("id", id);
      setParam("version", this.texts && this.texts.version !== newest(this.texts) ? this.texts.version : null);
    } catch (error) {
      this.#failed(error, () => this.#openTexts(id, version));
    }
  }

  async #openSaved(id, version) {
    const query = version ? `?version=${version}` : "";
    this.texts = await api.get(`/description-sets/${encodeURIComponent(id)}${query}`, { signal: this.signal });
    const findings = await api.post("/description-sets/check", { id: this.texts.id, version: this.texts.version }, { signal: this.signal })
      .then(listOf).catch(() => []);
    this.origin = this.texts.source;
    this.#drawWork(this.texts.sentences, findings);
  }

  async #openTemplates() {
    this.texts = null;
    this.origin = ORIGIN_TEMPLATES;
    this.#drawWork(await this.#preview(this.imageSet.modality ?? "", ""), []);
  }

  async #preview(modality, template) {
    const query = new URLSearchParams({ image_set: this.imageSet.id });
    if (modality) query.set("modality", modality);
    if (template) query.set("template", template);
    const answer = await api.get(`/description-sets/preview?${query}`, { signal: this.signal });
    return answer.sentences;
  }

  #failed(error, retry) {
    if (error.name !== "AbortError") this.work.replaceChildren(errorNotice(error, retry));
  }

  // ------------------------------------------------------------ drawing

  #drawWork(sentences, findings) {
    this.before = this.texts ? sentences : {};
    this.editor = h("ps-description-editor");
    this.editor.addEventListener("ps-edited", () => {
      if (this.origin === ORIGIN_TEMPLATES) this.origin = `${ORIGIN_TEMPLATES}, edited`;
      this.#sayChange();
    });
    this.work.replaceChildren(this.#head(), this.#templatePanel(), this.editor, this.#savePanel(), this.#versionPanel(), this.#danger());
    this.editor.fill(this.imageSet, sentences, findings);
    this.isDirty = false;
    this.#sayChange();
  }

  #head() {
    const isOld = this.texts && this.texts.version !== newest(this.texts);
    this.originChip = h("span", {});
    return h("div", { class: "ps-stack-s" },
      h("h2", { class: "ps-break" }, this.texts ? this.texts.name : "Sentences from templates"),
      h("div", { class: "ps-row" }, this.originChip,
        this.texts ? h("span", { class: "ps-soft" }, `Version ${this.texts.version}`) : h("span", { class: "ps-soft" }, "Not saved yet")),
      !this.texts && h("p", { class: "ps-soft" }, "These sentences hold the class names and nothing a person knows about them. "
        + "Write what can be seen: shape, margin, echo, colour, place."),
      isOld && h("p", { class: "ps-notice ps-notice-warn" }, `This is an older version. The newest is version ${newest(this.texts)}; what you save becomes the newest.`));
  }

  #templatePanel() {
    const modality = h("input", { type: "text", maxlength: "200", value: this.imageSet.modality ?? "" });
    const template = h("input", { type: "text", maxlength: "500", placeholder: "a photo of a {}." });
    const said = h("div", {});
    const fill = async () => {
      try {
        const sentences = await this.#preview(modality.value.trim(), template.value.trim());
        this.origin = ORIGIN_TEMPLATES;
        this.editor.fill(this.imageSet, sentences);
        this.#sayChange();
        said.replaceChildren(h("p", { class: "ps-hint" }, "All sentences were replaced. Nothing is saved yet."));
        announce("All sentences were replaced by template sentences. Nothing is saved yet.");
      } catch (error) {
        if (error.name !== "AbortError") said.replaceChildren(errorNotice(error));
      }
    };
    return h("details", { class: "ps-card ps-fold" },
      h("summary", {}, "Fill from templates"),
      h("div", { class: "ps-stack-s" },
        h("div", { class: "ps-grid" },
          field("What the pictures are", modality, "For example breast ultrasound image."),
          field("One sentence of your own (optional)", template, "With {} where the class name goes. Without it, built-in sentences are used.")),
        h("div", { class: "ps-actions" }, button("Replace all sentences", fill)),
        said));
  }

  // ------------------------------------------------------------ saving

  #savePanel() {
    this.nameInput = h("input", { type: "text", maxlength: "200", value: this.texts?.name ?? `${this.imageSet.name}: texts` });
    this.authorInput = h("input", { type: "text", maxlength: "200", autocomplete: "name", value: rememberedAuthor() });
    this.changeText = h("p", { class: "ps-soft", role: "status" });
    this.saveSaid = h("div", {});
    this.saveButton = button("", () => this.#save(), "main");
    this.nameInput.addEventListener("input", () => this.#sayChange());
    return h("section", { class: "ps-card ps-save", "aria-label": "Save" },
      h("div", { class: "ps-grid" },
        field("Name of these texts", this.nameInput), field("Your name", this.authorInput, "Stands beside the version you save.")),
      this.saveSaid,
      h("div", { class: "ps-row-between" }, this.changeText, this.saveButton));
  }

  #sayChange() {
    const after = this.editor.sentences;
    const change = difference(this.before, after);
    const next = this.#nextVersion();
    this.isDirty = this.texts ? change.added + change.removed > 0 : this.origin !== ORIGIN_TEMPLATES;
    this.changeText.textContent = this.texts ? `${differenceText(change)} since version ${this.texts.version}` : count(sum(after), "sentence");
    this.saveButton.textContent = `Save as version ${next}`;
    this.originChip.replaceChildren(chip(originText(this.origin), this.origin.startsWith(ORIGIN_TEMPLATES) ? "warn" : "info"));
  }

  #sameName() {
    return this.saved.find((texts) => texts.name === this.nameInput.value.trim());
  }

  #nextVersion() {
    const same = this.#sameName();
    return same ? newest(same) + 1 : 1;
  }

  async #save() {
    const mistake = this.#mistake();
    if (mistake) {
      this.saveSaid.replaceChildren(errorNotice(new Error(mistake)));
      return;
    }
    this.saveButton.disabled = true;
    try {
      const texts = await api.post("/description-sets", this.#version());
      rememberAuthor(this.authorInput.value.trim());
      this.isDirty = false;
      await this.#saved(texts);
    } catch (error) {
      this.saveSaid.replaceChildren(errorNotice(error));
    } finally {
      this.saveButton.disabled = false;
    }
  }

  #mistake() {
    if (!this.nameInput.value.trim()) return "The texts need a name. Type one, such as “wording of spring”.";
    if (!this.authorInput.value.trim()) return "A version says who saved it. Type your name.";
    const bare = Object.entries(this.editor.sentences).filter(([, texts]) => !texts.length).map(([name]) => `“${name}”`);
    return bare.length ? `Every class needs at least one sentence; there is none for ${bare.join(", ")}. Add one.` : "";
  }

  #version() {
    const same = this.#sameName();
    return {
      image_set_id: this.imageSet.id,
      name: this.nameInput.value.trim(),
      sentences: this.editor.sentences,
      author: this.authorInput.value.trim(),
      source: this.origin === ORIGIN_TEMPLATES ? ORIGIN_TEMPLATES : "edited",
      based_on: same ? newest(same) : null,
    };
  }

  async #saved(texts) {
    this.saved = [texts, ...this.saved.filter((other) => String(other.id) !== String(texts.id))];
    this.#fillTextSelect();
    await this.#openTexts(texts.id);
    const said = `Saved as version ${texts.version}.`;
    this.saveSaid.replaceChildren(h("p", { class: "ps-notice ps-notice-good" }, said,
      link("Train with these texts", `/train?images=${encodeURIComponent(this.imageSet.id)}`)));
    announce(said);
    this.saveButton.focus();
  }

  // ------------------------------------------------------------ versions

  #versionPanel() {
    if (!this.texts?.versions?.length) return h("div", { hidden: true });
    const rows = [...this.texts.versions].sort((a, b) => b.version - a.version);
    const changes = new Map(rows.map((row) => [row.version, h("span", { class: "ps-soft" }, "…")]));
    const open = (row) => (row.version === this.texts.version
      ? chip("Shown", "info")
      : button("Open", () => this.#leaving(() => this.#openTexts(this.texts.id, row.version), {}, () => ""), "small"));
    this.#compareVersions(rows.map((row) => row.version), changes);
    return h("section", { class: "ps-card", "aria-label": "Versions" },
      h("h3", {}, "Versions"),
      table("Each version stays as it was saved", [
        { title: "Version", cell: (row) => String(row.version) },
        { title: "Saved", cell: (row) => moment(row.created_at) },
        { title: "By", cell: (row) => row.author || "not named" },
        { title: "Change", cell: (row) => changes.get(row.version) },
        { title: "", cell: open },
      ], rows));
  }

  // ------------------------------------------------------------ deleting

  #danger() {
    if (!this.texts) return h("div", { hidden: true });
    const { id, name, versions } = this.texts;
    const said = h("div", {});
    const node = button("Delete these texts…", async () => {
      const sure = await confirmDialog({
        title: "Delete these texts?",
        text: `“${name}” goes with ${versions?.length > 1 ? `all its ${versions.length} versions` : "its only version"}. This cannot be undone.`,
        yes: "Delete the texts",
        no: "Keep them",
      });
      if (sure) await this.#delete(id, name, said);
    });
    return h("div", { class: "ps-stack-s" }, h("div", { class: "ps-actions" }, node), said);
  }

  async #delete(id, name, said) {
    try {
      await api.delete(`/description-sets/${encodeURIComponent(id)}`);
    } catch (error) {
      said.replaceChildren(errorNotice(error));
      return;
    }
    this.isDirty = false;
    setParam("id", null);
    setParam("version", null);
    await this.#openSet(this.imageSet.id);
    announce(`${name} was deleted`);
    this.textSelect.focus();
  }

  async #compareVersions(numbers, changes) {
    const id = encodeURIComponent(this.texts.id);
    const shown = numbers.slice(0, VERSIONS_COMPARED);
    const read = await Promise.all(shown.map((n) => api.get(`/description-sets/${id}?version=${n}`, { signal: this.signal }).catch(() => null)));
    shown.forEach((n, i) => {
      const older = read[i + 1];
      const isFirst = n === numbers.at(-1);
      const text = isFirst ? "First version" : read[i] && older ? differenceText(difference(older.sentences, read[i].sentences)) : "";
      changes.get(n).textContent = text;
    });
    numbers.slice(VERSIONS_COMPARED).forEach((n) => changes.get(n).replaceChildren());
  }
}

const newest = (texts) => Math.max(texts.version, ...(texts.versions ?? []).map((row) => row.version));
const sum = (sentences) => Object.values(sentences).reduce((n, texts) => n + texts.length, 0);

function originText(source) {
  if (source === ORIGIN_TEMPLATES) return "Made from templates";
  if (source.startsWith(ORIGIN_TEMPLATES)) return "Made from templates, then edited";
  if (source.startsWith("file:")) return `From the file ${source.slice(5)}`;
  return source === "edited" ? "Written or edited by a person" : `From ${source}`;
}

function readersLine(readers) {
  if (!readers.length) return null;
  const names = readers.map((method) => method.title ?? method.name);
  const list = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  return h("p", { class: "ps-soft" }, `${list} ${names.length > 1 ? "learn" : "learns"} from these sentences; the other methods use the class names alone.`);
}

function nothingYet() {
  return empty("No image set to describe yet",
    "Descriptions belong to the classes of an image set. For a class “cyst”, one might read: “a breast ultrasound image of a cyst: "
    + "round, black inside, with a thin smooth wall and brighter tissue behind it.”",
    link("Add an image set", "/image-sets", "main"));
}

const AUTHOR = "promptoscope-author";

function rememberedAuthor() {
  try {
    return localStorage.getItem(AUTHOR) ?? "";
  } catch {
    return "";
  }
}

function rememberAuthor(name) {
  try {
    localStorage.setItem(AUTHOR, name);
  } catch {
    // Without storage the name is typed again next time.
  }
}

define("ps-descriptions", Descriptions);
