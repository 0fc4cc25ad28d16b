/**
 * The chart library: loaded when the first chart of a page appears, drawing in the colours and type of our pages.
 *
 * A figure (see `figures.js`) is a function of (theme, width in px) that gives {data, layout}. Names come from users: every
 * text passes through `plain`, because the library reads markup. Nothing moves by itself; hovering only repeats what the
 * table beside each chart holds.
 */

const CONFIG = { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: false, showTips: false };
const LINE_LENGTH = 115; // characters of 12 px on 900 px
const LINE_HEIGHT = 17;
const RESEARCH_USE = "Research use only. Not for use in diagnostic procedures.";

// ---------------------------------------------------------------- the library

let loading = null;

/** The library, loaded once per page. Rejects where it cannot be had. */
export function chartLibrary() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.setAttribute("src", document.querySelector('meta[name="ps-charts"]')?.content ?? "");
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      loading = null;
      script.remove();
      reject(new Error("The chart library could not be loaded. The table below holds the same numbers."));
    };
    document.head.append(script);
  });
  return loading;
}

/** Draws a figure into an element, which is announced by one sentence. */
export async function drawChart(area, figure, width, sentence) {
  const library = await chartLibrary();
  if (!area.isConnected) return;
  const { data, layout } = figure(themeOf(area), width);
  area.setAttribute("role", "img");
  area.setAttribute("aria-label", sentence);
  await library.react(area, data, { ...layout, width }, CONFIG);
}

/** Frees what the library keeps for an element. */
export function forgetChart(area) {
  if (area?.classList.contains("js-plotly-plot")) window.Plotly?.purge(area);
}

/** A figure as a file ("png" or "svg"), on white with its title, as papers want it; cautions stand below the title. */
export async function chartFile(figure, title, kind, cautions = [], width = 900) {
  const library = await chartLibrary();
  const theme = themeOf(document.body, "light");
  const { data, layout } = figure(theme, width);
  const lines = [RESEARCH_USE, ...cautions.flatMap((text) => wrapped(text, LINE_LENGTH))];
  const head = {
    text: plain(title),
    subtitle: { text: lines.map(plain).join("<br>"), font: { size: 12, color: theme.soft } },
    x: 0,
    xref: "paper",
    y: 1,
    yanchor: "top",
    yref: "container",
    pad: { t: 14 },
    font: { size: 17 },
  };
  const above = 64 + (lines.length - 1) * LINE_HEIGHT;
  const margin = { ...layout.margin, t: (layout.margin?.t ?? 0) + above, r: Math.max(24, layout.margin?.r ?? 0) };
  const whole = { ...layout, width, height: layout.height + above, title: head, margin, paper_bgcolor: theme.surface };
  const address = await library.toImage(
    { data, layout: whole, config: CONFIG },
    { format: kind, width, height: whole.height, scale: kind === "png" ? 2 : 1 },
  );
  return (await fetch(address)).blob();
}

/** A text in lines of at most `length` characters, broken between words. */
function wrapped(text, length) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length >= length) lines.push(word);
    else lines.push([lines.pop(), word].filter(Boolean).join(" "));
  }
  return lines;
}

/** The colours of the page where `area` stands, as the style sheet gives them for light or dark. */
function themeOf(area, scheme = "") {
  const probe = document.createElement("span");
  probe.style.colorScheme = scheme;
  (area.isConnected ? area : document.body).append(probe);
  const colour = (name) => {
    probe.style.color = `var(--ps-${name})`;
    return getComputedStyle(probe).color;
  };
  const theme = {
    ink: colour("ink"),
    soft: colour("ink-soft"),
    line: colour("line"),
    edge: colour("edge"),
    surface: colour("surface"),
    series: [1, 2, 3].map((n) => colour(`series-${n}`)),
    parts: [1, 2, 3].map((n) => colour(`part-${n}`)),
    face: getComputedStyle(document.body).fontFamily,
  };
  probe.remove();
  return theme;
}

// ---------------------------------------------------------------- words and numbers

/** A text that the library shows as it is. */
export const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A text cut to `length` characters with an ellipsis. */
export const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/** Three significant digits, without exponents where people can do without. */
export function shortNumber(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return size < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}
