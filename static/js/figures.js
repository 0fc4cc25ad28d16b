/**
 * What our charts show, as figures for the chart library: lines, rows with intervals, stacked bars, points.
 *
 * Lines and marks differ in dash and shape as well as in colour, and carry their names, so that a chart can be read without
 * colours.
 */

import { percent } from "./core.js";
import { plain, shorten, shortNumber } from "./charts.js";

const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "cross", "x", "star", "pentagon"];
const DASHES = ["solid", "dash", "dot", "dashdot"];
const NARROW_PX = 560;
const LABEL_PX = 16;
const LETTER_PX = 7.3;

/** About `count` round numbers that cover low to high. */
export function niceTicks(low, high, count = 4) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)));
}

/** Places moved apart until neighbours are `gap` away from each other, in the same order. */
export function spread(places, gap) {
  const order = places.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place);
  for (let at = 1; at < order.length; at += 1) order[at].place = Math.max(order[at].place, order[at - 1].place + gap);
  const moved = [...places];
  for (const { place, index } of order) moved[index] = place;
  return moved;
}

function extent(values, low, high) {
  const known = values.filter(Number.isFinite);
  const ends = [low ?? Math.min(...known), high ?? Math.max(...known)];
  if (!known.length && (low === undefined || high === undefined)) return [0, 1];
  if (ends[1] > ends[0]) return ends;
  return low === undefined ? [ends[0] - 0.5, ends[1] + 0.5] : [ends[0], ends[1] + 0.5];
}

// ---------------------------------------------------------------- pieces of figures

export const kindOf = (theme, kind) => ({
  colour: theme.series[(kind - 1) % theme.series.length],
  dash: DASHES[(Math.floor((kind - 1) / 3) + ((kind - 1) % 3 === 1 ? 1 : 0)) % DASHES.length],
  symbol: SYMBOLS[(kind - 1) % SYMBOLS.length],
});

export function layoutOf(theme, more) {
  return {
    font: { family: theme.face, size: 13, color: theme.ink },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    showlegend: false,
    hovermode: "closest",
    dragmode: false,
    hoverlabel: {
      bgcolor: theme.surface,
      bordercolor: theme.edge,
      font: { color: theme.ink, family: theme.face },
      align: "left",
    },
    ...more,
  };
}

/** An axis that does not move. ticks: [[place, words]]. A log axis takes its range in powers of ten. */
export function axis(theme, { title, range, ticks, grid = true, ...more }) {
  return {
    automargin: true,
    fixedrange: true,
    zeroline: false,
    showgrid: grid,
    gridcolor: theme.line,
    linecolor: theme.edge,
    tickfont: { color: theme.soft, size: 12.5 },
    ticks: "outside",
    ticklen: 6,
    tickcolor: "rgba(0,0,0,0)",
    title: title ? { text: plain(title), font: { color: theme.soft, size: 12.5 }, standoff: 8 } : undefined,
    range,
    tickmode: ticks ? "array" : "auto",
    tickvals: ticks?.map(([place]) => place),
    ticktext: ticks?.map(([, words]) => plain(words)),
    ...more,
  };
}

export const numberTicks = (low, high, count, format) => niceTicks(low, high, count).map((tick) => [tick, format(tick)]);

/** The two ends of intervals as the library wants them; missing ones have no length. */
function errors(theme, rows, colour, thickness = 2) {
  const known = (row) => Number.isFinite(row.low) && Number.isFinite(row.high);
  return {
    type: "data",
    symmetric: false,
    array: rows.map((row) => (known(row) ? row.high - row.mean : 0)),
    arrayminus: rows.map((row) => (known(row) ? row.mean - row.low : 0)),
    visible: rows.some(known),
    color: colour,
    thickness,
    width: 5,
  };
}

export const straight = (theme, ends, dash = "dash") => ({
  type: "line",
  line: { color: theme.edge, width: 1.5, dash },
  layer: "below",
  ...ends,
});

// ---------------------------------------------------------------- figures

/**
 * Lines over numbers: epochs, shots, probabilities.
 *
 * series: [{name, points: [[x, y]], low, high (of each point), dots: [[x, y]], kind}]; kind (from 1) chooses colour, dash
 * and marker together, so that lines can be told apart without colours. y: {low, high, format, title}. x: {title, low, high,
 * ticks: [[x, words]]}. lines: [{value, name}] across. diagonal: from 0, 0 to 1, 1.
 */
