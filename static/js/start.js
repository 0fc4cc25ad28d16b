// The Start page: the way from images to an answer and where one stands on it, three doors, recent work, the machine.
import { PsElement, announce, api, at, chip, count, define, duration, errorNotice, h, link, listOf, moment, svg } from "./core.js";
import { imagesLine, stateChip } from "./job-words.js";
import { addDemo } from "./upload.js";

// What the strip counts. Each step is done when its list holds something.
const STEPS = [
  { name: "Images", text: "Labelled examples", href: "/image-sets", ask: "/image-sets", unit: ["set"], picture: images },
  { name: "Texts", text: "What each class looks like", href: "/descriptions", ask: "/description-sets", unit: ["wording"], picture: texts },
  { name: "Training", text: "Tune a model on them", href: "/train", ask: "/models", unit: ["model"], picture: training },
  { name: "Compare", text: "Which method is better", href: "/compare", ask: "/jobs?state=succeeded", unit: ["result"], picture: compare },
  { name: "Classify", text: "Ask about new images", href: "/classify", ask: "/classifications", unit: ["answer"], picture: classify },
];

class Start extends PsElement {
  async start() {
    this.strip = h("div", {});
    this.recent = h("div", {});
    this.machine = h("div", {});
    this.said = h("div", {});
    this.#drawStrip(STEPS.map(() => null));
    this.show(h("div", { class: "ps-stack ps-start" }, this.strip, this.said, this.#doors(), this.recent, this.machine));
    await Promise.all([this.#count(), this.#showRecent(), this.#showMachine()]);
  }

  // ------------------------------------------------------------ the strip

  async #count() {
    const answers = await Promise.allSettled(STEPS.map((step) => api.get(`${step.ask}${step.ask.includes("?") ? "&" : "?"}limit=1`, { signal: this.signal })));
    const failed = answers.find((answer) => answer.status === "rejected" && answer.reason.name !== "AbortError");
    if (failed) this.said.replaceChildren(errorNotice(failed.reason, () => this.start()));
    this.#drawStrip(answers.map(({ value }) => (value ? value.total ?? listOf(value).length : null)));
  }

  // counts: per step a number, or null where it is not known.
  #drawStrip(counts) {
    const here = counts.includes(null) ? -1 : counts.findIndex((n, i) => n === 0 && i !== 1);
    this.strip.replaceChildren(
      h(
        "ol",
        { class: "ps-strip", "aria-label": "The way from images to an answer" },
        STEPS.map((step, i) => h("li", { class: "ps-step" }, stepCard(step, counts[i], i === here))),
      ),
    );
  }

  // ------------------------------------------------------------ the doors

  #doors() {
    this.demo = h("button", { type: "button", class: "ps-button ps-button-main", onclick: () => this.#openDemo() }, "Try the demo set");
    return h(
      "div",
      { class: "ps-grid ps-doors" },
      door(phantom(), "Look around first", "Scans drawn by this program, with lesions of three kinds. Not patient images.", this.demo),
      door(folder(), "Bring your own", "A zip or a folder with one folder for each class. The images stay on this machine.",
        link("Use my images", "/image-sets?add")),
      door(bars(), "Ask a trained model", "Drop an image and see how likely each class is, and where the model looked.",
        link("Classify an image", "/classify")),
    );
  }

  async #openDemo() {
    this.demo.disabled = true;
    this.demo.textContent = "Drawing the demo set…";
    announce("Drawing the demo set");
    try {
      const set = await addDemo();
      location.assign(at(`/image-sets?id=${encodeURIComponent(set.id)}`));
    } catch (error) {
      this.said.replaceChildren(errorNotice(error));
      this.demo.disabled = false;
      this.demo.textContent = "Try the demo set";
    }
  }

  // ------------------------------------------------------------ recent work and the machine

  async #showRecent() {
    const jobs = listOf(await api.get("/jobs?limit=5", { signal: this.signal }).catch(() => []));
    if (!jobs.length) return;
    this.recent.replaceChildren(
      h("section", { class: "ps-card", "aria-labelledby": "ps-recent" },
        h("div", { class: "ps-row-between" }, h("h2", { id: "ps-recent" }, "Recent work"), h("a", { href: "/jobs" }, "All jobs")),
        h("ul", { class: "ps-recent" }, jobs.map(jobRow))),
    );
  }

  async #showMachine() {
    const [backbones, jobs, ready] = await Promise.all([
      api.get("/backbones", { signal: this.signal }).then(listOf).catch(() => null),
      api.get("/jobs?state=running&limit=1", { signal: this.signal }).then(listOf).catch(() => null),
      fetch(at("/readyz"), { credentials: "same-origin", signal: this.signal }).then((answer) => answer.ok).catch(() => false),
    ]);
    const here = backbones?.filter((backbone) => backbone.available) ?? [];
    this.machine.replaceChildren(
      h("section", { class: "ps-machine", "aria-label": "This machine" },
        h("h2", {}, "This machine"),
        h("ul", {},
          h("li", {}, here.length ? chip("Ready", "good") : chip("Missing", "bad"), " ",
            here.length ? `Backbone: ${here.map((b) => b.title ?? b.name).join(", ")}` : "No backbone has its weights here. Run `promptoscope doctor`."),
          h("li", {}, ready ? chip("Ready", "good") : chip("Not ready", "warn"), " ",
            ready ? "Database and files answer" : "The server is not ready. Run `promptoscope doctor` to see why."),
          h("li", {}, workerState(jobs?.[0])))),
    );
  }
}

