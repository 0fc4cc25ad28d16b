/**
 * <ps-train>: choose images, method and settings; start jobs; watch them.
 *
 * Nothing is kept here that matters: jobs live on the server, so the page can be closed at any time. `?images=ID`
 * chooses a set, `?method=NAME` a method, `?id=JOB` shows one job on top.
 */

import {
  PsElement,
  announce,
  api,
  busy,
  button,
  chip,
  define,
  duration,
  empty,
  errorNotice,
  h,
  link,
  listOf,
  newKey,
  param,
  setParam,
} from "./core.js";
import { classBars, classSummary } from "./class-bars.js";
import { follow, linkTo, uid } from "./follow.js";
import { isActive, stateChip } from "./job-words.js";
import "./job-monitor.js";
import "./method-form.js";
import { costWords, inGroups, isMeant } from "./method-groups.js";
import { recipeSelect } from "./recipe-words.js";

const SHOTS = [1, 2, 4, 8, 16];
const QUEUE_POLL_MS = 2000;
const SHOWN_FINISHED = 1;
/** What is said of the zero-shot run that counts most: one that is there before one that is coming. */
const BASELINE_WORDS = {
  succeeded: "✓ The zero-shot baseline is already there for these images and shots.",
  running: "The zero-shot baseline for these images and shots is running now: it is not there yet.",
  queued: "The zero-shot baseline for these images and shots waits in the queue: it is not there yet.",
};
const LOST_WORDS = {
  failed: " The last one failed.",
  cancelled: " The last one was cancelled.",
};

class TrainPage extends PsElement {
  async start() {
    this.monitors = new Map();
    this.show(busy());
    [this.sets, this.methods, this.backbones] = await Promise.all(
      ["/image-sets?limit=1000", "/methods?limit=1000", "/backbones"].map(async (path) =>
        listOf(await api.get(path, { signal: this.signal })),
      ),
    );
    this.form = h("form", { class: "ps-stack", novalidate: true, "aria-label": "New training" });
    this.form.addEventListener("submit", (event) => this.begin(event));
    this.form.addEventListener("change", () => this.refreshSummary());
    this.live = h("section", { class: "ps-stack ps-live", hidden: true, "aria-labelledby": "ps-live-title" });
    this.show(h("div", { class: "ps-stack" }, this.form, this.live));
    if (this.sets.length) await this.prepare();
    else this.form.replaceChildren(noImages());
    follow(this, QUEUE_POLL_MS, () => this.refreshJobs());
  }

  async prepare() {
    this.build();
    this.cameForLeakage = param("leakage") && param("images");
    setParam("leakage", null);
    const asked = param("images");
    const known = this.sets.find((set) => set.id === asked);
    await this.chooseSet(known || this.sets[0]);
    const named = (name) => this.methods.find((method) => method.name === name);
    await this.chooseMethod(named(param("method")) || this.starters()[0] || this.methods[0]);
    if (asked && !known) this.showProblem(`The images this address asks for are not here; “${this.set.name}” is chosen instead.`);
    if (!this.cameForLeakage) return;
    this.showLeakage([]);
    this.leakage.focus();
  }

  /** The methods that say to be offered first, in their order. */
  starters() {
    return this.methods.filter((method) => method.starter).sort((a, b) => a.starter_place - b.starter_place);
  }

  /** The method that learns nothing, against which the others are held. */
  get untrained() {
    return this.methods.find((method) => method.is_baseline);
  }

  // the form ----------------------------------------------------------------------------------------------------