export function curves({ series, x = {}, y = {}, lines = [], diagonal = false, band = null, height = 240 }) {
  const shown = series
    .map((line, at) => ({
      ...line,
      kind: line.kind ?? at + 1,
      points: line.points.filter(([, value]) => Number.isFinite(value)),
    }))
    .filter((line) => line.points.length);
  const format = y.format ?? shortNumber;
  const all = shown.flatMap((line) => line.points);
  const ends = shown.flatMap((line) => [...(line.low ?? []), ...(line.high ?? [])]).filter(Number.isFinite);
  const [low, high] = extent(
    [...all.map(([, value]) => value), ...ends, ...lines.map((line) => line.value)],
    y.low,
    y.high,
  );
  const [first, last] = extent(
    all.map(([place]) => place),
    x.low,
    x.high,
  );
  return (theme, width) => {
    const labelled = width >= 420 && shown.length <= 8;
    const longest = Math.max(...shown.map((line) => line.name.length), ...lines.map((line) => line.name.length), 0);
    const right = labelled ? Math.min(0.34 * width, 22 + LETTER_PX * longest) : 14;
    const inner = height - 62;
    const toPx = (value) => ((high - value) / (high - low)) * inner;
    const labels = [...shown.map((line) => ({ name: line.name, value: line.points.at(-1)[1], bold: true })), ...lines];
    const places = spread(
      labels.map((label) => toPx(label.value)),
      LABEL_PX,
    );
    const pad = 0.03 * (last - first);
    return {
      data: [...(band ? filled(theme, band) : []), ...shown.flatMap((line) => curve(theme, line, x, format))],
      layout: layoutOf(theme, {
        height: height + (labelled ? 0 : 22 * Math.ceil(shown.length / 2)),
        margin: { l: 44, r: right, t: 12, b: 46 + (labelled ? 0 : 22 * Math.ceil(shown.length / 2)) },
        showlegend: !labelled,
        legend: { orientation: "h", y: -0.3, yanchor: "top", x: 0, font: { size: 12.5 } },
        xaxis: axis(theme, {
          title: x.title,
          range: [first - pad, last + pad],
          grid: Boolean(x.ticks),
          ticks:
            x.ticks ??
            placeTicks(
              all.map(([place]) => place),
              first,
              last,
              width,
            ),
        }),
        yaxis: axis(theme, {
          title: y.title,
          range: [low, high + 0.02 * (high - low)],
          ticks: numberTicks(low, high, 4, format),
        }),
        shapes: [
          ...lines.map((line, at) =>
            straight(theme, { x0: 0, x1: 1, xref: "paper", y0: line.value, y1: line.value }, DASHES[(at + 1) % 4]),
          ),
          ...(diagonal ? [straight(theme, { x0: 0, y0: 0, x1: 1, y1: 1 }, "dot")] : []),
        ],
        annotations: labelled
          ? labels.map((label, at) => ({
              text: plain(shorten(label.name, Math.floor((right - 10) / LETTER_PX))),
              x: 1,
              xref: "paper",
              xanchor: "left",
              xshift: 6,
              y: label.value,
              yshift: toPx(label.value) - places[at],
              showarrow: false,
              font: { size: 12.5, color: label.bold ? theme.ink : theme.soft },
            }))
          : [],
      }),
    };
  };
}

/** Ticks of an axis of whole numbers, or of any. */
function placeTicks(places, first, last, width) {
  const ticks = niceTicks(first, last, Math.max(2, Math.round(width / 110)));
  const whole = places.every(Number.isInteger) ? ticks.filter(Number.isInteger) : ticks;
  return whole.map((tick) => [tick, shortNumber(tick)]);
}

