// The Image sets page: the list of sets beside the one looked at, or the form that adds one.
// Its address says what is shown: ?id=SET, or ?add for the form.
import {
  PsElement, announce, api, at, button, busy, chip, confirmByTyping, count, define, empty, errorNotice, fill, h, link,
  listOf, moment, param,
} from "./core.js";
import { addDemo, problemTray } from "./upload.js";
import "./class-counts.js";
import "./thumbnails.js";

const SETS_PER_PAGE = 50;

class ImageSets extends PsElement {
  #sets = [];
  #total = 0;
  #heard = false;
  #takesFocus = false;

  async start() {
    this.show(busy("Loading image sets…"));
    this.#listen();
    this.#sets = [];
    await this.#more();
    this.#draw();
  }

  async #more() {
    const path = `/image-sets?limit=${SETS_PER_PAGE}&offset=${this.#sets.length}`;
    const page = await api.get(path, { signal: this.signal });
    const known = new Set(this.#sets.map((set) => set.id));
    this.#sets.push(...listOf(page).filter((set) => !known.has(set.id)));
    this.#total = page.total ?? this.#sets.length;
  }

  #listen() {
    if (this.#heard) return;
    this.#heard = true;
    addEventListener("popstate", () => this.#draw(), { signal: this.signal });
    this.addEventListener("ps-added", (event) => {
      this.#total += this.#sets.some((set) => set.id === event.detail.id) ? 0 : 1;
      this.#sets = [event.detail, ...this.#sets.filter((set) => set.id !== event.detail.id)];
      this.#go(`/image-sets?id=${encodeURIComponent(event.detail.id)}`);
    });
  }

  #go(address) {
    history.pushState(null, "", at(address));
    this.#takesFocus = true;
    this.#draw();
  }

  #draw() {
    this.detail = h("div", { class: "ps-detail ps-stack" });
    if (!this.#sets.length && !param("id")) {
      this.detail.append(this.#first(), this.#form());
      this.show(this.detail);
      return;
    }
    this.show(h("div", { class: "ps-split" }, this.#list(), this.detail));
    this.#scrollList();
    if (isAdding()) {
      this.detail.append(this.#form());
      this.#focusDetail();
    } else this.#open(this.#shownId());
  }

  // In a long list on a narrow page the shown set may lie out of sight.
  #scrollList() {
    const list = this.querySelector(".ps-list");
    const shown = list.querySelector("[aria-current]");
    if (shown) list.scrollTop = shown.offsetTop - list.offsetTop - (list.clientHeight - shown.offsetHeight) / 2;
  }

  // After a change of what is shown, reading goes on at its heading.
  #focusDetail() {
    if (this.#takesFocus) this.detail.querySelector("h2")?.focus();
    this.#takesFocus = false;
  }

  #shownId() {
    return param("id") ?? String(this.#sets[0]?.id);
  }

  #first() {
    return empty(
      "No image set yet",
      "Add your own images below, or look around with the demo set: scans drawn by this program, not patient images.",
      this.#demoButton(),
    );
  }

  #form() {
    return h("ps-upload", { limits: this.getAttribute("limits") });
  }

  #demoButton() {
    const node = button("Add the demo set", async () => {
      node.disabled = true;
      node.textContent = "Drawing the demo set…";
      try {
        const set = await addDemo();
        this.dispatchEvent(new CustomEvent("ps-added", { detail: set }));
      } catch (error) {
        node.replaceWith(errorNotice(error, () => this.#draw()));
      }
    });
    return node;
  }

  // ------------------------------------------------------------ the list

  #list() {
    const shown = isAdding() ? null : this.#shownId();
    const add = this.#way("/image-sets?add", "Add images", "ps-button");
    if (isAdding()) add.setAttribute("aria-current", "true");
    return h(
      "nav",
      { class: "ps-stack-s", "aria-label": "Image sets" },
      add,
      !this.#sets.some((set) => set.drawn) && this.#demoButton(),
      this.#entries(shown),
      this.#sets.length < this.#total && this.#moreButton(shown),
    );
  }

  #entries(shown) {
    return h("ul", { class: "ps-list" }, this.#sets.map((set) => h("li", {}, this.#entry(set, String(set.id) === shown))));
  }