  build() {
    this.shots = h("div", { class: "ps-radios" });
    this.shotsHelp = h("small", { class: "ps-hint" });
    this.seeds = h("input", {
      type: "text",
      id: uid("seeds"),
      value: "1",
      inputmode: "numeric",
      autocomplete: "off",
    });
    this.seedsProblem = h("p", { class: "ps-field-problem", role: "alert" });
    this.baseline = h("input", { type: "checkbox", id: uid("baseline"), checked: true });
    this.baselineBox = h("div", { class: "ps-field" });
    this.leakage = h("input", { type: "checkbox", id: uid("leakage") });
    this.leakageBox = this.leakagePicker();
    this.texts = h("fieldset", { class: "ps-card ps-part" });
    this.methodForm = h("ps-method-form");
    this.methodName = h("p", { class: "ps-hint" });
    this.recipes = h("div");
    this.variants = h("div");
    this.summary = h("p", { class: "ps-soft", role: "status" });
    this.problem = h("div", { class: "ps-form-problem" });
    this.startButton = h("button", { type: "submit", class: "ps-button ps-button-main" }, "Start training");
    this.form.replaceChildren(
      step("1", "Images", this.setPicker()),
      step("2", "Method", this.methodPicker()),
      step("3", "Examples and repeats", this.repeatPicker()),
      this.texts,
      h(
        "details",
        { class: "ps-card ps-part ps-unfold" },
        h("summary", {}, "Settings of this method"),
        this.methodName,
        this.backbonePicker(),
        this.recipes,
        this.variants,
        this.methodForm,
      ),
      h(
        "div",
        { class: "ps-start-bar" },
        this.problem,
        h("div", { class: "ps-actions" }, this.startButton, this.summary),
      ),
    );
  }

  setPicker() {
    const group = uid("set");
    const card = (set) => {
      const input = h("input", { type: "radio", name: group, value: set.id, class: "ps-choice-radio" });
      input.addEventListener("change", () => this.chooseSet(set));
      const drawn = set.drawn && chip("Drawn, not from patients", "info");
      return h(
        "label",
        { class: "ps-choice" },
        input,
        h("span", { class: "ps-choice-title" }, set.name),
        drawn,
        h("span", { class: "ps-soft" }, classSummary(set)),
        classBars(set),
      );
    };
    this.setCards = h("div", { class: "ps-choices" }, ...this.sets.map(card));
    return this.setCards;
  }

  methodPicker() {
    const group = uid("method");
    const first = this.starters();
    const others = this.methods.filter((method) => !first.includes(method));
    this.methodGroup = group;
    return h(
      "div",
      { class: "ps-stack-s" },
      h("div", { class: "ps-choices" }, ...first.map((method) => this.methodCard(method))),
      h(
        "details",
        { class: "ps-unfold", open: others.some((method) => method.name === param("method")) },
        h("summary", {}, `All methods (${others.length} more)`),
        this.methodSearch(others),
      ),
    );
  }

  /** The further methods in groups, with a field that leaves those that are meant. */
  methodSearch(methods) {
    const cards = new Map(methods.map((method) => [method, this.methodCard(method)]));
    const groups = inGroups(methods).map(([words, own]) => {
      const choices = h("div", { class: "ps-choices" }, ...own.map((one) => cards.get(one)));
      return { own, node: h("section", { class: "ps-stack-s" }, h("h4", {}, words), choices) };
    });
    const hint = "For example words, probe or tip";
    const field = h("input", { type: "search", id: uid("find"), autocomplete: "off", placeholder: hint });
    const told = h("p", { class: "ps-soft", role: "status" });
    field.addEventListener("input", () => {
      let shown = 0;
      for (const { own, node } of groups) {
        const meant = own.filter((method) => isMeant(method, field.value));
        own.forEach((method) => (cards.get(method).hidden = !meant.includes(method)));
        node.hidden = !meant.length;
        shown += meant.length;
      }
      const words = shown ? `${shown} of ${methods.length} methods` : "No method is called so, or does that.";
      told.textContent = field.value.trim() ? words : "";
    });
    const label = h("label", { for: field.id }, "Find a method");
    const finder = h("div", { class: "ps-field" }, label, field, told);
    return h("div", { class: "ps-stack" }, finder, ...groups.map((one) => one.node));
  }

  methodCard(method) {
    const input = h("input", { type: "radio", name: this.methodGroup, value: method.name, class: "ps-choice-radio" });
    input.addEventListener("change", () => this.chooseMethod(method));
    return h(
      "label",
      { class: "ps-choice" },
      input,
      h("span", { class: "ps-choice-title" }, method.starter ? `${method.starter}: ${method.title}` : method.title),
      towers(method),
      h("span", {}, method.summary),
      h("span", { class: "ps-soft" }, `Learns: ${method.trains}. ${costWords(method)}`),
    );
  }

