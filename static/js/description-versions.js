// The Versions view: save and sign off, compare any two wordings, see what was done and take it back.
import { PsElement, announce, api, busy, button, chip, count, define, errorNotice, field, fill, h, link, listOf, moment, newKey, param, setParam, table } from "./core.js";
import { differenceList } from "./description-difference.js";
import { STATES, kindWord } from "./description-words.js";
import { versionInFull } from "./description-version.js";
import { confirmDialog } from "./follow.js";
import { focusPager, pager } from "./pager.js";

const NOW = "now";
const ACTIONS = 20;
const MOST_LINES = 300;

class DescriptionVersions extends PsElement {
  async start() {
    this.show(busy("Loading versions…"));
    await this.#load();
    this.saving = h("section", { class: "ps-card", "aria-labelledby": "ps-save-title" });
    this.opened = h("div", { class: "ps-stack-s" });
    this.list = h("section", { class: "ps-card", "aria-labelledby": "ps-versions-title" });
    this.compared = h("section", { class: "ps-card", "aria-labelledby": "ps-compare-title" });
    this.log = h("section", { class: "ps-card", "aria-labelledby": "ps-log-title" });
    this.show(h("div", { class: "ps-stack" }, this.saving, this.list, this.compared, this.log, this.#danger()));
    this.#drawSaving();
    this.#drawList();
    this.#drawCompare();
    await this.#drawLog(0);
    const again = () => this.#again();
    this.desk.addEventListener("news", again, { signal: this.signal });
  }

  async #load() {
    const texts = await api.get(this.desk.path(), { signal: this.signal });
    this.desk.texts = texts;
    this.versions = [...texts.versions].sort((a, b) => b.version - a.version);
  }

  async #again() {
    try {
      await this.#load();
      await this.desk.refresh();
      this.#drawSaving();
      this.#drawList();
      this.#drawCompare();
      await this.#drawLog(0);
    } catch (error) {
      if (error.name !== "AbortError") this.#said(errorNotice(error));
    }
  }

  // ------------------------------------------------------------ saving and signing

