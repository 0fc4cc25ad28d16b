/**
 * <ps-experiment-monitor experiment-id="...">: the cells of one experiment as a grid, followed while they run.
 *
 * Each cell is waiting, running, done or failed; failed ones are named with their reason and can be tried again alone.
 * What is done stays done, whatever stops the work. Fires "experiment-change" when the state changes and "experiment-gone".
 */

import {
  announce,
  api,
  at,
  button,
  busy,
  count,
  define,
  duration,
  errorNotice,
  h,
  link,
  percent,
  PsElement,
} from "./core.js";
import {
  amountText,
  CELL_STATES,
  progressText,
  protocolSentence,
  protocolTitle,
  stateOf,
  titleOf,
} from "./experiment-words.js";
import { confirmDialog, follow, linkTo } from "./follow.js";
import { worstLeakage } from "./honesty-words.js";
import { replaceKept } from "./keep-place.js";
import { fileName, saveFile } from "./plot.js";

const POLL_MS = 1200;
const PER_PAGE = 1000;
const LETTERS = { w: "waiting", r: "running", d: "done", f: "failed" };
const MOST_FAILURES = 50;
const GUIDELINES = { claim: "CLAIM", "tripod-ai": "TRIPOD+AI", "stard-ai": "STARD-AI" };

class ExperimentMonitor extends PsElement {
  async start() {
    this.show(busy("Loading the experiment …"));
    this.heading = null;
    this.ready = this.refresh();
    await this.ready;
    this.watch();
  }

  get experimentId() {
    return this.getAttribute("experiment-id");
  }

  path(rest = "") {
    return `/experiments/${encodeURIComponent(this.experimentId)}${rest}`;
  }

  watch() {
    this.stop?.();
    this.stop = follow(
      this,
      POLL_MS,
      () => this.refresh(),
      (error) => (this.trouble.textContent = `${error.message} Asking again …`),
    );
  }

  /** Answers whether to ask again. */
  async refresh() {
    const found = await api.get(this.path("?rows=false"), { signal: this.signal });
    if (!this.heading) await this.build(found);
    this.trouble.textContent = "";
    const before = this.experiment;
    this.experiment = found;
    if (before && before.state !== found.state) {
      announce(`${found.name}: ${progressText(found.cells, found.n_cells)}`, { urgent: found.state === "failed" });
      this.dispatchEvent(new CustomEvent("experiment-change", { detail: found, bubbles: true }));
    }
    this.drawHead(found);
    if (before?.states !== found.states) {
      this.drawGrid(found);
      await this.drawFailures(found);
    }
    return ["queued", "running"].includes(found.state);
  }