  repeatPicker() {
    this.seeds.addEventListener("input", () => this.refreshSummary());
    const fill = (value) => {
      this.seeds.value = value;
      this.refreshSummary();
    };
    const quick = (words, value) => button(words, () => fill(value), "quiet ps-button-small");
    return h(
      "div",
      { class: "ps-option-grid" },
      h(
        "fieldset",
        { class: "ps-field" },
        h("legend", {}, "Training images per class (shots)"),
        this.shots,
        this.shotsHelp,
      ),
      h(
        "div",
        { class: "ps-field" },
        h("label", { for: this.seeds.id }, "Seeds"),
        h(
          "div",
          { class: "ps-input-line" },
          this.seeds,
          quick("One", "1"),
          quick("Three", "1-3"),
          quick("Five", "1-5"),
        ),
        h(
          "small",
          { class: "ps-hint" },
          "A seed decides which images are drawn. One job each; three or more give an interval.",
        ),
        this.seedsProblem,
      ),
      this.baselineBox,
      this.leakageBox,
    );
  }

  /** Shown only where a training was refused for leakage, or somebody came from such a job. */
  leakagePicker() {
    const words = "Train although training and test share images";
    const help = h(
      "small",
      { class: "ps-hint", id: `${this.leakage.id}-help` },
      "Or patients: the numbers will then be too good, and the run is marked so wherever it is shown. " +
        "Better: take what is shared out of one part.",
    );
    this.leakage.setAttribute("aria-describedby", help.id);
    const line = h("div", { class: "ps-check" }, this.leakage, h("label", { for: this.leakage.id }, words));
    return h("div", { class: "ps-field", hidden: true }, line, help);
  }

  /** jobs: the latest ones. */
  showLeakage(jobs) {
    const refused = jobs.some((job) => job.error?.code === "leakage" && job.image_set?.id === this.set?.id);
    this.leakageBox.hidden = !(refused || (this.cameForLeakage && this.cameForLeakage === this.set?.id));
  }

  backbonePicker() {
    const group = uid("backbone");
    this.backbone = (this.backbones.find((one) => one.available) || this.backbones[0])?.name || "embedded";
    const line = (one) => {
      const input = h("input", {
        type: "radio",
        name: group,
        value: one.name,
        checked: one.name === this.backbone,
        disabled: !one.available,
      });
      input.addEventListener("change", () => {
        this.backbone = one.name;
        this.chooseMethod(this.method);
      });
      const note = one.available ? "" : h("span", { class: "ps-soft" }, ` ${one.note || "not fetched yet"}`);
      return h("label", { class: "ps-radio" }, input, h("span", {}, one.title || one.name, note));
    };
    return h("fieldset", { class: "ps-field" }, h("legend", {}, "Encoder (backbone)"), ...this.backbones.map(line));
  }

  // choices -----------------------------------------------------------------------------------------------------

  async chooseSet(set) {
    this.set = set;
    this.leakage.checked = false;
    setParam("images", set.id);
    for (const input of this.setCards.querySelectorAll("input")) input.checked = input.value === set.id;
    this.showShots();
    await this.loadRuns();
    const texts = await api.get(`/description-sets?image_set=${encodeURIComponent(set.id)}`).then(listOf, () => []);
    if (set !== this.set) return; // another set was chosen meanwhile
    this.descriptionSets = texts;
    if (this.method) this.showTexts();
    this.refreshSummary();
  }

  async loadRuns() {
    this.runs = await api.get(`/runs?limit=1000&image_set=${encodeURIComponent(this.set.id)}`).then(listOf, () => []);
  }

  showShots() {
    const smallest = this.set.classes.reduce((least, one) => (one.train < least.train ? one : least));
    const before = this.chosenShots();
    const group = uid("shots");
    const allowed = SHOTS.filter((count) => count <= smallest.train);
    const wanted =
      before === undefined || (before !== null && !allowed.includes(before)) ? (allowed.at(-1) ?? null) : before;
    const choice = (value, words) => {
      const disabled = value !== null && value > smallest.train;
      const input = h("input", {
        type: "radio",
        name: group,
        value: value ?? "all",
        disabled,
        checked: value === wanted,
      });
      return h("label", { class: "ps-radio" }, input, words);
    };
    this.shots.replaceChildren(...SHOTS.map((count) => choice(count, String(count))), choice(null, "all"));
    const limit =
      smallest.train < SHOTS.at(-1)
        ? ` At most ${smallest.train}: the smallest class, '${smallest.name}', has no more.`
        : "";
    this.shotsHelp.textContent = `Drawn from the training part; the test part is never touched.${limit}`;
  }

