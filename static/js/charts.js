/**
 * Plots drawn by hand as SVG: axes, lines, intervals, stacked bars.
 *
 * Every function takes the width there is (px) and returns an <svg>; colours come from the style sheet by class, so
 * that light and dark need nothing here. Texts are set as text, never as markup: class and file names are untrusted.
 */

import { percent, svg } from "./core.js";

const LABEL_PX = 15;

/** About `count` round numbers that cover low to high. */
export function niceTicks(low, high, count = 4) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) {
    ticks.push(Number(tick.toPrecision(12)));
  }
  return ticks;
}

/** A straight line from [low, high] to [start, end]. */
export function scale(low, high, start, end) {
  const span = high - low || 1;
  return (value) => start + ((value - low) / span) * (end - start);
}

/** Three significant digits, without exponents where people can do without. */
export function shortNumber(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  if (size < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** An <svg> that screen readers announce by one sentence. */
function canvas(width, height, sentence) {
  const node = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": sentence,
    class: "ps-chart",
  });
  return node;
}

function extent(values, floor) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return [0, 1];
  const low = floor !== undefined ? Math.min(floor, ...known) : Math.min(...known);
  const high = Math.max(...known);
  return high > low ? [low, high] : [low - (floor === undefined ? 0.5 : 0), high + 0.5];
}

/**
 * Lines over epochs.
 *
 * series: [{name, points: [[x, y]], kind}] with kind 1 to 4 choosing colour, dash and marker. y: {low, high, format}.
 * A line carries markers and its name at the end, so that it can be read without colours.
 */
export function lineChart({ width, height = 190, series, xLabel, xHigh, y = {}, sentence }) {
  const format = y.format || shortNumber;
  const all = series.flatMap((line) => line.points);
  const [low, high] = [y.low, y.high].every((end) => end !== undefined)
    ? [y.low, y.high]
    : extent(
        all.map((point) => point[1]),
        y.low,
      );
  const ticks = niceTicks(low, high, 4);
  const left = 14 + 7 * Math.max(...ticks.map((tick) => format(tick).length));
  const right = width - Math.min(130, 18 + 7 * Math.max(0, ...series.map((line) => line.name.length)));
  const top = 12;
  const bottom = height - 38;
  const first = Math.min(1, ...all.map((point) => point[0]));
  const toX = scale(first, Math.max(xHigh || 0, first + 1, ...all.map((point) => point[0])), left, right);
  const toY = scale(low, high, bottom, top);
  const picture = canvas(width, height, sentence);
  for (const tick of ticks) {
    picture.append(
      svg("line", { x1: left, x2: right, y1: toY(tick), y2: toY(tick), class: "grid" }),
      svg("text", { x: left - 8, y: toY(tick) + 4, class: "tick end" }, format(tick)),
    );
  }
  const last = Math.max(xHigh || 0, first + 1, ...all.map((point) => point[0]));
  for (const tick of niceTicks(first, last, Math.max(2, Math.round((right - left) / 90)))) {
    if (Number.isInteger(tick))
      picture.append(svg("text", { x: toX(tick), y: bottom + 17, class: "tick middle" }, tick));
  }
  picture.append(svg("text", { x: (left + right) / 2, y: height - 5, class: "tick middle" }, xLabel));
  const drawn = series.map((line) => ({ ...line, points: line.points.filter((point) => Number.isFinite(point[1])) }));
  const shown = drawn.filter((line) => line.points.length);
  const places = spread(
    shown.map((line) => toY(line.points.at(-1)[1])),
    LABEL_PX,
  );
  shown.forEach((line, index) => picture.append(...drawLine(line, toX, toY, places[index])));
  return picture;
}

/** Places moved apart until neighbours are `gap` away from each other, in the same order. */
export function spread(places, gap) {
  const order = places.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place);
  for (let at = 1; at < order.length; at += 1) order[at].place = Math.max(order[at].place, order[at - 1].place + gap);
  const moved = [...places];
  for (const { place, index } of order) moved[index] = place;
  return moved;
}