/** A grey area between the lows and the highs of a band: {places, low, high}. */
function filled(theme, { places, low, high }) {
  const edge = { type: "scatter", mode: "lines", x: places, line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [
    { ...edge, y: low },
    { ...edge, y: high, fill: "tonexty", fillcolor: theme.line },
  ];
}

function curve(theme, line, x, format) {
  const { colour, dash, symbol } = kindOf(theme, line.kind);
  const rows = line.points.map(([, value], at) => ({ mean: value, low: line.low?.[at], high: line.high?.[at] }));
  const names = new Map(x.ticks ?? []);
  const every = Math.max(1, Math.ceil(line.points.length / 12));
  const main = {
    type: "scatter",
    mode: "lines+markers",
    name: plain(line.name),
    x: line.points.map(([place]) => place),
    y: rows.map((row) => row.mean),
    line: { color: colour, dash, width: 2 },
    marker: {
      color: colour,
      symbol,
      size: line.points.map((_, at) => (at % every && at < line.points.length - 1 ? 0 : 8)),
      line: { color: theme.surface, width: 1 },
      opacity: 1,
    },
    error_y: errors(theme, rows, colour, 1.5),
    hoverinfo: "text",
    hovertext: line.points.map(([place, value]) =>
      plain(`${line.name}, ${names.get(place) ?? shortNumber(place)}: ${format(value)}`),
    ),
  };
  if (!line.dots?.length) return [main];
  return [
    {
      type: "scatter",
      mode: "markers",
      showlegend: false,
      hoverinfo: "skip",
      x: line.dots.map(([place]) => place),
      y: line.dots.map(([, value]) => value),
      marker: { color: colour, symbol: "circle-open", size: 5, opacity: 0.75 },
    },
    main,
  ];
}

/**
 * Rows of numbers with their intervals (a forest plot), and single runs as small rings.
 *
 * rows: [{label, note, marks: [{mean, low, high, kind, name}], points: [number]}]; a row of one mark may hold mean, low,
 * high and kind itself. low, high: ends of the axis, at which longer intervals are cut. lines: [{value, name}] drawn through
 * all rows. Below 560 px names stand above their rows, and notes on a line of their own where both do not fit.
 */
export function forest({ rows, low = 0, high = 1, format = shortNumber, title = "", lines = [], reversed = false }) {
  const full = rows.map((row) => ({ ...row, marks: row.marks ?? [row] }));
  return (theme, width) => {
    const narrow = width < NARROW_PX;
    const room = Math.floor((width - 28) / 7);
    const twoLines = narrow && full.some((row) => row.note && `${row.label}: ${row.note}`.length > room);
    const step = narrow ? (twoLines ? 66 : 50) : Math.max(30, 24 * Math.max(1, ...full.map((row) => row.marks.length * 0.9)));
    const named = lines.filter((line) => line.name);
    const top = 8 + 17 * named.length;
    const height = top + rows.length * step + 52;
    const place = (at) => rows.length - 1 - at;
    const noteWidth = narrow ? 14 : 16 + 6.9 * Math.max(0, ...rows.map((row) => (row.note ?? "").length));
    const longest = Math.max(0, ...rows.map((row) => Math.min(38, row.label.length)));
    const words = (text, more) => ({
      text: [text].flat().map(plain).join("<br>"),
      showarrow: false,
      align: "left",
      bgcolor: theme.surface,
      borderpad: 1,
      font: { size: 12.5, color: theme.soft },
      ...more,
    });
    const above = (row) => {
      if (!row.note) return shorten(row.label, room);
      return twoLines ? [shorten(row.label, room), shorten(row.note, room)] : `${row.label}: ${row.note}`;
    };
    return {
      data: [...dots(theme, full, place), ...marks(theme, full, place, format)],
      layout: layoutOf(theme, {
        height,
        margin: { l: narrow ? 14 : 18 + 7.4 * longest, r: noteWidth, t: top, b: 46 },
        xaxis: axis(theme, {
          title,
          range: reversed ? [high, low] : [low, high],
          ticks: numberTicks(low, high, narrow ? 3 : 6, format),
        }),
        yaxis: axis(theme, {
          range: [-0.5, rows.length - 0.5],
          grid: false,
          automargin: false,
          showticklabels: !narrow,
          ticks: full.map((row, at) => [place(at), shorten(row.label, 38)]),
          tickfont: { color: theme.ink, size: 13 },
        }),
        shapes: lines.map((line, at) =>
          straight(theme, { x0: line.value, x1: line.value, y0: 0, y1: 1, yref: "paper" }, DASHES[(at + 1) % 4]),
        ),
        annotations: [
          ...full.map((row, at) =>
            narrow
              ? words(above(row), {
                  x: 0,
                  xref: "paper",
                  xanchor: "left",
                  y: place(at),
                  yshift: twoLines && row.note ? 26 : 17,
                  font: { size: 13, color: theme.ink },
                })
              : words(row.note ?? "", { x: 1, xref: "paper", xanchor: "left", xshift: 10, y: place(at) }),
          ),
          ...named.map((line, at) =>
            words(line.name, {
              x: line.value,
              y: 1,
              yref: "paper",
              yanchor: "bottom",
              yshift: 17 * at,
              xanchor: line.value > (low + high) / 2 ? "right" : "left",
            }),
          ),
        ],
      }),
    };
  };
}

function dots(theme, rows, place) {
  const found = rows.flatMap((row, at) =>
    (row.points ?? []).filter(Number.isFinite).map((value) => [value, place(at)]),
  );
  if (!found.length) return [];
  const marker = { color: theme.edge, symbol: "circle-open", size: 6, line: { width: 1.25 } };
  return [
    {
      type: "scatter",
      mode: "markers",
      x: found.map(([value]) => value),
      y: found.map(([, at]) => at - 0.17),
      marker,
      hoverinfo: "skip",
    },
  ];
}

function marks(theme, rows, place, format) {
  return rows.flatMap((row, at) =>
    row.marks.map((mark, index) => {
      const { colour, symbol } = kindOf(theme, mark.kind ?? (row.reference ? 2 : 1));
      const shift = row.marks.length > 1 ? 0.24 * (0.5 * (row.marks.length - 1) - index) : 0;
      const said = `${row.label}${mark.name ? `, ${mark.name}` : ""}: ${format(mark.mean)}`;
      return {
        type: "scatter",
        mode: "markers",
        x: [mark.mean],
        y: [place(at) + shift],
        marker: { color: colour, symbol, size: 11, line: { color: theme.surface, width: 1 } },
        error_x: errors(theme, [mark], colour, 2.5),
        hoverinfo: "text",
        hovertext: [plain(said)],
      };
    }),
  );
}

/** Bars of parts that add up to a whole. rows: [{label, parts: [share 0 to 1]}]; names: of the parts. */
export function stackedBars({ rows, names }) {
  return (theme, width) => {
    const step = 26;
    const ink = ["#fff", "#fff", "#000"];
    return {
      data: names.map((name, part) => ({
        type: "bar",
        orientation: "h",
        name: plain(name),
        x: rows.map((row) => row.parts[part]),
        y: rows.map((_, at) => rows.length - 1 - at),
        width: 0.78,
        marker: { color: theme.parts[part], line: { color: theme.surface, width: 1 } },
        text: rows.map((row) => (row.parts[part] * width > 60 ? percent(row.parts[part], 0) : "")),
        textposition: "inside",
        insidetextanchor: "middle",
        textangle: 0,
        insidetextfont: { color: ink[part], size: 12 },
        hoverinfo: "text",
        hovertext: rows.map((row) => plain(`${row.label}, ${name}: ${percent(row.parts[part])}`)),
      })),
      layout: layoutOf(theme, {
        barmode: "stack",
        height: rows.length * step + 40,
        margin: { l: 40, r: 22, t: 2, b: 28 },
        xaxis: axis(theme, {
          range: [0, 1],
          grid: false,
          ticks: [0, 0.25, 0.5, 0.75, 1].map((tick) => [tick, percent(tick, 0)]),
        }),
        yaxis: axis(theme, {
          range: [-0.6, rows.length - 0.4],
          grid: false,
          ticks: rows.map((row, at) => [rows.length - 1 - at, shorten(row.label, 28)]),
        }),
      }),
    };
  };
}

/**
 * Points of two numbers each, named. points: [{label, x, mean, low, high, kind}]. x: {title, log, format}; y: {title, low,
 * high, format}.
 */
export function scatter({ points, x = {}, y = {}, height = 320 }) {
  const known = points.filter(
    (point) => Number.isFinite(point.x) && Number.isFinite(point.mean) && (!x.log || point.x > 0),
  );
  const [low, high] = extent(
    known.flatMap((point) => [point.mean, point.low, point.high]),
    y.low,
    y.high,
  );
  const toScale = (value) => (x.log ? Math.log10(value) : value);
  const [first, last] = extent(
    known.map((point) => toScale(point.x)),
    x.low,
  );
  const pad = 0.08 * (last - first);
  const format = y.format ?? shortNumber;
  return (theme, width) => ({
    data: known.map((point, at) => {
      const { colour, symbol } = kindOf(theme, point.kind ?? at + 1);
      return {
        type: "scatter",
        mode: "markers+text",
        x: [point.x],
        y: [point.mean],
        text: [plain(shorten(point.label, width < NARROW_PX ? 16 : 30))],
        textposition: toScale(point.x) > (first + last) / 2 ? "middle left" : "middle right",
        textfont: { size: 12.5, color: theme.ink },
        marker: { color: colour, symbol, size: 11, line: { color: theme.surface, width: 1 } },
        error_y: errors(theme, [point], colour, 1.5),
        cliponaxis: false,
        hoverinfo: "text",
        hovertext: [plain(`${point.label}: ${(x.format ?? shortNumber)(point.x)}, ${format(point.mean)}`)],
      };
    }),
    layout: layoutOf(theme, {
      height,
      margin: { l: 50, r: 20, t: 12, b: 48 },
      xaxis: axis(theme, {
        title: x.title,
        type: x.log ? "log" : "linear",
        range: [first - pad, last + pad],
        ticks: xTicks(first, last, x),
      }),
      yaxis: axis(theme, { title: y.title, range: [low, high], ticks: numberTicks(low, high, 5, format) }),
    }),
  });
}

function xTicks(first, last, x) {
  const format = x.format ?? shortNumber;
  if (!x.log) return numberTicks(first, last, 5, format);
  const decades = Array.from(
    { length: Math.ceil(last) - Math.floor(first) + 1 },
    (_, at) => 10 ** (Math.floor(first) + at),
  );
  const steps = last - first > 3 ? [1] : [1, 2, 5];
  return decades.flatMap((decade) => steps.map((step) => step * decade)).map((tick) => [tick, format(tick)]);
}
