// Adding an image set: a zip, a folder, many files, or a table with its images; by drag and drop or by choosing files.
//
// Sends everything in one request to the API. Fires "ps-added" with the new set as detail.
import {
  PsElement, announce, api, button, busy, count, define, errorNotice, field, fill, h, send, size, svg,
} from "./core.js";
import "./column-choice.js";
import { focusPager, pager } from "./pager.js";

const MODALITIES = [
  "breast ultrasound", "brain MRI", "chest X-ray", "CT slice", "dermatoscopic image", "fundus photograph",
  "histology slide", "OCT scan", "endoscopy frame",
];
const SYSTEM_FILES = new Set([".ds_store", "thumbs.db", "desktop.ini"]);
const ROWS_SHOWN = 100;

class Upload extends PsElement {
  #files = []; // [{ file, name }], name with its folders
  #leftOut = 0;
  #sending = null;

  start() {
    this.nameInput = h("input", { type: "text", maxlength: "200", autocomplete: "off", required: true });
    this.modalityInput = h("input", { type: "text", maxlength: "200", list: "ps-modalities", autocomplete: "off" });
    this.chosen = h("div", { class: "ps-stack-s" });
    this.outcome = h("div", { class: "ps-stack-s" });
    this.columns = h("ps-column-choice", { class: "ps-stack-s" });
    this.go = button("Add these images", () => this.#submit(), "main");
    this.show(
      h(
        "section",
        { class: "ps-card", "aria-labelledby": "ps-upload-title" },
        h("h2", { id: "ps-upload-title", tabindex: "-1" }, "Add images"),
        h("div", { class: "ps-upload-both" }, this.#dropZone(), example(this.getAttribute("limits"))),
        this.chosen,
        this.columns,
        h(
          "div",
          { class: "ps-grid" },
          field("Name of the set", this.nameInput, "How you will find it again."),
          field("What the pictures are", this.modalityInput, "For example breast ultrasound. Helps methods that read text."),
        ),
        h("datalist", { id: "ps-modalities" }, MODALITIES.map((text) => h("option", { value: text }))),
        this.outcome,
        h("div", { class: "ps-actions" }, this.go),
      ),
    );
  }

  // ------------------------------------------------------------ choosing

  #dropZone() {
    const files = this.#input({ multiple: true }, "Choose files", "ps-button");
    const folder = this.#input({ webkitdirectory: true }, "Choose a folder", "ps-button");
    const zone = h(
      "div",
      { class: "ps-drop" },
      dropPicture(),
      h("p", { class: "ps-drop-title" }, "Drop a zip, a folder or images here"),
      h("div", { class: "ps-actions" }, files, folder),
    );
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("ps-drop-over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("ps-drop-over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("ps-drop-over");
      dropped(event.dataTransfer).then((rows) => this.#choose(rows));
    });
    return zone;
  }

  // A real file input: its label is drawn as a button, the input keeps the keyboard focus.
  #input(props, text) {
    const input = h("input", { type: "file", class: "ps-file-input", ...props });
    input.addEventListener("change", () => {
      this.#choose([...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
      // So that choosing the same files once more is noticed.
      input.value = "";
    });
    return h("label", { class: "ps-button ps-file" }, input, text);
  }

  #choose(rows) {
    if (this.#sending || !rows.length) return;
    const kept = rows.filter(({ name }) => !isSystemFile(name));
    this.#leftOut = rows.length - kept.length;
    if (!this.nameInput.value && kept.length) this.nameInput.value = suggestedName(kept);
    this.#files = withoutCommonFolder(kept);
    this.outcome.replaceChildren();
    this.#drawChosen();
    this.columns.look(this.#files);
    announce(`${count(this.#files.length, "file")} chosen`);
  }

  #drawChosen() {
    if (!this.#files.length) {
      this.chosen.replaceChildren();
      return;
    }
    const bytes = this.#files.reduce((sum, { file }) => sum + file.size, 0);
    const hidden = this.#files.length - ROWS_SHOWN;
    this.rows = this.#files.slice(0, ROWS_SHOWN).map(({ file, name }) => fileRow(name, file.size));
    fill(
      this.chosen,
      h("h3", {}, `${count(this.#files.length, "file")} chosen, ${size(bytes)}`),
      h("ul", { class: "ps-files", tabindex: "0", "aria-label": "Chosen files" }, this.rows.map((row) => row.node)),
      hidden > 0 && h("p", { class: "ps-hint" }, `and ${count(hidden, "further file")}`),
      this.#leftOut > 0 && h("p", { class: "ps-hint" }, `${count(this.#leftOut, "system file")} left out (such as .DS_Store).`),
    );
  }

