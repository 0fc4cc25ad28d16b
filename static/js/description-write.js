// The Write view: where sentences come from. A built-in pack that fits, a language model, or a file; all of them are
// drafts until somebody has read them. What a language model is sent is shown before it is sent.
import { PsElement, announce, api, busy, button, define, errorNotice, fill, h, listOf, newKey } from "./core.js";
import { FilesPanel } from "./description-files.js";
import { PacksPanel } from "./description-packs.js";
import { PromptPanel } from "./description-prompt.js";
import { WritingTasks } from "./description-writing-tasks.js";

class DescriptionWrite extends PsElement {
  async start() {
    this.show(busy("Loading packs and prompts…"));
    const { desk, signal } = this;
    const get = (path) => api.get(path, { signal });
    const [packs, prompts, layouts, ready] = await Promise.all([
      get(`/description-sets/packs?image_set=${encodeURIComponent(desk.imageSet.id)}&limit=1000`).then(listOf),
      get("/description-sets/prompts?limit=1000").then(listOf),
      get("/description-sets/layouts?limit=1000").then(listOf),
      // what would be sent for one class says whether anything can be written, and where it would go
      desk.texts && api.post(desk.path("/writing/preview"), { classes: [desk.imageSet.classes[0].name] }, { signal }).catch(() => null),
    ]);
    this.said = h("div", {});
    const added = (words, view) => this.#added(words, view);
    const saved = (texts) => this.#saved(texts);
    this.tasks = desk.texts ? new WritingTasks(desk, this, (words) => added(words)) : null;
    this.prompt = desk.texts
      ? new PromptPanel(desk, signal, prompts, ready, (task) => this.tasks.add(task))
      : null;
    this.show(h("div", { class: "ps-stack" },
      this.said,
      new PacksPanel(desk, packs, { added, saved }).node,
      this.tasks?.node,
      this.prompt?.node ?? h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-first-title" },
        h("h3", { id: "ps-first-title" }, "Ask a language model, or read a file"),
        h("p", {}, "Both add to texts that exist, so they need a name first."),
        h("div", { class: "ps-actions" }, button("Begin empty texts", () => this.#begin()))),
      desk.texts && new FilesPanel(desk, layouts, { added }).node));
    await this.tasks?.load();
  }

  get isDirty() {
    return Boolean(this.prompt?.isDirty);
  }

  // The frame lays down what was typed when the page goes on to other texts.
  set isDirty(is) {
    if (this.prompt) this.prompt.isDirty = is;
  }

  // Sentences were added to these texts: says so, with the way to read them.
  async #added(words) {
    await this.desk.refresh();
    const read = h("button", { type: "button", class: "ps-button ps-button-main",
      onclick: () => this.dispatchEvent(new CustomEvent("ps-open-view", { detail: { view: "review" } })) }, "Read them");
    fill(this.said, h("div", { class: "ps-notice ps-notice-good" }, h("p", {}, words), h("div", { class: "ps-actions" }, read)));
    announce(words);
    this.said.scrollIntoView({ block: "nearest" });
    read.focus({ preventScroll: true });
  }

  async #begin() {
    const { desk } = this;
    try {
      const body = { image_set_id: desk.imageSet.id, name: `${desk.imageSet.name}: texts`, author: desk.reader || "owner" };
      this.#saved(await api.post("/description-sets", body, { key: newKey() }), "write");
    } catch (error) {
      fill(this.said, errorNotice(error));
    }
  }

  #saved(texts, view = "review") {
    this.dispatchEvent(new CustomEvent("ps-texts-saved", { detail: { texts, view } }));
  }
}

define("ps-description-write", DescriptionWrite);
