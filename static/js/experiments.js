/**
 * <ps-experiments>: plan a comparison, start it, watch its cells, stop it and go on.
 *
 * `?id=ID` (or a name) shows one experiment on top. Nothing is kept here that matters: experiments live on the server, so
 * the page can be closed at any time.
 */

import {
  announce,
  api,
  button,
  busy,
  count,
  define,
  empty,
  h,
  link,
  listOf,
  param,
  PsElement,
  setParam,
} from "./core.js";
import "./experiment-form.js";
import "./experiment-monitor.js";
import { progressText, protocolTitle, RESEARCH_USE, stateOf } from "./experiment-words.js";
import { follow, linkTo } from "./follow.js";
import { replaceKept } from "./keep-place.js";
import { pager, focusPager } from "./pager.js";

const PER_PAGE = 20;
const POLL_MS = 4000;

class Experiments extends PsElement {
  async start() {
    this.show(busy());
    const [sets, methods, backbones, texts] = await Promise.all(
      ["/image-sets?limit=1000", "/methods?limit=1000", "/backbones", "/description-sets?limit=1000"].map(
        async (path) => listOf(await api.get(path, { signal: this.signal })),
      ),
    );
    if (!sets.length) return this.show(noImages());
    this.offset = 0;
    this.shown = h("section", { class: "ps-stack", "aria-label": "Chosen experiment" });
    this.list = h("section", { class: "ps-stack-s", "aria-labelledby": "ps-experiments-title" });
    this.form = h("ps-experiment-form", {});
    this.form.known = { sets, methods, backbones, texts };
    this.form.addEventListener("experiment-made", (event) => this.open(event.detail.id, true));
    this.fold = h(
      "details",
      { class: "ps-unfold ps-new-experiment" },
      h("summary", {}, h("span", { class: "ps-part-title" }, "New experiment")),
      this.form,
    );
    this.show(
      h("div", { class: "ps-stack" }, this.shown, this.fold, this.list, h("p", { class: "ps-hint" }, RESEARCH_USE)),
    );
    await this.loadList();
    this.fold.open = !this.total;
    if (param("id")) this.open(param("id"), false);
    follow(this, POLL_MS, async () => {
      await this.loadList();
      return true;
    });
  }

  async loadList(focus) {
    const page = await api.get(`/experiments?limit=${PER_PAGE}&offset=${this.offset}`, { signal: this.signal });
    const same = JSON.stringify(page) === this.drawn;
    if (same && !focus) return;
    this.drawn = JSON.stringify(page);
    this.total = page.total;
    this.form.taken = page.items.map((each) => each.name);
    const place = { offset: this.offset, shown: page.items.length, total: page.total, perPage: PER_PAGE };
    const go = (offset, name) => {
      this.offset = offset;
      this.loadList(name).catch((error) => this.fail(error));
    };
    this.list.hidden = !page.total;
    replaceKept(
      this.list,
      h("h2", { id: "ps-experiments-title" }, "Experiments"),
      h(
        "ul",
        { class: "ps-experiment-list" },
        page.items.map((each) => this.row(each)),
      ),
      ...[pager("Pages of experiments", ["experiment"], place, go)].filter(Boolean),
    );
    focusPager(this.list, focus);
  }

  row(experiment) {
    const { id, name, cells, n_cells: all } = experiment;
    const open = button(name, () => this.open(id, true), "quiet ps-button-text ps-break");
    open.dataset.key = `open ${id}`;
    open.setAttribute("aria-label", `Open the experiment ${name}`);
    const results = cells.done > 0 && link("Results", linkTo("/compare", { experiment: id }), "small");
    if (results) {
      results.dataset.key = `results ${id}`;
      results.setAttribute("aria-label", `Results of ${name}`);
    }
    return h(
      "li",
      { class: "ps-card ps-experiment-row" },
      h(
        "span",
        { class: "ps-experiment-name" },
        open,
        h("span", { class: "ps-soft" }, protocolTitle(experiment.protocol)),
      ),
      stateOf(experiment),
      h("span", { class: "ps-soft" }, progressText(cells, all)),
      results,
    );
  }

  async open(id, focus) {
    setParam("id", id);
    const monitor = h("ps-experiment-monitor", { "experiment-id": id });
    monitor.addEventListener("experiment-change", () => this.loadList().catch(() => {}));
    monitor.addEventListener("experiment-gone", (event) => {
      setParam("id", null);
      this.shown.replaceChildren();
      announce(`${event.detail.name} was deleted`);
      this.loadList().catch((error) => this.fail(error));
      this.fold.querySelector("summary").focus();
    });
    this.shown.replaceChildren(monitor);
    this.loadList().catch(() => {});
    if (!focus) return;
    this.fold.open = false;
    await monitor.ready?.catch(() => {});
    monitor.querySelector("h2")?.focus({ preventScroll: true });
    this.shown.scrollIntoView({ block: "start" });
    announce(`${count(1, "experiment")} opened`);
  }
}

function noImages() {
  return empty(
    "No images yet",
    "An experiment compares methods on your images. Add an image set first, or try the drawn one.",
    link("Add images", "/image-sets", "main"),
  );
}

define("ps-experiments", Experiments);