  #moreButton(shown) {
    const left = () => `Show more (${this.#total - this.#sets.length} left)`;
    const node = button(left(), async () => {
      const before = this.#sets.length;
      node.disabled = true;
      try {
        await this.#more();
      } catch (error) {
        if (error.name !== "AbortError") node.before(errorNotice(error));
        node.disabled = false;
        return;
      }
      const list = this.#entries(shown);
      node.parentElement.querySelector(".ps-list").replaceWith(list);
      list.children[before]?.querySelector("a").focus();
      announce(`${this.#sets.length} of ${count(this.#total, "image set")} shown`);
      if (this.#sets.length < this.#total) {
        node.textContent = left();
        node.disabled = false;
      } else node.remove();
    }, "small");
    return node;
  }

  #entry(set, isShown) {
    const node = this.#way(`/image-sets?id=${encodeURIComponent(set.id)}`, "", "ps-list-link");
    if (isShown) node.setAttribute("aria-current", "true");
    node.append(
      h("span", { class: "ps-list-title" }, set.name),
      h("span", { class: "ps-hint" }, `${count(set.n_images ?? 0, "image")}, ${count(set.classes?.length ?? 0, "class", "classes")}`),
    );
    if (set.unreadable?.length) node.append(h("span", {}, chip("Cannot be read in full", "warn")));
    if (set.drawn) node.append(h("span", {}, chip("Drawn, not patient images", "info")));
    return node;
  }

  // A link that changes the page without loading it, unless it is opened elsewhere.
  #way(address, text, kind) {
    return h("a", {
      href: address,
      class: kind,
      onclick: (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        this.#go(address);
      },
    }, text);
  }

  // ------------------------------------------------------------ one set

  async #open(id) {
    this.detail.replaceChildren(busy("Loading the image set…"));
    const place = this.detail;
    try {
      const set = await api.get(`/image-sets/${encodeURIComponent(id)}`, { signal: this.signal });
      if (place === this.detail) this.#drawSet(set);
    } catch (error) {
      if (error.name !== "AbortError") place.replaceChildren(errorNotice(error, () => this.#open(id)));
    }
  }

  // failure: what went wrong with the set, to be read first.
  #drawSet(set, failure = null) {
    const pictures = h("ps-thumbnails");
    pictures.data = set;
    const counts = h("ps-class-counts");
    counts.data = set.classes;
    fill(
      this.detail,
      head(set),
      failure,
      h("section", { class: "ps-card", "aria-label": "Classes and parts" }, h("h3", {}, "Classes"), counts, notes(set)),
      problemTray(set.problems, set.n_problems, (offset, limit) => this.#problems(set, offset, limit)),
      h("section", { class: "ps-card", "aria-label": "Images" }, h("h3", {}, "Images"), pictures),
      this.#danger(set),
    );
    this.#focusDetail();
  }

  async #problems(set, offset, limit) {
    const path = `/image-sets/${encodeURIComponent(set.id)}/problems?offset=${offset}&limit=${limit}`;
    return listOf(await api.get(path, { signal: this.signal }));
  }

  #danger(set) {
    const node = button("Delete this set…", async () => {
      const sure = await confirmByTyping({
        title: "Delete this image set?",
        text: `“${set.name}” and its ${count(set.n_images, "image")} will be gone from this machine. This cannot be undone.`,
        word: set.name,
        action: "Delete the set",
      });
      if (sure) this.#delete(set);
    });
    return h("div", { class: "ps-actions" }, node);
  }

  async #delete(set) {
    // its pictures leave the page first: those still on their way would be asked for in vain
    this.detail.replaceChildren(busy(`Deleting ${set.name}…`));
    try {
      await api.delete(`/image-sets/${encodeURIComponent(set.id)}`);
      this.#total -= 1;
      this.#sets = this.#sets.filter((other) => other.id !== set.id);
      announce(`${set.name} was deleted`);
      this.#go("/image-sets");
    } catch (error) {
      this.#takesFocus = true;
      this.#drawSet(set, errorNotice(error));
    }
  }
}

const isAdding = () => new URLSearchParams(location.search).has("add");

function head(set) {
  const id = encodeURIComponent(set.id);
  return h(
    "div",
    { class: "ps-stack-s" },
    h("h2", { tabindex: "-1", class: "ps-break" }, set.name),
    h("p", { class: "ps-soft" }, ...[set.modality && `${set.modality}, `, "added ", moment(set.created_at)].filter(Boolean)),
    set.drawn && h("p", { class: "ps-notice" }, "These images were drawn by this program to try things out. They are not patient images, "
      + "and what a model learns from them says nothing about patients."),
    h("div", { class: "ps-actions" },
      link("Train on this set", `/train?images=${id}`, "main"),
      link("Describe the classes", `/descriptions?image_set=${id}`)),
  );
}

function notes(set) {
  if (!set.notes.length) return null;
  return h("ul", { class: "ps-notes" }, set.notes.map((text) => h("li", {}, text)));
}

define("ps-image-sets", ImageSets);