  chosenShots() {
    const chosen = this.shots?.querySelector("input:checked")?.value;
    return chosen === undefined ? undefined : chosen === "all" ? null : Number(chosen);
  }

  async chooseMethod(method) {
    this.method = method;
    setParam("method", method.name);
    for (const input of this.form.querySelectorAll(`input[name="${this.methodGroup}"]`))
      input.checked = input.value === method.name;
    this.methodName.textContent = `${method.title}. ${method.paper}`;
    this.startButton.disabled = true;
    try {
      const path = `/methods/${encodeURIComponent(method.name)}?backbone=${encodeURIComponent(this.backbone)}`;
      const ours = `/recipes?limit=1000&method=${encodeURIComponent(method.name)}`;
      const [schema, recipes] = await Promise.all([api.get(path), api.get(ours).then(listOf)]);
      if (method !== this.method) return; // another method was chosen meanwhile
      this.schema = schema;
      if (this.recipe?.method !== method.name) this.recipe = null;
      this.showRecipes(recipes);
      this.showProblem("");
    } catch (error) {
      return this.showProblem(error.message);
    }
    this.startButton.disabled = false;
    this.variant = "default";
    this.showVariants();
    this.showOptions();
    this.showTexts();
    this.refreshSummary();
  }

  showRecipes(recipes) {
    this.recipes.replaceChildren();
    if (!recipes.length) return;
    const select = recipeSelect(uid("recipe"), recipes, this.recipe?.name);
    select.addEventListener("change", () => this.chooseRecipe(select.value));
    this.recipeHelp = h("small", { class: "ps-hint" });
    this.recipeHelp.id = `${select.id}-help`;
    select.setAttribute("aria-describedby", this.recipeHelp.id);
    this.recipes.append(
      h(
        "div",
        { class: "ps-field" },
        h("label", { for: select.id }, "Recipe: published settings to follow"),
        select,
        this.recipeHelp,
      ),
    );
    this.sayRecipe();
  }

  async chooseRecipe(name) {
    this.wanted = name;
    try {
      const recipe = name ? await api.get(`/recipes/${name}`) : null;
      if (this.wanted !== name) return; // another recipe was chosen meanwhile
      this.recipe = recipe;
    } catch (error) {
      return this.showProblem(error.message);
    }
    this.variant = "default";
    this.sayRecipe();
    this.showVariants();
    this.showOptions();
    this.showSentence();
    this.refreshSummary();
  }

  sayRecipe() {
    const { recipe } = this;
    const origin = recipe && `From: ${recipe.provenance.paper}. Fills in the values below; what you change is noted.`;
    this.recipeHelp.textContent = recipe
      ? [origin, ...recipe.notes].join(" ")
      : "For repeating a publication. The run then says which recipe it follows and where it deviates.";
  }

  /** The form of the options, with the values of the recipe or the chosen variant as defaults. */
  showOptions() {
    const values = this.recipe?.values || this.schema.presets?.[this.variant] || {};
    const rows = this.schema.options.filter((row) => row.name !== "template");
    this.methodForm.options = rows.map((row) => ({ ...row, default: values[row.name] ?? row.default }));
  }

  showVariants() {
    const names = this.schema.variants || ["default"];
    this.variants.replaceChildren();
    if (names.length < 2 || this.recipe) return; // a recipe says already what is followed
    const words = { default: "Ours", paper: "As in the paper", reference: "As in the official code" };
    const group = uid("variant");
    const line = (name) => {
      const input = h("input", { type: "radio", name: group, value: name, checked: name === "default" });
      input.addEventListener("change", () => {
        this.variant = name;
        this.showOptions();
      });
      return h("label", { class: "ps-radio" }, input, words[name] || name);
    };
    const ordered = ["default", ...names.filter((name) => name !== "default")];
    const help = h(
      "small",
      { class: "ps-hint" },
      "Where paper and official code differ from each other. What you change below wins.",
    );
    this.variants.append(
      h(
        "fieldset",
        { class: "ps-field" },
        h("legend", {}, "Variant"),
        h("div", { class: "ps-radios" }, ...ordered.map(line)),
        help,
      ),
    );
  }

