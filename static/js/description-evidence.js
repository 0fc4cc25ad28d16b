// The Evidence view: what training images say of the sentences, sentence by sentence and of the whole set, with what
// would have come of random words. Nothing here has seen the test part.
import "./plot.js";
import { PsElement, announce, api, at, busy, button, count, define, empty, errorNotice, field, fill, h, listOf, newKey } from "./core.js";
import { ClassMapPanel } from "./description-class-map.js";
import { controlsContent, growthContent } from "./description-evidence-charts.js";
import { EvidenceTable } from "./description-evidence-table.js";
import { setWords, sentencesWords } from "./description-evidence-words.js";
import { TaskCard } from "./description-task.js";

const SHOTS = [1, 2, 4, 8, 16, 32];
const USUAL_SHOTS = 16;
const MOST = 20;

class DescriptionEvidence extends PsElement {
  async start() {
    this.show(busy("Loading the evidence…"));
    const { desk, signal } = this;
    const [tasks, backbones, sets] = await Promise.all([
      desk.get("/tasks", { kind: "evidence", limit: MOST }).then(listOf),
      api.get("/backbones?limit=1000", { signal }).then(listOf).catch(() => []),
      api.get("/image-sets?limit=1000", { signal }).then(listOf),
    ]);
    this.backbones = backbones;
    this.sets = fitting(sets, desk.imageSet);
    this.running = h("div", { class: "ps-stack" });
    this.results = h("div", { class: "ps-stack" });
    this.map = new ClassMapPanel(desk);
    this.form = h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-look-title" });
    this.#drawForm(tasks.length > 0);
    this.show(h("div", { class: "ps-stack" }, this.running, this.results, this.form, this.map.node));
    const newest = tasks[0];
    if (newest && newest.job?.state !== "succeeded") this.#follow(newest);
    const done = tasks.find((task) => task.job?.state === "succeeded" || task.result);
    if (done) await this.#open(done);
    else if (!newest) this.#nothingYet();
    await this.map.load();
  }