  // ------------------------------------------------------------ sending

  async #submit() {
    if (this.#sending || this.go.disabled) return;
    const mistake = this.#mistake();
    if (mistake) {
      this.outcome.replaceChildren(errorNotice(new Error(mistake)));
      return;
    }
    if (this.columns.isLooking && (await this.#waitForTable())) return;
    this.#send();
  }

  // Whoever is faster than the reading of a table sees first what it was taken for.
  async #waitForTable() {
    this.go.disabled = true;
    this.outcome.replaceChildren(busy("Reading the table first…"));
    const isShown = await this.columns.looked();
    this.go.disabled = false;
    this.outcome.replaceChildren();
    if (!isShown) return false;
    const text = "A table was found. Check its columns above, then add the images.";
    this.outcome.replaceChildren(h("p", { class: "ps-notice", role: "status" }, text));
    this.columns.querySelector("h3")?.focus();
    return true;
  }

  #mistake() {
    const nameless = !this.nameInput.value.trim();
    this.nameInput.setAttribute("aria-invalid", String(nameless && this.#files.length > 0));
    if (!this.#files.length) return "Choose a zip, a folder or images first.";
    if (!nameless) return "";
    this.nameInput.focus();
    return "The set needs a name, so that you find it again. Type one above.";
  }

  async #send() {
    const form = new FormData();
    form.append("name", this.nameInput.value.trim());
    if (this.modalityInput.value.trim()) form.append("modality", this.modalityInput.value.trim());
    if (this.columns.group) form.append("group", this.columns.group);
    if (this.columns.label) form.append("label", this.columns.label);
    for (const { file, name } of this.#files) form.append("files", file, name);
    this.#sending = send("/image-sets", form, (sent, all) => this.#progress(sent, all));
    this.#drawSending();
    try {
      const added = await this.#sending.done;
      announce(`${added.name} was added: ${count(added.n_images, "image")}`);
      this.dispatchEvent(new CustomEvent("ps-added", { detail: added, bubbles: true }));
    } catch (error) {
      this.#drawFailed(error);
    } finally {
      this.#sending = null;
      this.go.disabled = false;
      if (document.activeElement === document.body) this.go.focus(); // disabled, it had lost the focus
    }
  }

  #drawSending() {
    this.go.disabled = true;
    this.bar = h("progress", { max: "1", value: 0, "aria-label": "Sent" });
    this.barText = h("p", { class: "ps-soft", role: "status" }, "Sending…");
    const stop = button("Stop", () => this.#sending?.cancel(), "small");
    this.outcome.replaceChildren(this.bar, h("div", { class: "ps-row-between" }, this.barText, stop));
    this.outcome.scrollIntoView({ block: "nearest" });
  }

  #progress(sent, all) {
    this.bar.value = all ? sent / all : 0;
    this.barText.textContent = `${size(sent)} of ${size(all)} sent`;
    let before = 0;
    this.rows.forEach((row, index) => {
      const bytes = this.#files[index].file.size;
      row.progress(Math.max(0, Math.min(1, bytes ? (sent - before) / bytes : Number(sent >= before))));
      before += bytes;
    });
    if (sent < all) return;
    this.outcome.replaceChildren(busy("Everything has arrived. Reading and checking each image…"));
  }

  #drawFailed(error) {
    const stopped = error.name === "AbortError";
    const shown = stopped ? new Error("Stopped. Nothing was added; the chosen files are still listed.") : error;
    fill(this.outcome, errorNotice(shown), problemTray(error.shape?.problems ?? []));
    this.rows?.forEach((row) => row.progress(0));
  }
}

function fileRow(name, bytes) {
  const bar = h("span", { class: "ps-file-bar", "aria-hidden": "true" });
  const state = h("span", { class: "ps-hint" }, size(bytes));
  return {
    node: h("li", {}, bar, h("span", { class: "ps-break" }, name), state),
    progress(share) {
      bar.style.setProperty("width", `${100 * share}%`);
      state.textContent = share >= 1 ? "sent" : size(bytes);
    },
  };
}

// ------------------------------------------------------------ names and folders

const isSystemFile = (name) =>
  name.startsWith("__MACOSX/") || SYSTEM_FILES.has(name.split("/").at(-1).toLowerCase());

function suggestedName(rows) {
  const first = rows[0].name;
  if (first.includes("/")) return rows.every(({ name }) => name.split("/")[0] === first.split("/")[0]) ? first.split("/")[0] : "";
  return rows.length === 1 ? first.replace(/\.[^.]+$/, "") : "";
}

// A chosen folder puts its own name before everything in it. It goes where there are class folders below it.
export function withoutCommonFolder(rows) {
  const tops = new Set(rows.map(({ name }) => (name.includes("/") ? name.split("/")[0] : "")));
  const deep = rows.some(({ name }) => name.split("/").length > 2);
  if (tops.size !== 1 || tops.has("") || !deep) return rows;
  return rows.map(({ file, name }) => ({ file, name: name.slice(name.indexOf("/") + 1) }));
}

// All files of a drop, folders walked through: [{ file, name }].
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const children = [];
  for (;;) {
    // A reader gives at most a hundred entries at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    children.push(...some);
  }
  return (await Promise.all(children.map(walk))).flat();
}

