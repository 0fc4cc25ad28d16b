// Who reads and how: the reader's name, progress, blind reading, keys on or off, planted wrong sentences.
import { announce, api, button, count, duration, errorNotice, field, fill, h, newKey } from "./core.js";
import { keyHelp } from "./description-keys.js";

const USUAL_PLANTED = 10;
const MOST_PLANTED = 200;

export class ReadingOptions {
  // again: asks for the sentences again, as after a change of how they are shown.
  constructor(desk, signal, again) {
    this.desk = desk;
    this.again = again;
    this.who = h("div", {});
    this.progress = h("div", { class: "ps-review-progress" });
    this.options = h("details", { class: "ps-inline-fold" }, h("summary", {}, "Reading options"), this.#options());
    const draw = () => this.#draw();
    desk.addEventListener("summary", draw, { signal });
    desk.addEventListener("reader", draw, { signal });
    this.#draw();
  }

  #draw() {
    const { reader, summary } = this.desk;
    if (!reader && !this.who.querySelector("form")) this.#drawNameForm("");
    if (reader) fill(this.who);
    const row = summary?.readers.find((each) => each.reader === reader);
    const decided = row?.decided ?? 0;
    const total = summary?.total ?? 0;
    const each = row?.median_seconds ? `, median ${duration(row.median_seconds)}` : "";
    fill(this.progress, reader && total > 0 && [
      h("progress", { value: decided, max: total, "aria-label": `${decided} of ${total} decided` }),
      h("p", { class: "ps-hint ps-break" }, `${reader}: ${decided} of ${total} decided${each}`),
    ]);
  }

  #drawNameForm(name) {
    const input = h("input", { type: "text", maxlength: "200", autocomplete: "name", value: name });
    const form = h("form", { class: "ps-card ps-reader-form" },
      h("h3", {}, "Who is reading?"),
      field("Your name", input, "Stands beside each of your decisions. It is asked once on this browser."),
      h("div", { class: "ps-actions" }, h("button", { type: "submit", class: "ps-button ps-button-main" }, "Begin")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!input.value.trim()) return input.focus();
      fill(this.who);
      this.desk.reader = input.value;
      document.querySelector(".ps-review-card h3")?.focus({ preventScroll: true });
      announce(`Reading as ${this.desk.reader}`);
      return undefined;
    });
    fill(this.who, form);
    return input;
  }

  askName() {
    const input = this.who.querySelector("input") ?? this.#drawNameForm(this.desk.reader);
    input.focus();
    input.select();
    announce("Say who you are first.");
  }

  #options() {
    const { desk } = this;
    const check = (text, isOn, change) => {
      const box = h("input", { type: "checkbox", checked: isOn, onchange: () => change(box.checked) });
      return h("label", { class: "ps-check" }, box, text);
    };
    return h("div", { class: "ps-card ps-stack-s" },
      check("Blind: checks, evidence and other readers stay hidden until I decided", desk.isBlind, (on) => {
        desk.isBlind = on;
        this.again();
      }),
      check("Keys on (A, R, E, F, U, N, P)", desk.hasKeys, (on) => {
        desk.hasKeys = on;
        desk.dispatchEvent(new Event("summary"));
      }),
      this.#encoder(),
      h("div", { class: "ps-actions" }, button("Show the keys", keyHelp, "small"), button("Read under another name", () => this.askName(), "small")),
      this.#planting());
  }

  // Asked only where there is a choice.
  #encoder() {
    const { desk } = this;
    if (desk.encoders.length < 2) return null;
    const select = h("select", {}, desk.encoders.map((name) => h("option", { value: name, selected: name === desk.encoder }, name)));
    select.addEventListener("change", () => {
      desk.encoder = select.value;
      this.again();
    });
    return field("Encoder", select, "Whose limit of tokens counts, and on which the effect of an edit is tried.");
  }

  // Wrong sentences among the others show whether readers notice.
  #planting() {
    const number = h("input", { type: "number", min: "1", max: String(MOST_PLANTED), value: String(USUAL_PLANTED), class: "ps-short-input" });
    const said = h("div", { role: "status" });
    const act = async (work) => {
      if (!this.desk.reader) return this.askName();
      try {
        fill(said, h("p", { class: "ps-soft" }, await work()));
        await this.desk.refresh();
        this.again();
      } catch (error) {
        fill(said, errorNotice(error));
      }
      return undefined;
    };
    const plant = () => act(async () => {
      const answer = await api.post(this.desk.path("/plant"), { actor: this.desk.reader, n: Number(number.value), seed: Date.now() % 2 ** 31 }, { key: newKey() });
      return `${count(answer.action?.changed ?? answer.planted ?? 0, "wrong sentence")} now ${answer.action?.changed === 1 ? "stands" : "stand"} among the others.`;
    });
    const takeOut = () => act(async () => {
      await api.delete(`${this.desk.path("/plant")}?${new URLSearchParams({ actor: this.desk.reader })}`, { key: newKey() });
      return "No planted sentence is left.";
    });
    return h("div", { class: "ps-stack-s" },
      field("Plant wrong sentences", number, "Sentences of other classes or about treatment, not told apart in any list. The Agreement view then says how many each reader caught. They never enter a version."),
      h("div", { class: "ps-actions" }, button("Plant them", plant, "small"), button("Take planted ones out", takeOut, "small")),
      said);
  }
}
