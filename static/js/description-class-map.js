// The class map: where sentences lie among the images of each class, with the numbers behind it.
import { busy, button, count, errorNotice, fill, h, percent } from "./core.js";
import { classMapFigure } from "./class-map-figure.js";
import { fileName } from "./plot.js";

const cosine = (value) => (Number.isFinite(value) ? value.toFixed(3).replace("-", "−") : "–");

export function classMapContent(found, name) {
  const of = (kind) => found.points.filter((point) => point.kind === kind);
  const sentences = of("sentence");
  const astray = sentences.filter((point) => point.closest_class !== point.class);
  const names = [...new Set(found.points.map((point) => point.class))];
  const [along, up] = found.explained;
  const mean = (kind, label) => of(kind).find((point) => point.class === label);
  return {
    title: "Class map",
    sentence: `${astray.length ? `${count(astray.length, "sentence")} of ${sentences.length} ${astray.length === 1 ? "is" : "are"} closer to the images of another class` : `All ${sentences.length} sentences are closest to the images of their own class`}. `
      + `Filled marks: means of images; large open marks: means of sentences; small ones: single sentences. The plane holds ${percent(along + up, 0)} of what sentences differ by; images are centred by themselves, so places tell directions and not distances between images and sentences.`,
    figure: classMapFigure({
      classes: names.map((label, at) => ({
        name: label,
        kind: at + 1,
        images: mean("images", label),
        texts: mean("prototype", label),
        sentences: sentences.filter((point) => point.class === label).map(({ x, y, text }) => ({ x, y, words: text })),
      })),
      x: `first direction (${percent(along, 0)})`,
      y: `second direction (${percent(up, 0)})`,
    }),
    columns: ["Sentence", "Class", "Closest images", "Cosine to these"],
    rows: [...astray, ...sentences.filter((point) => !astray.includes(point))].map((point) => [point.text, point.class, point.closest_class, cosine(point.cosine)]),
    csvColumns: ["kind", "class", "text", "x", "y", "closest_class", "cosine"],
    csvRows: found.points.map((point) => [point.kind, point.class, point.text ?? "", point.x, point.y, point.closest_class ?? "", point.cosine ?? ""]),
    file: fileName(name, "class-map"),
  };
}

export class ClassMapPanel {
  constructor(desk) {
    this.desk = desk;
    this.content = h("div", { class: "ps-stack-s" });
    this.node = h("section", { class: "ps-card ps-stack-s", "aria-labelledby": "ps-map-title" },
      h("h3", { id: "ps-map-title" }, "Where the sentences lie"), this.content);
  }

  async load() {
    fill(this.content, busy("Placing sentences and images…"));
    try {
      const found = await this.desk.get("/class-map");
      const plot = h("ps-plot");
      plot.content = classMapContent(found, this.desk.texts.name);
      fill(this.content, plot,
        h("div", { class: "ps-row" }, h("p", { class: "ps-hint" }, `${found.n_images} training images, ${found.shots} of each class, on ${found.backbone}. As the sentences stand now.`),
          button("Draw anew", () => this.load(), "small")));
    } catch (error) {
      if (error.name !== "AbortError") fill(this.content, errorNotice(error, () => this.load()));
    }
  }
}