  #nothingYet() {
    fill(this.results, empty("No evidence yet",
      "The training images can say which sentences fit them better than random words would, and which ones do harm. With few images the usual answer is “cannot be told”."));
  }

  // ------------------------------------------------------------ asking

  #drawForm(again) {
    const images = h("select", {}, this.sets.map((set) => h("option", { value: set.id }, set.name)));
    const backbone = h("select", {}, namesOf(this.backbones).map((name) => h("option", { value: name }, name)));
    const shots = h("select", {});
    const seed = h("input", { type: "number", min: "0", step: "1", value: "1" });
    const curve = h("input", { type: "checkbox", checked: true });
    const said = h("div", {});
    const fillShots = () => {
      const set = this.sets.find((each) => String(each.id) === images.value);
      const most = Math.min(...(set?.classes ?? []).map((row) => row.train));
      const possible = SHOTS.filter((n) => n <= most);
      fill(shots, possible.map((n) => h("option", { value: n, selected: n === Math.min(USUAL_SHOTS, possible.at(-1)) }, String(n))), h("option", { value: "" }, "all there are"));
    };
    images.addEventListener("change", fillShots);
    fillShots();
    const go = button(again ? "Look again" : "Look at the images", async () => {
      go.disabled = true;
      try {
        const body = { image_set: images.value, backbone: backbone.value, shots: shots.value ? Number(shots.value) : null, seed: Number(seed.value), curve: curve.checked, actor: this.desk.reader || "owner" };
        const task = await api.post(this.desk.path("/evidence"), body, { key: newKey() });
        fill(said);
        if (!this.results.querySelector("ps-plot, table")) fill(this.results);
        this.#follow(task, true);
      } catch (error) {
        if (error.name !== "AbortError") fill(said, errorNotice(error));
      } finally {
        go.disabled = false;
      }
    }, again ? "" : "main");
    fill(this.form, h("h3", { id: "ps-look-title" }, again ? "Look again" : "Ask the training images"),
      h("p", { class: "ps-soft" }, "Each sentence is held against random words in its place, on training images only. All sentences that are not rejected take part, as they stand now."),
      h("div", { class: "ps-grid" },
        field("Image set", images), field("Encoder", backbone),
        field("Images of each class", shots, "More images can tell smaller effects."), field("Seed", seed, "Which images are drawn.")),
      h("label", { class: "ps-check" }, curve, "Also how accuracy changes with more sentences (takes longer)"),
      said, h("div", { class: "ps-actions" }, go));
  }

  #follow(task, focus = false) {
    const card = new TaskCard(this.desk, this, task, {
      title: (each) => `Evidence from ${each.image_set?.name ?? "images"}`,
      body: (each) => h("p", { class: "ps-hint" }, askedWords(each.request)),
      ended: (each) => this.#ended(each),
    });
    fill(this.running, h("section", { class: "ps-card", "aria-label": "Under way" }, card.node));
    if (!focus) return;
    card.heading.focus({ preventScroll: true });
    card.node.scrollIntoView({ block: "nearest" });
  }

  async #ended(task) {
    if (!task.result) return;
    fill(this.running);
    this.#drawForm(true);
    await Promise.all([this.#open(task), this.map.load()]);
    this.results.querySelector("h3")?.focus();
    announce(sentencesWords(task.result));
  }

  // ------------------------------------------------------------ showing

  async #open(task) {
    try {
      const { result } = task.result?.sentences ? task : await this.desk.get(`/tasks/${encodeURIComponent(task.id)}`);
      this.#draw({ ...task, result });
    } catch (error) {
      if (error.name !== "AbortError") fill(this.results, errorNotice(error, () => this.#open(task)));
    }
  }

  #draw(task) {
    const { result } = task;
    const name = this.desk.texts.name;
    const plots = [controlsContent(result, name), growthContent(result, name)].filter(Boolean).map((content) => {
      const plot = h("ps-plot");
      plot.content = content;
      return h("section", { class: "ps-card" }, plot);
    });
    fill(this.results,
      h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-said-title" },
        h("h3", { id: "ps-said-title", tabindex: "-1" }, "What the images say"),
        h("p", { class: "ps-verdict" }, sentencesWords(result)),
        setWords(result) && h("p", { class: "ps-verdict" }, setWords(result)),
        h("p", { class: "ps-hint ps-break" }, `${askedWords(task.request)} ${count(result.sentences.length, "sentence")} as they stood then.`),
        task.image_set && h("div", { class: "ps-actions" },
          h("a", { class: "ps-button ps-button-small", download: "", href: at(`/api/v1${this.desk.path(`/tasks/${encodeURIComponent(task.id)}/report`)}`) }, "Download the report"),
          h("span", { class: "ps-hint" }, "One HTML file with pictures; share it as you would share the images."))),
      plots[0],
      new EvidenceTable(result, name, (row) => this.#read(row)).node,
      plots.slice(1));
  }

  async #read(row) {
    const found = listOf(await this.desk.get("/sentences", { class: row.class, q: row.sentence.slice(0, 200), limit: 20 }));
    const own = found.find((each) => each.text === row.sentence);
    this.dispatchEvent(new CustomEvent("ps-open-view", { detail: { view: "review", sentence: own?.id ?? null } }));
  }
}

// The image sets these texts fit: the own one first.
function fitting(sets, own) {
  const names = new Set(own.classes.map(({ name }) => name));
  const fit = sets.filter((set) => set.classes.length === names.size && set.classes.every(({ name }) => names.has(name)));
  return [...fit.filter((set) => set.id === own.id), ...fit.filter((set) => set.id !== own.id)];
}

function namesOf(backbones) {
  const ready = backbones.filter((each) => each.available).map((each) => each.name);
  return ready.length ? ready : ["embedded"];
}

function askedWords(request) {
  const shots = request.shots ? `${request.shots} training images of each class` : "All training images";
  return `${shots}, seed ${request.seed ?? 1}, on ${request.backbone ?? "embedded"}.`;
}

define("ps-description-evidence", DescriptionEvidence);
