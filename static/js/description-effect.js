// What an edit does to zero-shot on the training images, said beside the next sentence.
import { api, busy, count, h, percent, table } from "./core.js";

const accuracy = (value) => (Number.isFinite(value) ? percent(value) : "not known");
const likelihood = (value) => (Number.isFinite(value) ? value.toFixed(3).replace("-", "−") : "not known");

export class EditEffect {
  #asked = null;
  #ready = null;
  #newest = null;

  constructor(desk, signal) {
    this.desk = desk;
    this.signal = signal;
  }

  // The images are encoded while the first sentence is read; from then on only a changed sentence is.
  async prepare() {
    const { encoder } = this.desk;
    if (this.#asked === encoder) return;
    this.#asked = encoder;
    try {
      await this.#ask([]);
      this.#ready = encoder;
    } catch {
      if (this.#asked === encoder) this.#asked = null;
    }
  }

  get isReady() {
    return this.#ready === this.desk.encoder;
  }

  // The strip that tells what an edit did; null where the images cannot tell or a later edit was asked about meanwhile.
  async of(entry) {
    const { row, body, last } = entry;
    this.#newest = entry;
    const effect = await this.#ask([{ id: row.id, text: body.text, before: last.text }]).catch(() => null);
    if (effect) this.#ready = effect.backbone;
    return effect && this.#newest === entry ? strip(effect) : null;
  }

  #ask(changes) {
    return api.post(this.desk.path("/effect"), { image_set: this.desk.imageSet.id, backbone: this.desk.encoder, changes }, { signal: this.signal });
  }
}

// What stands there until the images are encoded.
export const effectSoon = () =>
  h("div", { class: "ps-strip-after" }, busy("Edited. Preparing the training images, to tell what it does to zero-shot…"));

function strip(effect) {
  const { n_images: n, n_changed: changed, backbone } = effect;
  return h("div", { class: "ps-strip-after", role: "status" },
    h("p", {}, h("strong", {}, `Accuracy on the training images ${accuracy(effect.accuracy_before)} → ${accuracy(effect.accuracy_after)}`),
      ` (zero-shot, ${backbone}, ${count(n, "image")}; ${changed} named otherwise).`),
    h("details", { class: "ps-inline-fold" }, h("summary", {}, "Class by class"),
      table("Before and after the edit. Too few images to say that a sentence helps", [
        { title: "Class", cell: (row) => row.class },
        { title: "Images", cell: (row) => String(row.n_images), number: true },
        { title: "Accuracy", cell: (row) => `${accuracy(row.accuracy_before)} → ${accuracy(row.accuracy_after)}`, number: true },
        { title: "Log-likelihood", cell: (row) => `${likelihood(row.log_likelihood_before)} → ${likelihood(row.log_likelihood_after)}`, number: true },
      ], effect.per_class)));
}
