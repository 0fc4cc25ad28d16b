/** What a model says beside its probabilities: its set, why it should be silent, and the training images nearest by. */

import { h } from "./core.js";
import { thumbnailUrl } from "./thumbnails.js";

/** The set in words; empty for answers without one and without a reason. */
export function setWords(image) {
  if (image.set) return image.set.length ? image.set.join(", ") : "no class";
  return image.set_reason ?? "";
}

/** How strange an image is, as a sentence; empty where nothing is known. */
export function outsideWords({ outside }) {
  if (!outside) return "";
  if (outside.p === null || outside.p === undefined)
    return `Distance to the training images ${outside.score.toFixed(3)}; no images were kept aside to compare it with.`;
  return `Distance to the training images ${outside.score.toFixed(3)} (p = ${outside.p.toFixed(2)}; small: stranger than images kept aside). In trials with the embedded encoder it found pictures of another kind, hardly a new class of the same kind, damaged ones only in part; other scanners were not tried.`;
}

/** The reason to be silent as a notice, or nothing. */
export function silence(image) {
  if (!image.abstain) return "";
  return h("p", { class: "ps-notice ps-notice-warn" }, h("span", {}, h("strong", {}, "Better no answer: "), `${image.abstain}.`));
}

/** Set, distance and the nearest training images, each a link to the image large. */
export function judgedAnswer(image) {
  // a missing set is the reason to be silent, and was said there
  const words = image.set ? setWords(image) : "";
  const near = image.outside?.nearest ?? [];
  return h(
    "div",
    { class: "ps-stack-s" },
    words && h("p", {}, h("strong", {}, "Set at 90 %: "), words),
    !image.abstain && image.set_reason && h("p", { class: "ps-hint" }, `${image.set_reason[0].toUpperCase()}${image.set_reason.slice(1)}.`),
    near.length > 0 && h("h4", {}, "Nearest training images"),
    near.length > 0 && h("ul", { class: "ps-wall ps-near" }, near.map((one) => h("li", {}, nearImage(one)))),
    image.outside && h("p", { class: "ps-hint" }, outsideWords(image)),
  );
}

function nearImage(one) {
  const label = `Training image of ${one.class}`;
  const picture = one.image_id
    ? h(
        "a",
        { href: thumbnailUrl(one.image_id, 1024), target: "_blank", "aria-label": `${label}, large: ${one.file}` },
        h("img", { src: thumbnailUrl(one.image_id, 160), alt: label, loading: "lazy", width: 96, height: 96 }),
      )
    : h("p", { class: "ps-soft" }, "The image was deleted.");
  return h(
    "div",
    { class: "ps-stack-s ps-answer" },
    picture,
    h("span", { class: "ps-break" }, one.class),
    h("span", { class: "ps-hint" }, `distance ${one.distance.toFixed(3)}`),
  );
}