  showTexts() {
    const needs = this.method.needs || [];
    const described = needs.includes("descriptions");
    this.texts.hidden = !described && !needs.includes("template");
    const given = this.texts.querySelector("input[data-modality]")?.value;
    this.modality = h("input", {
      type: "text",
      id: uid("modality"),
      "data-modality": "",
      value: given ?? this.set.modality ?? "",
    });
    this.template = h("input", { type: "text", id: uid("template") });
    this.showSentence();
    this.descriptions = described ? this.descriptionSelect() : null;
    const own = h("a", { href: linkTo("/descriptions", { image_set: this.set.id }) }, "Write or review descriptions");
    const choice = ["Template sentences are used unless you choose. ", own];
    this.texts.replaceChildren(
      h("legend", { class: "ps-part-title" }, "Texts"),
      h(
        "div",
        { class: "ps-option-grid" },
        this.descriptions && labelled("Class descriptions", this.descriptions, choice),
        labelled(
          "Kind of image (modality)",
          this.modality,
          "For example: ultrasound, chest X-ray. Goes into the sentences.",
        ),
        labelled("Sentence per class", this.template, "{} takes the class name."),
      ),
    );
  }

  /** The sentence per class that is used unless another is typed. */
  showSentence() {
    const row = this.schema?.options.find((one) => one.name === "template");
    const sentence = this.recipe?.values.template ?? row?.default ?? "";
    this.template.value = this.template.dataset.default = sentence;
  }

  descriptionSelect() {
    const option = (set, version) => {
      const words = `${set.name}, version ${version.version} (${version.author || set.source})`;
      return h("option", { value: `${set.id}|${version.version}` }, words);
    };
    const versions = this.descriptionSets.flatMap((set) =>
      [...set.versions].reverse().map((version) => option(set, version)),
    );
    return h("select", { id: uid("descriptions") }, h("option", { value: "" }, "Template sentences"), ...versions);
  }

  // summary, estimate, start ---------------------------------------------------------------------------------------

  requests() {
    const seeds = readSeeds(this.seeds.value);
    const [descriptionSet, version] = (this.descriptions?.value || "|").split("|");
    const base = {
      image_set: this.set.id,
      backbone: this.backbone,
      shots: this.chosenShots(),
      modality: this.modality?.value.trim() || null,
      ...(!this.leakageBox.hidden && this.leakage.checked && { allow_leakage: true }),
    };
    const template =
      this.template && this.template.value !== this.template.dataset.default ? this.template.value : null;
    const own = seeds.map((seed) => ({
      ...base,
      method: this.method.name,
      variant: this.variant,
      recipe: this.recipe?.name ?? null,
      seed,
      options: this.methodForm.values,
      template: this.texts.hidden ? null : template,
      description_set: descriptionSet || null,
      description_version: version ? Number(version) : null,
    }));
    const baseline = this.baselineWanted() ? [{ ...base, method: this.untrained.name, seed: seeds[0], options: {} }] : [];
    return [...own, ...baseline];
  }

  baselineWanted() {
    return this.untrained && !this.method.is_baseline && !BASELINE_WORDS[this.baselineState()] && this.baseline.checked;
  }

  /** The state of the zero-shot run for these images and shots; of several the best, of lost ones the newest. */
  baselineState() {
    const states = (this.runs || [])
      .filter(
        (run) =>
          run.method === this.untrained?.name && run.backbone === this.backbone && run.shots === this.chosenShots(),
      )
      .map((run) => run.state);
    return Object.keys(BASELINE_WORDS).find((state) => states.includes(state)) ?? states[0];
  }

