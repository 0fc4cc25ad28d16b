// Built-in sentences that fit the classes of an image set: offered, looked at, taken over.
import { api, busy, button, chip, count, errorNotice, fill, h, newKey } from "./core.js";
import { addedWords } from "./description-files.js";

const SHOWN = 3;

export class PacksPanel {
  // added(words): sentences are in these texts now. saved(texts): texts were begun with a pack.
  constructor(desk, packs, { added, saved }) {
    this.desk = desk;
    this.added = added;
    this.saved = saved;
    this.node = packs.length ? this.#panel(packs) : this.#nothing();
  }

  #nothing() {
    const names = this.desk.imageSet.classes.map(({ name }) => `“${name}”`).join(", ");
    return h("p", { class: "ps-soft" }, `No built-in pack describes all of these classes: ${names}. A language model or a file can.`);
  }

  #panel(packs) {
    return h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-packs-title" },
      h("h3", { id: "ps-packs-title" }, packs.length > 1 ? "Built-in sentences that fit" : "A built-in pack fits"),
      h("p", { class: "ps-soft" }, "Written by a language model about what is visible, and not read by a clinician. They become drafts; you decide about each."),
      packs.map((pack, at) => this.#pack(pack, at === 0)));
  }

  #pack(pack, isFirst) {
    const said = h("div", {});
    const take = button("Add these sentences", () => this.#take(pack, take, said), isFirst ? "main" : "");
    const look = h("div", {});
    const fold = h("details", { class: "ps-inline-fold" }, h("summary", {}, "Look at some first"), look);
    fold.addEventListener("toggle", () => fold.open && !look.childNodes.length && this.#look(pack, look));
    return h("article", { class: "ps-pack ps-stack-s" },
      h("div", { class: "ps-row" },
        h("strong", { class: "ps-break" }, `${pack.title}: ${count(pack.sentences, "sentence")}`),
        chip("machine-drafted", "info"), chip("not reviewed", "warn")),
      h("p", { class: "ps-hint ps-break" }, `${count(pack.classes.length, "class", "classes")}: ${pack.classes.join(", ")}.`, pack.note ? ` ${pack.note}` : ""),
      fold, said, h("div", { class: "ps-actions" }, take));
  }

  #sentences(pack) {
    const query = new URLSearchParams({ image_set: this.desk.imageSet.id });
    return api.get(`/description-sets/packs/${encodeURIComponent(pack.name)}?${query}`, { signal: this.desk.signal });
  }

  async #look(pack, node) {
    fill(node, busy("Loading the sentences…"));
    try {
      const { sentences } = await this.#sentences(pack);
      fill(node, Object.entries(sentences).map(([name, texts]) => [
        h("h4", { class: "ps-break" }, name),
        h("ul", { class: "ps-notes" }, texts.slice(0, SHOWN).map((text) => h("li", { class: "ps-break" }, text)),
          texts.length > SHOWN && h("li", {}, `and ${texts.length - SHOWN} more`))]));
    } catch (error) {
      if (error.name !== "AbortError") fill(node, errorNotice(error, () => this.#look(pack, node)));
    }
  }

  async #take(pack, take, said) {
    take.disabled = true;
    fill(said, busy("Adding the sentences…"));
    try {
      const { desk } = this;
      if (desk.texts) {
        const found = await api.post(desk.path(`/packs/${encodeURIComponent(pack.name)}`), { actor: desk.reader || "owner" }, { key: newKey() });
        fill(said);
        await this.added(addedWords(found, `“${pack.title}”`));
      } else {
        const { sentences, source } = await this.#sentences(pack);
        this.saved(await api.post("/description-sets", {
          image_set_id: desk.imageSet.id, name: `${desk.imageSet.name}: texts`, sentences, author: source, source,
        }));
      }
    } catch (error) {
      if (error.name !== "AbortError") fill(said, errorNotice(error));
    } finally {
      take.disabled = false;
    }
  }
}
