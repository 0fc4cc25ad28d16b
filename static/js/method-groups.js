/** Methods in groups by what they learn, and what one costs in words: the same on every page that offers them. */

const GROUPS = [
  ["Simple baselines: at most a head on frozen features", (method) => method.is_simple || method.is_baseline],
  ["Words around the class names", (method) => method.learns_words && method.image_path !== "trained"],
  ["Words, and inside the image tower", (method) => method.learns_words],
  ["Inside the image tower, or a network of its own", (method) => method.image_path === "trained"],
  ["A small network or a memory on image features", () => true],
];

/** [[words, methods], ...]: each method in the first group it belongs to; groups without one are left out. */
export function inGroups(methods) {
  const left = new Set(methods);
  const parts = GROUPS.map(([words, belongs]) => {
    const own = [...left].filter(belongs);
    own.forEach((method) => left.delete(method));
    return [words, own];
  });
  return parts.filter(([, own]) => own.length);
}

/** How long a training takes, in words: what is read anew at each step decides it. */
export function costWords(method) {
  if (method.image_path === "trained") return "Slow: images are read at every step.";
  if (method.is_simple || method.is_baseline) return "Fast: images are read once, the rest is done at once.";
  if (method.per_image_text) return "Medium: images are read once, texts anew for every image.";
  return method.learns_words
    ? "Medium: images are read once, texts at every step."
    : "Fast: images and texts are read once.";
}

/** Whether a method is meant by what somebody typed: every word of it stands somewhere on its card. */
export function isMeant(method, typed) {
  const card = `${method.name} ${method.title} ${method.summary} ${method.trains} ${method.paper}`.toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => card.includes(word));
}
