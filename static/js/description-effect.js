// What an edit does to zero-shot on the training images, said beside the next sentence.
import { api, count, h, percent, table } from "./core.js";

const accuracy = (value) => (Number.isFinite(value) ? percent(value) : "not known");
const likelihood = (value) => (Number.isFinite(value) ? value.toFixed(3).replace("-", "−") : "not known");

export class EditEffect {
  #readyOn = null;

  constructor(desk, signal) {
    this.desk = desk;
    this.signal = signal;
  }

  // The images are encoded while the first edit is still typed; from then on only the changed sentence is.
  prepare() {
    if (this.#readyOn === this.desk.encoder) return;
    this.#readyOn = this.desk.encoder;
    this.#ask([]).catch(() => {
      this.#readyOn = null;
    });
  }

  // The strip that tells what an edit did, or null where the images cannot tell.
  async of({ row, body, last }) {
    const effect = await this.#ask([{ id: row.id, text: body.text, before: last.text }]).catch(() => null);
    return effect && strip(effect);
  }

  #ask(changes) {
    return api.post(this.desk.path("/effect"), { image_set: this.desk.imageSet.id, backbone: this.desk.encoder, changes }, { signal: this.signal });
  }
}

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
