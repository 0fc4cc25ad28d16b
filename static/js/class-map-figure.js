/** The class map as a figure: sentences as small open marks, means of images and of sentences as large ones. */

import { plain, shorten } from "./charts.js";
import { axis, kindOf, layoutOf, straight } from "./figures.js";

const LABEL_LETTERS = 24;

/**
 * classes: [{name, kind, images: {x, y}, texts: {x, y}, sentences: [{x, y, words}]}]. A class has one shape and colour;
 * the mean of its images (if it has any) is filled and named, a line leads to the mean of its sentences.
 */
export function classMapFigure({ classes, x, y, height = 440 }) {
  const points = classes.flatMap((one) => [one.images, one.texts, ...one.sentences]).filter(Boolean);
  const range = (name) => {
    const values = points.map((point) => point[name]).filter(Number.isFinite);
    const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
    const pad = 0.12 * (high - low || 1);
    return [low - pad, high + pad];
  };
  return (theme, width) => ({
    data: classes.flatMap((one) => marksOf(theme, one, width)),
    layout: layoutOf(theme, {
      height,
      margin: { l: 16, r: 16, t: 8, b: 40 },
      xaxis: axis(theme, { title: x, range: range("x"), ticks: [[0, ""]] }),
      yaxis: axis(theme, { title: y, range: range("y"), ticks: [[0, ""]] }),
      shapes: classes.filter((one) => one.images && one.texts).map((one) => straight(theme, { x0: one.images.x, y0: one.images.y, x1: one.texts.x, y1: one.texts.y }, "dot")),
    }),
  });
}

function marksOf(theme, one, width) {
  const { colour, symbol } = kindOf(theme, one.kind);
  const mark = (more) => ({ type: "scatter", hoverinfo: "text", cliponaxis: false, showlegend: false, ...more });
  const placed = (point, more) => point && mark({ x: [point.x], y: [point.y], ...more });
  return [
    mark({
      mode: "markers",
      x: one.sentences.map((point) => point.x),
      y: one.sentences.map((point) => point.y),
      marker: { color: colour, symbol: `${symbol}-open`, size: 7, opacity: 0.8, line: { width: 1.25 } },
      hovertext: one.sentences.map((point) => plain(`${one.name}: ${shorten(point.words, 80)}`)),
    }),
    placed(one.texts, {
      mode: "markers",
      marker: { color: colour, symbol: `${symbol}-open`, size: 15, line: { width: 2.5 } },
      hovertext: [plain(`${one.name}: mean of its sentences`)],
    }),
    placed(one.images, {
      mode: "markers+text",
      text: [plain(shorten(one.name, width < 560 ? 14 : LABEL_LETTERS))],
      textposition: one.images?.y < 0 ? "bottom center" : "top center",
      textfont: { size: 13, color: theme.ink },
      marker: { color: colour, symbol, size: 16, line: { color: theme.surface, width: 1.5 } },
      hovertext: [plain(`${one.name}: mean of its images`)],
    }),
  ].filter(Boolean);
}