  async build(found) {
    this.heading = h("h2", { class: "ps-break", tabindex: "-1" }, found.name);
    this.chip = h("span");
    this.facts = h("p", { class: "ps-soft" });
    this.now = h("p", { class: "ps-soft ps-break" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Cells that are done" });
    this.actions = h("div", { class: "ps-actions" });
    this.report = reportFold(found.id);
    this.trouble = h("p", { class: "ps-hint", role: "status" });
    this.failures = h("div");
    this.leaks = h("div", { class: "ps-stack-s" });
    this.grid = h("div", { class: "ps-stack-s" }, busy("Loading its cells …"));
    this.show(
      h(
        "article",
        { class: "ps-card" },
        h("header", { class: "ps-job-head" }, this.heading, this.chip),
        h("p", { class: "ps-soft" }, `${protocolTitle(found.protocol)}: ${protocolSentence(found.protocol)}`),
        this.bar,
        this.facts,
        this.now,
        this.actions,
        this.report,
        this.trouble,
        this.failures,
        this.leaks,
        this.grid,
      ),
    );
    this.cells = [];
    for (let offset = 0; offset < found.n_cells; offset += PER_PAGE) {
      const page = await api.get(this.path(`/cells?limit=${PER_PAGE}&offset=${offset}`), { signal: this.signal });
      this.cells.push(...page.items);
    }
  }

  drawHead(found) {
    const { cells, n_cells: all, state, job } = found;
    this.chip.replaceChildren(stateOf(found));
    this.bar.value = all ? cells.done / all : 0;
    this.bar.textContent = percent(all ? cells.done / all : 0, 0);
    const active = ["queued", "running"].includes(state);
    const left = active && Number.isFinite(job?.seconds_left) ? ` About ${duration(job.seconds_left)} left.` : "";
    this.facts.textContent = `${progressText(cells, all)}.${left}`;
    this.now.textContent = (active && (job?.note ? `Now: ${job.note}` : job?.waits)) || "";
    this.now.hidden = !this.now.textContent;
    this.report.hidden = cells.done === 0;
    const key = JSON.stringify([state, cells.failed, cells.waiting, cells.done > 0]);
    if (key === this.actionsFor) return;
    this.actionsFor = key;
    const held = this.actions.contains(document.activeElement);
    replaceKept(this.actions, ...this.buttons(found, active));
    // the button that was pressed may be gone by now; one that is still there keeps the focus
    if (held && !this.actions.contains(document.activeElement)) this.heading.focus({ preventScroll: true });
  }

  buttons({ id, name, cells }, active) {
    return [
      cells.done > 0 && link("See the results", linkTo("/compare", { experiment: id }), "main"),
      active && button("Stop", () => this.cancel()),
      !active &&
        cells.waiting > 0 &&
        button(cells.done ? "Go on" : "Start", () => this.act("/start"), cells.done ? "" : "main"),
      !active &&
        cells.failed > 0 &&
        button(`Try ${count(cells.failed, "failed cell")} again`, () => this.act("/retry")),
      button("Download as TOML, for papers", () => this.saveToml(), "quiet"),
      !active && button(`Delete…`, () => this.remove(name), "quiet"),
    ].filter(Boolean);
  }

  // the grid ----------------------------------------------------------------------------------------------------

  drawGrid({ states, titles, leakage }) {
    const named = (set, leak) => ({ ...leak, sentence: `${set}: ${leak.sentence}` });
    this.leaks.replaceChildren(...Object.entries(leakage ?? {}).map(([set, leak]) => worstLeakage([named(set, leak)])));

    const state = (cell) => LETTERS[states[cell.position]];
    const sets = [...new Set(this.cells.map((cell) => cell.image_set))];
    const key = Object.values(CELL_STATES).map(([mark, words]) =>
      h("li", {}, h("span", { class: `ps-cellmark ps-cell-${words}`, "aria-hidden": "true" }, mark), words),
    );
    replaceKept(
      this.grid,
      h("h3", {}, "Cells"),
      h("p", { class: "ps-hint" }, "One mark for each seed."),
      h("ul", { class: "ps-key" }, key),
      ...sets.map((set) =>
        gridTable(
          set,
          this.cells.filter((cell) => cell.image_set === set),
          state,
          titles ?? {},
        ),
      ),
    );
  }

  async drawFailures(found) {
    if (!found.cells.failed) return this.failures.replaceChildren();
    const page = await api.get(this.path(`/cells?state=failed&limit=${MOST_FAILURES}`), { signal: this.signal });
    const nameOf = (cell) =>
      `${titleOf(cell.line, found.titles)} on ${cell.image_set}, ${amountText(cell)}, seed ${cell.seed}`;
    const again = (cell) => {
      const node = button("Try again", () => this.act(`/retry?cell=${cell.position}`), "quiet ps-button-small");
      node.dataset.key = `cell ${cell.position}`;
      node.setAttribute("aria-label", `Try again: ${nameOf(cell)}`);
      return node;
    };
    // a reason that many cells share is read once
    const item = ([reason, cells]) =>
      cells.length === 1
        ? h("li", {}, h("strong", {}, `${nameOf(cells[0])}: `), reason, " ", again(cells[0]))
        : h("li", {}, reason, h("ul", {}, cells.map((cell) => h("li", {}, h("strong", {}, nameOf(cell)), " ", again(cell)))));
    const more = page.total > page.items.length ? ` The first ${page.items.length} are named.` : "";
    replaceKept(
      this.failures,
      h(
        "div",
        { class: "ps-notice ps-notice-bad" },
        h("p", {}, `${failedText(found)}${more}`),
        h("ul", {}, [...byReason(page.items)].map(item)),
      ),
    );
  }

  // what can be done --------------------------------------------------------------------------------------------

  async act(rest) {
    try {
      await api.post(this.path(rest));
      this.trouble.textContent = "";
      this.heading.focus({ preventScroll: true });
      this.watch();
    } catch (error) {
      this.failures.replaceChildren(errorNotice(error));
    }
  }

  async cancel() {
    const sure = await confirmDialog({
      title: "Stop this experiment?",
      text: "Finished cells stay, and the one at work is given up. You can go on with the others at any time.",
      yes: "Stop it",
      no: "Let it run",
    });
    if (sure) await this.act("/cancel");
  }

  async saveToml() {
    try {
      const { name, toml } = await api.get(this.path("/file"), { signal: this.signal });
      saveFile(new Blob([toml], { type: "application/toml;charset=utf-8" }), `${fileName(name) || "experiment"}.toml`);
    } catch (error) {
      this.failures.replaceChildren(errorNotice(error));
    }
  }

  async remove(name) {
    const sure = await confirmDialog({
      title: "Delete this experiment?",
      text: `“${name}” goes with its plan. Its runs, their numbers and models stay, under Compare as single runs.`,
      yes: "Delete the experiment",
      no: "Keep it",
    });
    if (!sure) return;
    try {
      await api.delete(this.path());
      this.dispatchEvent(new CustomEvent("experiment-gone", { detail: { name }, bubbles: true }));
    } catch (error) {
      this.failures.replaceChildren(errorNotice(error));
    }
  }
}

/** Links to the report of an experiment beside each reporting guideline, with images only where that is chosen. */
function reportFold(id) {
  const pictures = h("input", { type: "checkbox" });
  const links = Object.entries(GUIDELINES).map(([standard, title]) =>
    h("a", { class: "ps-button ps-button-small", download: "", "data-standard": standard }, title),
  );
  const aim = () => {
    for (const each of links) {
      const query = new URLSearchParams({ of: id, standard: each.dataset.standard, pictures: pictures.checked });
      each.href = at(`/api/v1/reports?${query}`);
    }
  };
  pictures.addEventListener("change", aim);
  aim();
  return h(
    "details",
    { class: "ps-unfold" },
    h("summary", {}, "Report for a paper"),
    h(
      "p",
      { class: "ps-hint" },
      "One file beside the items of a reporting guideline: what is recorded is filled in, what only you can say is left blank.",
    ),
    h("div", { class: "ps-actions" }, links),
    h(
      "label",
      { class: "ps-check" },
      pictures,
      " With small copies of images and their file names. The file is then patient data.",
    ),
  );
}

/** How many cells failed, and what that means for the others. */
function failedText({ cells, n_cells: all, state }) {
  const failed = count(cells.failed, "cell");
  if (cells.failed === all) return all === 1 ? "The only cell failed." : `All ${failed} failed.`;
  if (["queued", "running"].includes(state)) return `${failed} failed; the others go on without ${cells.failed === 1 ? "it" : "them"}.`;
  return `${failed} failed; ${cells.waiting ? `${cells.done} are done, ${cells.waiting} wait` : "all others are done"}.`;
}

/** Failed cells by what their error says. */
function byReason(cells) {
  const found = new Map();
  for (const cell of cells) {
    const reason = cell.error?.message ?? "It ended without a message.";
    found.set(reason, [...(found.get(reason) ?? []), cell]);
  }
  return found;
}

/** Lines by rows, training images by columns, a mark for each seed. */
function gridTable(set, cells, state, titles) {
  const amounts = [...new Map(cells.map((cell) => [amountText(cell), cell])).keys()];
  const lineOf = (cell) => `${titleOf(cell.line, titles)}${cell.descriptions ? `, ${cell.descriptions}` : ""}`;
  const lines = [...new Set(cells.map(lineOf))];
  const box = (line, amount) => {
    const own = cells.filter((cell) => lineOf(cell) === line && amountText(cell) === amount);
    if (!own.length) return h("td", {}, h("span", { class: "ps-soft" }, "–"));
    const counts = Object.keys(CELL_STATES)
      .map((name) => [name, own.filter((cell) => state(cell) === name).length])
      .filter(([, n]) => n);
    return h(
      "td",
      {},
      h(
        "span",
        { class: "ps-cellmarks", "aria-hidden": "true" },
        own.map((cell) => {
          const [mark, words] = CELL_STATES[state(cell)];
          return h("span", { class: `ps-cellmark ps-cell-${words}`, title: `seed ${cell.seed}: ${words}` }, mark);
        }),
      ),
      h("span", { class: "ps-visually-hidden" }, counts.map(([name, n]) => `${n} ${name}`).join(", ")),
    );
  };
  return h(
    "div",
    { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": `Cells on ${set}` },
    h(
      "table",
      { class: "ps-table ps-cell-grid" },
      h("caption", {}, set),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Line"),
          amounts.map((amount) => h("th", { scope: "col" }, amount)),
        ),
      ),
      h(
        "tbody",
        {},
        lines.map((line) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, line),
            amounts.map((amount) => box(line, amount)),
          ),
        ),
      ),
    ),
  );
}

define("ps-experiment-monitor", ExperimentMonitor);