// A running job that has not been heard of for this long has lost its worker.
const SILENT_S = 60;

function workerState(job) {
  if (!job) return [chip("Idle"), " Nothing is being trained"];
  const silent = (job.heartbeat_age_s ?? 0) > SILENT_S;
  return silent ? [chip("Silent", "warn"), ` The worker was last heard of ${duration(job.heartbeat_age_s)} ago`] : [chip("At work", "info"), ` ${job.label}`];
}

function jobRow(job) {
  const left = job.state === "running" && job.seconds_left ? `, about ${duration(job.seconds_left)} left` : "";
  const epoch = job.state === "running" && job.epochs ? `epoch ${job.epoch ?? 0} of ${job.epochs}${left}` : "";
  return h("li", {},
    h("span", { class: "ps-break" }, h("a", { href: `/jobs?id=${encodeURIComponent(job.id)}` }, job.label), imagesLine(job)),
    stateChip(job.state),
    h("span", { class: "ps-hint" }, epoch || moment(job.finished_at ?? job.created_at)));
}

function stepCard(step, n, isHere) {
  const state = n === null ? "" : n > 0 ? count(n, ...step.unit) : "nothing yet";
  return h("a", { href: step.href, class: `ps-step-link ${isHere ? "ps-step-here" : ""}`, "aria-current": isHere && "step" },
    step.picture(n > 0),
    h("span", { class: "ps-step-name" }, step.name),
    h("span", { class: "ps-hint" }, step.text),
    h("span", { class: "ps-step-state" }, isHere ? chip("You are here", "info") : n > 0 ? chip(state, "good") : h("span", { class: "ps-hint" }, state)));
}

function door(picture, title, text, action) {
  return h("section", { class: "ps-card ps-door" }, picture, h("h2", {}, title), h("p", { class: "ps-soft" }, text), h("div", { class: "ps-actions" }, action));
}

// ------------------------------------------------------------ pictures

function picture(...shapes) {
  return svg("svg", { viewBox: "0 0 64 44", width: 64, height: 44, "aria-hidden": "true", class: "ps-line-art" }, shapes);
}

function images() {
  return picture(svg("rect", { x: 4, y: 8, width: 24, height: 28, rx: 4 }), svg("circle", { cx: 17, cy: 23, r: 5 }),
    svg("rect", { x: 36, y: 8, width: 24, height: 28, rx: 4 }), svg("path", { d: "m42 28 5-8 4 5 3-3" }));
}

function texts() {
  return picture(svg("rect", { x: 8, y: 6, width: 48, height: 32, rx: 4 }), svg("path", { d: "M16 15h32M16 22h26M16 29h18" }));
}

function training() {
  return picture(svg("path", { d: "M8 6v30h50" }), svg("path", { d: "M13 11c6 16 14 20 42 21" }), svg("circle", { cx: 55, cy: 32, r: 2.5 }));
}

function compare() {
  return picture(svg("path", { d: "M32 6v32" , "stroke-dasharray": "2 4" }), svg("path", { d: "M12 13h22M24 22h24M30 31h26" }),
    svg("circle", { cx: 23, cy: 13, r: 3 }), svg("circle", { cx: 36, cy: 22, r: 3 }), svg("circle", { cx: 43, cy: 31, r: 3 }));
}

function classify() {
  return picture(svg("path", { d: "M10 12h40M10 22h24M10 32h12", "stroke-width": 5 }));
}

function wide(...shapes) {
  return svg("svg", { viewBox: "0 0 240 110", "aria-hidden": "true", class: "ps-door-picture" }, shapes);
}

function scan(x, lesion) {
  return [svg("rect", { x, y: 15, width: 80, height: 80, rx: 8, class: "ps-scan" }),
    svg("path", { d: `M${x + 6} 40c20-8 44 8 68-2M${x + 6} 62c24 8 44-6 68 2M${x + 6} 82c20-6 46 4 68-1`, class: "ps-scan-line" }), lesion];
}

function phantom() {
  return wide(scan(30, svg("circle", { cx: 76, cy: 52, r: 13, class: "ps-scan-disc" })),
    scan(130, svg("circle", { cx: 164, cy: 60, r: 13, class: "ps-scan-ring" })));
}

function folder() {
  const row = (y, n) => [svg("path", { d: `M42 ${y}a4 4 0 0 1 4-4h10l5 5h20a4 4 0 0 1 4 4v16a4 4 0 0 1-4 4h-35a4 4 0 0 1-4-4z`, class: "ps-door-folder" }),
    ...Array.from({ length: n }, (_, i) => [
      svg("rect", { x: 104 + 32 * i, y: y - 2, width: 26, height: 26, rx: 4, class: "ps-scan" }),
      svg("circle", { cx: 117 + 32 * i, cy: y + 11, r: 5 + i, class: y < 40 ? "ps-scan-disc" : "ps-scan-ring" })])];
  return wide(row(26, 3), row(66, 3));
}

function bars() {
  const bar = (y, width) => [svg("rect", { x: 104, y, width: 106, height: 14, rx: 4, class: "ps-door-track" }), svg("rect", { x: 104, y, width, height: 14, rx: 4, class: "ps-door-bar" })];
  return wide(scan(10, svg("circle", { cx: 52, cy: 56, r: 13, class: "ps-scan-disc" })), bar(24, 88), bar(48, 14), bar(72, 6));
}

define("ps-start", Start);