  showBaseline() {
    const possible = this.untrained && !this.method?.is_baseline;
    const state = this.baselineState();
    this.baselineBox.hidden = !possible;
    if (BASELINE_WORDS[state]) {
      this.baselineBox.replaceChildren(h("p", { class: "ps-soft" }, BASELINE_WORDS[state]));
    } else {
      this.baselineBox.replaceChildren(
        h(
          "div",
          { class: "ps-check" },
          this.baseline,
          h("label", { for: this.baseline.id }, "Also run zero-shot as baseline"),
        ),
        h(
          "small",
          { class: "ps-hint" },
          `What the encoder does without any training: the line every method must beat. Takes seconds.${LOST_WORDS[state] ?? ""}`,
        ),
      );
    }
  }

  refreshSummary() {
    if (!this.method || !this.set) return;
    this.showBaseline();
    const problem = seedProblem(this.seeds.value);
    this.seedsProblem.textContent = problem;
    if (problem) return;
    clearTimeout(this.estimating);
    this.estimating = setTimeout(() => this.estimate(), 400);
  }

  async estimate() {
    if (this.methodForm.problems.length) return;
    const requests = this.requests();
    const jobs = requests.length === 1 ? "1 job" : `${requests.length} jobs`;
    try {
      const asked = JSON.stringify(requests);
      const each = await api.post("/jobs/estimate", requests[0]);
      if (asked !== JSON.stringify(this.requests())) return; // the form has changed meanwhile
      const time = Number.isFinite(each.seconds)
        ? `, about ${duration(each.seconds * (requests.length - (this.baselineWanted() ? 1 : 0)))}`
        : "";
      const images = `${each.n_train} images to train, ${each.n_val} to tune, ${each.n_test} to test`;
      this.summary.textContent = `${jobs}${time}; ${images}. ${(each.notes || []).join(" ")}`;
    } catch {
      this.summary.textContent = `${jobs}.`; // the estimate is a courtesy: starting answers with the real problem
    }
  }

  async begin(event) {
    event.preventDefault();
    const problems = [seedProblem(this.seeds.value), ...this.methodForm.problems].filter(Boolean);
    if (problems.length) return this.showProblem(problems.join(" "));
    this.startButton.disabled = true;
    this.showProblem("");
    try {
      // One request for all: if one of them is wrong, none is queued.
      await this.showStarted(listOf(await api.post("/jobs", { requests: this.requests() }, { key: newKey() })));
    } catch (error) {
      const option = /^'(\w+)'/.exec(error.message)?.[1];
      if (option) this.methodForm.showServerProblem(option, error.message);
      this.showProblem(error.message);
    } finally {
      this.startButton.disabled = false;
    }
  }

  async showStarted(jobs) {
    setParam("id", jobs[0].id);
    announce(jobs.length === 1 ? "Training is queued." : `${jobs.length} jobs are queued.`);
    await Promise.all([this.refreshJobs(), this.loadRuns()]);
    this.refreshSummary();
    this.live.scrollIntoView({ block: "start" });
    this.live.querySelector("h2")?.focus({ preventScroll: true });
  }

  showProblem(sentence) {
    this.problem.replaceChildren(sentence ? errorNotice(new Error(sentence)) : "");
  }

  // queue and live view ---------------------------------------------------------------------------------------------

  async refreshJobs() {
    const jobs = listOf(await api.get("/jobs?limit=30"));
    const wanted = param("id");
    const active = jobs.filter(isActive);
    const running = active.filter((job) => job.state === "running");
    const chosen = jobs.find((job) => job.id === wanted);
    const recent = jobs.filter((job) => !isActive(job)).slice(0, SHOWN_FINISHED);
    this.activeCount = active.length;
    this.followBaseline(jobs);
    if (this.leakageBox && this.set) this.showLeakage(jobs);
    const shown = [
      ...new Set([
        chosen,
        ...running,
        ...(running.length ? [] : active.slice(0, 1)),
        ...(chosen || active.length ? [] : recent),
      ]),
    ].filter(Boolean);
    this.showLive(
      shown,
      active.filter((job) => !shown.includes(job)),
      jobs.length,
    );
    return true;
  }