// ------------------------------------------------------------ pictures

function example(limits) {
  const rows = [["train", 0], ["benign", 1], ["malignant", 1], ["test", 0], ["benign", 1], ["malignant", 1]];
  return h(
    "div",
    { class: "ps-stack-s" },
    h("h3", {}, "How folders become classes"),
    h(
      "ul",
      { class: "ps-tree" },
      rows.map(([name, level]) =>
        h(
          "li",
          { style: { "margin-left": `${level * 1.5}rem` } },
          folderPicture(),
          name,
          level > 0 && h("span", { class: "ps-tree-images", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
        ),
      ),
    ),
    h("p", { class: "ps-hint" }, "Without train and test folders, a part of each class is held out for the test. "
      + "A table works too, as it was published or as a CSV with the columns path, label and, where known, split and "
      + "group (the patient)."),
    h("p", { class: "ps-hint" }, limits),
  );
}

const folderPicture = () =>
  svg("svg", { viewBox: "0 0 20 16", width: 20, height: 16, "aria-hidden": "true", class: "ps-line-art" },
    svg("path", { d: "M1.5 3.5a2 2 0 0 1 2-2h3.6l2 2.2h7.4a2 2 0 0 1 2 2v6.8a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2z" }));

const dropPicture = () =>
  svg("svg", { viewBox: "0 0 64 48", width: 64, height: 48, "aria-hidden": "true", class: "ps-line-art" },
    svg("rect", { x: 4, y: 12, width: 26, height: 26, rx: 4, transform: "rotate(-8 17 25)" }),
    svg("rect", { x: 34, y: 12, width: 26, height: 26, rx: 4, transform: "rotate(8 47 25)" }),
    svg("circle", { cx: 17, cy: 25, r: 5 }), svg("circle", { cx: 47, cy: 25, r: 7 }),
    svg("path", { d: "M32 2v16m-6-6 6 6 6-6" }));

const PROBLEMS_PER_PAGE = 80;

// Refused files, each with what is wrong, what was expected and what was found, in pages.
// total, ask(offset, limit): where there are more than were given.
export function problemTray(problems, total = problems.length, ask = null) {
  if (!total) return null;
  const list = h("ul", { class: "ps-tray-list" });
  const pages = h("div", {});
  const draw = (rows, offset) => {
    list.replaceChildren(...rows.map(problemRow));
    const place = { offset, shown: rows.length, total, perPage: PROBLEMS_PER_PAGE };
    fill(pages, pager("Pages of refused files", ["file"], place, go));
  };
  const go = async (offset, name = null) => {
    const end = offset + PROBLEMS_PER_PAGE;
    try {
      const known = problems.length === total || end <= problems.length;
      draw(known ? problems.slice(offset, end) : await ask(offset, PROBLEMS_PER_PAGE), offset);
      focusPager(pages, name);
    } catch (error) {
      pages.append(errorNotice(error));
    }
  };
  draw(problems.slice(0, PROBLEMS_PER_PAGE), 0);
  return h(
    "section",
    { class: "ps-tray", "aria-label": "Refused files" },
    h("h3", {}, `${count(total, "file")} could not be used`),
    h("p", {}, "All other files were kept."),
    list,
    pages,
  );
}

const asSentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function problemRow({ file, problem, expected, found }) {
  return h(
    "li",
    {},
    h("p", { class: "ps-break" }, h("strong", {}, file)),
    h("dl", { class: "ps-facts" },
      h("dt", {}, "What"), h("dd", {}, asSentence(problem.replaceAll("_", " "))),
      h("dt", {}, "Expected"), h("dd", {}, expected),
      h("dt", {}, "Found"), h("dd", {}, asSentence(found.replace(/^found /, "")))),
  );
}

// Adds the drawn demo set, or finds the one there is.
export const addDemo = () => api.post("/image-sets/demo");

define("ps-upload", Upload);