  #drawSaving() {
    const { summary } = this.desk;
    const note = h("input", { type: "text", maxlength: "300" });
    const name = h("input", { type: "text", maxlength: "200", autocomplete: "name", value: this.desk.reader });
    this.saveSaid ??= h("div", {});
    const states = Object.keys(STATES).map((state) => [state, summary.classes.reduce((n, row) => n + (row[state] ?? 0), 0)]);
    const go = (sign) => this.#save(sign, name.value.trim(), note.value.trim());
    fill(this.saving,
      h("h3", { id: "ps-save-title" }, "Save or sign off"),
      h("p", { class: "ps-row" }, states.map(([state, n]) => chip(`${n} ${STATES[state][0].toLowerCase()}`, STATES[state][1]))),
      h("p", { class: "ps-soft" }, "A saved version holds every sentence that is not rejected. A signed version holds approved sentences only, says who vouches for it, and never changes."),
      h("div", { class: "ps-grid" }, field("Your name", name), field("Note (optional)", note, "What this version is for.")),
      this.saveSaid,
      h("div", { class: "ps-actions" }, button("Sign off…", () => go(true), "main"), button("Save a version", () => go(false))));
  }

  #said(...nodes) {
    fill(this.saveSaid, nodes);
  }

  async #save(sign, actor, note) {
    if (!actor) return this.#said(errorNotice(new Error("A version says who saved it. Type your name.")));
    if (this.desk.reader !== actor) this.desk.reader = actor;
    if (sign && !(await this.#confirmSigning(actor))) return undefined;
    try {
      const made = await api.post(this.desk.path("/versions"), { actor, note, sign }, { key: newKey() });
      await this.#again();
      const words = `Version ${made.version} is ${sign ? `signed by ${made.signed_by}` : "saved"}.`;
      this.#said(h("div", { class: "ps-notice ps-notice-good" }, h("p", {}, words, leftOutWords(made.left_out)),
        link("Train with these texts", `/train?images=${encodeURIComponent(this.desk.imageSet.id)}`)));
      announce(words);
    } catch (error) {
      this.#said(errorNotice(error));
    }
    return undefined;
  }

  #confirmSigning(actor) {
    const sum = (state) => this.desk.summary.classes.reduce((n, row) => n + (row[state] ?? 0), 0);
    const out = { draft: sum("draft"), rejected: sum("rejected"), needs_second_reader: sum("needs_second_reader") };
    return confirmDialog({
      title: `Sign off ${count(sum("approved"), "sentence")}?`,
      text: `${actor} vouches for them. The version stands as it is for good.${leftOutWords(out)}`,
      yes: "Sign off",
      no: "Not yet",
    });
  }

  // ------------------------------------------------------------ the list

  #drawList() {
    fill(this.list,
      h("h3", { id: "ps-versions-title" }, "Versions"),
      this.versions.length === 0 ? h("p", { class: "ps-soft" }, "Nothing is saved yet.") :
        table("Each version stays as it was saved; runs point at one", [
          { title: "Version", cell: (row) => String(row.version) },
          { title: "Saved", cell: (row) => moment(row.created_at) },
          { title: "By", cell: (row) => row.author || "not named" },
          { title: "Signed", cell: (row) => (row.signed_by ? chip(`by ${row.signed_by}`, "good") : "no") },
          { title: "Note", cell: (row) => h("span", { class: "ps-break" }, row.note ?? "") },
          { title: "", cell: (row) => h("div", { class: "ps-actions" }, this.#openButton(row.version), button("What changed since", () => this.#compare(String(row.version), NOW), "small")) },
        ], this.versions),
      this.opened);
  }

  #openButton(version) {
    const node = button("Open", () => this.#open(version), "small");
    node.setAttribute("aria-label", `Open version ${version}`);
    return node;
  }

  // A version in full below the list, with what was trained on it.
  async #open(version) {
    const close = () => {
      fill(this.opened);
      this.list.querySelector(`[aria-label="Open version ${version}"]`)?.focus();
    };
    fill(this.opened, busy(`Opening version ${version}…`));
    try {
      const found = await this.desk.get(`/versions/${version}`);
      fill(this.opened, versionInFull(found), h("div", { class: "ps-actions" }, button(`Close version ${version}`, close, "small")));
      this.opened.querySelector("h4").focus({ preventScroll: true });
      this.opened.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (error.name !== "AbortError") fill(this.opened, errorNotice(error, () => this.#open(version)));
    }
  }

  // ------------------------------------------------------------ comparing

  #drawCompare() {
    const options = () => [...this.versions.map((row) => h("option", { value: String(row.version) }, `Version ${row.version}`)), h("option", { value: NOW }, "As it is now")];
    this.from = h("select", {}, options());
    this.to = h("select", {}, options());
    this.to.value = NOW;
    this.shown = h("div", { role: "status" });
    const go = () => this.#compare(this.from.value, this.to.value);
    this.from.addEventListener("change", go);
    this.to.addEventListener("change", go);
    fill(this.compared, h("h3", { id: "ps-compare-title" }, "Compare"),
      this.versions.length ? h("div", { class: "ps-wall-filters" }, field("From", this.from), field("To", this.to)) : h("p", { class: "ps-soft" }, "Save a version first."),
      this.shown);
    const asked = param("from");
    setParam("from", null);
    const from = this.versions.some((row) => String(row.version) === asked) ? asked : this.from.value;
    if (this.versions.length) this.#compare(from, NOW, from === asked);
  }

  async #compare(from, to, scroll = true) {
    this.from.value = from;
    this.to.value = to;
    fill(this.shown, busy("Comparing…"));
    try {
      const found = await this.desk.get("/diff", { from, to });
      const all = differenceList(found);
      const lines = [...all.querySelectorAll("li")];
      for (const line of lines.slice(MOST_LINES)) line.hidden = true;
      fill(this.shown, all, lines.length > MOST_LINES && button(`Show all ${lines.length}`, (event) => {
        for (const line of lines) line.hidden = false;
        event.target.remove();
      }, "small"));
      if (scroll) this.compared.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (error.name !== "AbortError") fill(this.shown, errorNotice(error, () => this.#compare(from, to)));
    }
  }

  // ------------------------------------------------------------ what was done

  async #drawLog(offset, focus = null) {
    const page = await this.desk.get("/actions", { limit: ACTIONS, offset });
    const rows = listOf(page);
    const place = { offset, shown: rows.length, total: page.total, perPage: ACTIONS };
    const go = (start, name) => this.#drawLog(start, name).catch((error) => this.#logSaid(error));
    this.logSaid = h("div", {});
    fill(this.log, h("h3", { id: "ps-log-title" }, "What was done"), this.logSaid,
      rows.length === 0 ? h("p", { class: "ps-soft" }, "Nothing yet.") :
        table("Newest first; taking something back is itself something that can be taken back", [
          { title: "What", cell: (row) => kindWord(row.kind) },
          { title: "", cell: (row) => (row.undone_by ? chip("taken back", "") : row.changed > 0 ? this.#undoButton(row) : "") },
          { title: "Sentences", cell: (row) => String(row.changed), number: true },
          { title: "By", cell: (row) => row.actor },
          { title: "When", cell: (row) => moment(row.at) },
        ], rows),
      pager("Pages of what was done", ["entry", "entries"], place, go));
    focusPager(this.log, focus);
  }

  #undoButton(row) {
    const node = button(row.undoes_id ? "Do it again" : "Undo", () => this.#undo(row), "small");
    node.setAttribute("aria-label", `${node.textContent}: ${kindWord(row.kind)}, ${count(row.changed, "sentence")}, by ${row.actor}`);
    return node;
  }

  async #undo(row) {
    const actor = this.desk.reader;
    if (!actor) return this.#logSaid(new Error("Say who you are first: type your name above."));
    try {
      const answer = await this.desk.outbox.add("/undo", { actor, action_id: row.id }, { words: "Undo" }).done;
      await this.#again();
      const words = `Undone: ${count(answer.sentences.length, "sentence")}.`;
      fill(this.logSaid, h("p", { class: "ps-notice ps-notice-good", role: "status" }, words));
    } catch (error) {
      this.#logSaid(error);
    }
    return undefined;
  }

  #logSaid(error) {
    if (error.name !== "AbortError") fill(this.logSaid, errorNotice(error));
  }

  // ------------------------------------------------------------ deleting

  #danger() {
    const said = h("div", {});
    const node = button("Delete these texts…", async () => {
      const { name, versions } = this.desk.texts;
      const sure = await confirmDialog({
        title: "Delete these texts?",
        text: `“${name}” goes with ${versions.length > 1 ? `all its ${versions.length} versions` : "its only version"} and all that was decided. This cannot be undone.`,
        yes: "Delete the texts",
        no: "Keep them",
      });
      if (!sure) return;
      try {
        await api.delete(this.desk.path());
        this.dispatchEvent(new CustomEvent("ps-texts-gone", { detail: { name } }));
      } catch (error) {
        fill(said, errorNotice(error));
      }
    });
    return h("div", { class: "ps-stack-s" }, h("div", { class: "ps-actions" }, node), said);
  }
}

function leftOutWords(out) {
  if (!out) return "";
  const parts = Object.entries(out).filter(([, n]) => n > 0).map(([state, n]) => `${n} ${STATES[state]?.[0].toLowerCase() ?? state}`);
  return parts.length ? ` Left out: ${parts.join(", ")}.` : "";
}

define("ps-description-versions", DescriptionVersions);