function drawLine({ name, points: known, kind = 1 }, toX, toY, labelY) {
  const path = known.map(([x, y], index) => `${index ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join("");
  const every = Math.max(1, Math.ceil(known.length / 12));
  const marks = known.filter((_, index) => index % every === 0 || index === known.length - 1);
  const endX = known.at(-1)[0];
  return [
    svg("path", { d: path, class: `line series-${kind}` }),
    ...marks.map(([x, y]) => marker(toX(x), toY(y), kind)),
    svg("text", { x: toX(endX) + 9, y: labelY + 4, class: "label" }, name),
  ];
}

/** Marker shapes differ as well as colours: circle, square, triangle, diamond. */
function marker(x, y, kind, size = 3.5) {
  const name = `mark series-${kind}`;
  if (kind === 2) return svg("rect", { x: x - size, y: y - size, width: 2 * size, height: 2 * size, class: name });
  if (kind === 3)
    return svg("path", { d: `M${x} ${y - size - 1}l${size + 1} ${2 * size}h${-2 * size - 2}z`, class: name });
  if (kind === 4)
    return svg("path", {
      d: `M${x} ${y - size - 1}l${size + 1} ${size + 1}l${-size - 1} ${size + 1}l${-size - 1} ${-size - 1}z`,
      class: name,
    });
  return svg("circle", { cx: x, cy: y, r: size, class: name });
}

/**
 * Means with intervals, one row each (a forest plot), and single runs as small dots.
 *
 * rows: [{label, note, mean, low, high, points: [number], reference: bool}]; low and high may be missing (one seed).
 * A row with `reference`, or the value `line`, draws a dashed line through all rows. Below 560 px names stand above their rows.
 */
export function forestPlot({ width, rows, low = 0, high = 1, format, sentence, axis, line }) {
  const narrow = width < 560;
  const longest = Math.max(...rows.map((row) => row.label.length));
  const left = narrow ? 14 : Math.min(270, 24 + 7.4 * longest);
  const right = width - (narrow ? 14 : 150);
  const step = narrow ? 52 : 38;
  const top = narrow ? 26 : 14;
  const bottom = top + rows.length * step;
  const toX = scale(low, high, left, right);
  const picture = canvas(width, bottom + 40, sentence);
  for (const tick of niceTicks(low, high, narrow ? 4 : 6)) {
    picture.append(
      svg("line", { x1: toX(tick), x2: toX(tick), y1: 6, y2: bottom, class: "grid" }),
      svg("text", { x: toX(tick), y: bottom + 17, class: "tick middle" }, format(tick)),
    );
  }
  const reference = line ?? rows.find((row) => row.reference)?.mean;
  if (reference !== undefined) {
    const x = toX(reference);
    picture.append(svg("line", { x1: x, x2: x, y1: 6, y2: bottom, class: "reference" }));
  }
  rows.forEach((row, index) => {
    const y = top + index * step + (narrow ? 22 : step / 2);
    picture.append(...drawRow(row, { y, toX, left, right, narrow }));
  });
  picture.append(svg("text", { x: (left + right) / 2, y: bottom + 35, class: "tick middle" }, axis));
  return picture;
}

function drawRow(row, { y, toX, left, right, narrow }) {
  const kind = row.reference ? 2 : 1;
  const parts = (row.points || []).map((value) => svg("circle", { cx: toX(value), cy: y, r: 3, class: "dot" }));
  if (Number.isFinite(row.low) && Number.isFinite(row.high)) {
    // An interval of few seeds may pass what is possible: it is drawn up to the end of the axis, and left open there.
    const ends = [toX(row.low), toX(row.high)];
    const [x1, x2] = ends.map((x) => Math.min(right, Math.max(left, x)));
    parts.push(
      svg("line", { x1, x2, y1: y, y2: y, class: `interval series-${kind}` }),
      ...ends
        .filter((x) => x >= left && x <= right)
        .map((x) => svg("line", { x1: x, x2: x, y1: y - 5, y2: y + 5, class: `interval series-${kind}` })),
    );
  }
  parts.push(marker(toX(row.mean), y, kind, 5));
  if (narrow) {
    parts.push(svg("text", { x: left, y: y - 15, class: "label" }, `${row.label}: ${row.note}`));
  } else {
    parts.push(
      svg("text", { x: left - 14, y: y + 4, class: "label end" }, shorten(row.label, 34)),
      svg("text", { x: right + 14, y: y + 4, class: "tick" }, row.note),
    );
  }
  return parts;
}

/**
 * Stacked bars, one a row, each adding up to its whole.
 *
 * rows: [{label, parts: [share 0 to 1]}]. Below 480 px long labels stand above their bars.
 */
export function stackedBars({ width, rows, sentence }) {
  const longest = Math.max(...rows.map((row) => row.label.length));
  const above = width < 480 && longest > 12;
  const left = above ? 2 : Math.min(width / 2, 14 + 7 * longest);
  const step = above ? 44 : 26;
  const toX = scale(0, 1, left, width - 14);
  const height = rows.length * step + 32;
  const picture = canvas(width, height, sentence);
  rows.forEach((row, index) => {
    const y = index * step + (above ? 20 : 3);
    const place = above ? { x: left, y: y - 6, class: "tick" } : { x: left - 8, y: y + 14, class: "tick end" };
    picture.append(svg("text", place, shorten(row.label, 44)), ...barParts(row.parts, toX, y));
  });
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(
      svg("text", { x: toX(tick) - 8 * (tick === 1), y: height - 8, class: "tick middle" }, percent(tick, 0)),
    );
  }
  return picture;
}

function barParts(parts, toX, y) {
  let start = 0;
  return parts.flatMap((share, index) => {
    const from = toX(start);
    const long = Math.max(0, toX(start + share) - from);
    start += share;
    const bar = svg("rect", { x: from, y, width: long, height: 20, class: `part part-${index + 1}` });
    if (long < 44) return [bar];
    return [
      bar,
      svg("text", { x: from + long / 2, y: y + 14, class: `inside inside-${index + 1}` }, percent(share, 0)),
    ];
  });
}

/** A text cut to `length` characters with an ellipsis. */
export function shorten(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