  /** When a job changes its state, the runs of the chosen images do as well: what is said of zero-shot follows. */
  async followBaseline(jobs) {
    const states = jobs.map((job) => `${job.id} ${job.state}`).join();
    const before = this.jobStates;
    this.jobStates = states;
    if (before === undefined || before === states || !this.set || !this.method) return;
    await this.loadRuns();
    this.showBaseline();
  }

  showLive(shown, waiting, total) {
    if (!this.live.firstChild) this.buildLive();
    this.live.hidden = !total;
    const heading = this.activeCount ? "Training now" : "Last training";
    if (this.liveTitle.textContent !== heading) this.liveTitle.textContent = heading;
    for (const [id, monitor] of this.monitors) {
      if (shown.some((job) => job.id === id)) continue;
      monitor.remove();
      this.monitors.delete(id);
    }
    for (const job of shown) {
      if (this.monitors.has(job.id)) continue;
      const monitor = h("ps-job-monitor", { "job-id": job.id });
      this.monitors.set(job.id, monitor);
      this.liveJobs.append(monitor);
    }
    const key = waiting.map((job) => job.id).join();
    if (key === this.waitingKey) return;
    this.waitingKey = key;
    this.waiting.replaceChildren(
      waiting.length ? h("h3", {}, "Waiting") : "",
      h(
        "ul",
        { class: "ps-queue" },
        ...waiting.map((job) =>
          h("li", {}, stateChip(job.state), h("a", { href: linkTo("/train", { id: job.id }) }, job.label || job.id)),
        ),
      ),
    );
  }

  buildLive() {
    this.liveTitle = h("h2", { id: "ps-live-title", tabindex: "-1" });
    this.liveJobs = h("div", { class: "ps-stack" });
    this.waiting = h("div");
    this.live.replaceChildren(
      h("div", { class: "ps-row-between" }, this.liveTitle, h("a", { href: linkTo("/jobs") }, "All jobs")),
      this.liveJobs,
      this.waiting,
    );
  }
}

function step(number, title, body) {
  return h(
    "fieldset",
    { class: "ps-card ps-part" },
    h(
      "legend",
      { class: "ps-part-title" },
      h("span", { class: "ps-part-number", "aria-hidden": "true" }, number),
      ` ${title}`,
    ),
    body,
  );
}

function labelled(words, input, help) {
  const helpLine = h("small", { class: "ps-hint", id: `${input.id}-help` }, help);
  input.setAttribute("aria-describedby", helpLine.id);
  return h("div", { class: "ps-field" }, h("label", { for: input.id }, words), input, helpLine);
}

/** What is trained, as a small picture: two towers, the learned parts filled. The words beside it say the same. */
function towers(method) {
  const text = method.learns_words;
  const image = method.image_path === "trained";
  const fixed = method.image_path === "prompted";
  const head = !text && !image && method.trains !== "nothing";
  const box = (words, learned, mark = "") =>
    h("span", { class: `ps-tower ${learned ? "ps-learned" : ""} ${mark}` }, words);
  return h(
    "span",
    { class: "ps-towers", "aria-hidden": "true" },
    box(fixed ? "image + 0" : "image", image, fixed ? "ps-steered" : ""),
    box("text", text),
    head ? box("head", true) : null,
  );
}

function noImages() {
  return empty(
    "No images yet",
    "Training needs a set of labelled images. Add your own, or try the drawn demo set first.",
    h("div", { class: "ps-actions" }, link("Add images", "/image-sets", "main"), link("Try the demo set", "/")),
  );
}

/** "1, 2, 5-7" as [1, 2, 5, 6, 7]. */
export function readSeeds(text) {
  const seeds = new Set();
  for (const part of text.split(/[\s,;]+/).filter(Boolean)) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!range) return [];
    const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
    if (last < first || last - first > 99) return [];
    for (let seed = first; seed <= last; seed += 1) seeds.add(seed);
  }
  return [...seeds];
}

export function seedProblem(text) {
  const seeds = readSeeds(text);
  if (!seeds.length) return `Seeds are whole numbers such as "1", "1, 2, 3" or "1-5"; found "${text}".`;
  return seeds.length > 20 ? `At most 20 seeds at once; found ${seeds.length}.` : "";
}

define("ps-train", TrainPage);
