/** What a batch found for one model: the answer in a sentence, conditions side by side, and a row for each image. */

import { api, at, busy, count, errorNotice, field, h, percent } from "./core.js";
import { shortNumber } from "./charts.js";
import { radios } from "./choices.js";
import { forest } from "./figures.js";
import { linkTo } from "./follow.js";
import { focusPager, pager } from "./pager.js";
import { dataTable, fileName } from "./plot.js";
import "./plot.js";

const PER_PAGE = 20;
const BY = [
  { value: "group", words: "by patient" },
  { value: "image", words: "by image" },
];

export function modelResult(batch, model) {
  const place = h("div", { class: "ps-stack" });
  const hasGroups = model.summaries.some((row) => row.by_image);
  const by = hasGroups ? radios(BY, "group") : null;
  const draw = () => {
    const rows = model.summaries.map((row) => (by && by.value === "image" && row.by_image ? row.by_image : row));
    place.replaceChildren(...findings(batch, model, rows));
  };
  by?.node.addEventListener("change", draw);
  draw();
  return h(
    "section",
    { class: "ps-card", "aria-label": `Result of ${model.name}` },
    h("h2", { class: "ps-break" }, model.name),
    by && h("fieldset", {}, h("legend", {}, "Images are drawn"), by.node),
    place,
    imageRows(batch, model),
    downloads(batch),
  );
}

function findings(batch, model, rows) {
  const there = rows.filter((row) => row.exists);
  const first = there[0] ?? {};
  return [
    h("h3", {}, "Do zero vectors move attention from background to lesion here?"),
    ...answers(there),
    sharePlot(batch, model, there),
    h("h3", {}, "Conditions side by side"),
    conditionTable(there),
    h("p", { class: "ps-hint" }, TABLE_HINT),
    ...missing(rows),
    oddsPlot(batch, model, there),
    ...against(there),
    ...againstModel(batch, model, model.summaries),
    ...notes(first, model),
  ].filter(Boolean);
}

/** One sentence a number of zero vectors; a change of no size is set off from one that matters. */
function answers(rows) {
  const said = rows.filter((row) => row.sentence);
  if (!said.length) return [h("p", {}, "Zeros inserted were not among the conditions, so this is not answered.")];
  return said.map((row) => h("p", { class: "ps-verdict" }, row.sentence));
}

function sharePlot(batch, model, rows) {
  const known = rows.filter((row) => Number.isFinite(row.difference));
  if (!known.length) return null;
  const margin = batch.settings.margin;
  const [low, high] = reach(known, ["difference", "low", "high"], margin);
  const plot = h("ps-plot");
  plot.content = {
    title: "Change of the lesion's share of the attention on patches",
    sentence: `Against nothing added, image by image; dashed lines: the margin of ${margin} stated beforehand.`,
    figure: forest({
      low,
      high,
      format: shortNumber,
      title: "change of the lesion's share",
      lines: [
        { value: 0, name: "" },
        { value: -margin, name: "" },
        { value: margin, name: "" },
      ],
      rows: known.map((row) => ({
        label: row.title,
        note: row.verdict ?? "",
        mean: row.difference,
        low: row.low,
        high: row.high,
      })),
    }),
    columns: ["Condition", "Images", "Change", "Low", "High", "p", "Verdict"],
    rows: known.map((row) => [row.title, row.n, ...[row.difference, row.low, row.high].map(signed), pText(row.p), row.verdict]),
    csvRows: known.map((row) => [row.title, row.n, row.difference, row.low, row.high, row.p, row.verdict]),
    file: fileName("lesion-share", batch.image_set.name, model.name),
  };
  return plot;
}

function oddsPlot(batch, model, rows) {
  const known = rows
    .filter((row) => row.log_odds_change)
    .map((row) => ({ title: row.title, changed: row.answer_changed, ...row.log_odds_change }));
  if (!known.length) return null;
  const [low, high] = reach(known, ["mean", "low", "high"], 0);
  const plot = h("ps-plot");
  plot.content = {
    title: "Change of the true class's log-odds",
    sentence: "Above 0 the model becomes surer of the true class, below 0 less sure.",
    figure: forest({
      low,
      high,
      format: shortNumber,
      title: "change of the log-odds",
      lines: [{ value: 0, name: "" }],
      rows: known.map((row) => ({
        label: row.title,
        note: `answer changed in ${percent(row.changed, 0)}`,
        mean: row.mean,
        low: row.low,
        high: row.high,
      })),
    }),
    columns: ["Condition", "Images", "Change", "Low", "High", "p", "Answers changed"],
    rows: known.map((row) => [row.title, row.n, ...[row.mean, row.low, row.high].map(signed), pText(row.p), percent(row.changed)]),
    csvRows: known.map((row) => [row.title, row.n, row.mean, row.low, row.high, row.p, row.changed]),
    file: fileName("log-odds", batch.image_set.name, model.name),
  };
  return plot;
}

/** Ends of an axis that holds all values and the margin, with a little room. */
function reach(rows, names, margin) {
  const values = rows.flatMap((row) => names.map((name) => row[name])).filter(Number.isFinite);
  const far = Math.max(margin, ...values.map(Math.abs)) * 1.15 || 1;
  return [-far, far];
}

const COLUMNS = [
  ["Condition", (row) => row.title],
  ["Images", (row) => String(row.n)],
  ["Patients", (row) => (row.groups === null ? "unknown" : String(row.groups))],
  ["Lesion's share", (row) => share(row.lesion_share)],
  ["Background's", (row) => share(row.background_share)],
  ["Change [95 %]", (row) => range(row.difference, row.low, row.high)],
  ["p", (row) => pText(row.p)],
  ["Verdict", (row) => row.verdict ?? "–"],
  ["Heads lose or gain", (row) => signed(row.units_term)],
  ["Shift within heads", (row) => signed(row.within_term)],
  ["Raw change [95 %]", (row) => range(row.raw_difference, row.raw_low, row.raw_high)],
  ["On vectors", (row) => share(row.vectors_share)],
  ["Hit rate", (row) => share(row.hit_rate)],
  ["Hits lost / won", (row) => (Number.isFinite(row.hits_lost) ? `${shortNumber(row.hits_lost)} / ${shortNumber(row.hits_won)}` : "–")],
  ["Log-odds of the true class [95 %]", (row) => range(row.log_odds_change?.mean, row.log_odds_change?.low, row.log_odds_change?.high)],
  ["Answers changed", (row) => share(row.answer_changed)],
];
const TABLE_HINT =
  "Shares are of the attention on patches, so that what vectors draw does not count as leaving the lesion; the raw change counts it. " +
  "Heads lose or gain, plus shift within heads, is the change exactly.";

function conditionTable(rows) {
  const table = dataTable(
    COLUMNS.map(([name]) => name),
    rows.map((row) => COLUMNS.map(([, cell]) => cell(row))),
  );
  return h("div", { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": "Conditions side by side" }, table);
}

function missing(rows) {
  const absent = rows.filter((row) => !row.exists);
  if (!absent.length) return [];
  const item = (row) => h("li", {}, h("strong", {}, `${row.title}: `), `${row.reason}.`);
  return [h("div", { class: "ps-notice" }, h("h3", {}, "Not measured"), h("ul", {}, absent.map(item)))];
}

function against(rows) {
  const titles = new Map(rows.map((row) => [row.key, row.title]));
  const pairs = rows.flatMap((row) => (row.against ?? []).map((pair) => ({ ...pair, first: row.title })));
  if (!pairs.length) return [];
  const columns = ["Held against each other", "Difference [95 %]", "p after Holm", "Verdict"];
  const line = (pair) => [
    `${pair.first} minus ${titles.get(`${pair.condition}:${pair.vectors}`) ?? pair.condition}`,
    range(pair.mean, pair.low, pair.high),
    pText(pair.p_holm),
    pair.verdict,
  ];
  return [
    h("h3", {}, "Is the change the zeros' own?"),
    h("div", { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": columns[0] }, dataTable(columns, pairs.map(line))),
  ];
}

/** This model minus the first one of the batch, on the same images; by patient where patients are known. */
function againstModel(batch, model, rows) {
  const told = rows.filter((row) => row.against_model).map((row) => ({ title: row.title, ...row.against_model }));
  if (!told.length) return [];
  const other = told[0].model;
  const margin = batch.settings.margin;
  const known = told.map((row) => ({ ...row, ...row.share }));
  const [low, high] = reach(known, ["mean", "low", "high"], margin);
  const plot = h("ps-plot");
  const right = (row) => (row.right ? `${shortNumber(row.right.won)} / ${shortNumber(row.right.lost)}` : "–");
  plot.content = {
    title: `The lesion's share: ${model.name} minus ${other}`,
    sentence: `On the same ${count(told[0].n, "image")}, pair by pair; dashed lines: the margin of ${margin} stated beforehand.`,
    figure: forest({
      low,
      high,
      format: shortNumber,
      title: "difference of the lesion's share",
      lines: [
        { value: 0, name: "" },
        { value: -margin, name: "" },
        { value: margin, name: "" },
      ],
      rows: known.map((row) => ({ label: row.title, note: row.verdict ?? "", mean: row.mean, low: row.low, high: row.high })),
    }),
    columns: ["Condition", "Images", "Share [95 %]", "p after Holm", "Verdict", "Of the change [95 %]", "Right here / there alone"],
    rows: known.map((row) => [
      row.title,
      row.n,
      range(row.mean, row.low, row.high),
      pText(row.p_holm),
      row.verdict,
      range(row.change?.mean, row.change?.low, row.change?.high),
      right(row),
    ]),
    csvRows: known.map((row) => [row.title, row.n, row.mean, row.p_holm, row.verdict, row.change?.mean, right(row)]),
    file: fileName("two-models", batch.image_set.name, model.name),
  };
  const said = [...new Set(told.flatMap((row) => row.notes))].map((note) => h("p", { class: "ps-soft" }, note));
  return [h("h3", { class: "ps-break" }, `Against ${other}`), plot, ...said];
}

function notes(first, model) {
  const out = first.left_out ? [`${first.left_out} images were left out; each says why in its row.`] : [];
  const learned = model.plan?.calibrated_on
    ? [`What patches look like was learned on ${model.plan.calibrated_on} images outside the part that is measured.`]
    : [];
  return [...(first.notes ?? []), ...out, ...learned].map((text) => h("p", { class: "ps-soft" }, text));
}

// rows of images ----------------------------------------------------------------------------------------------------

/** A table of images under one condition; each leads to the image's own explanation. */
function imageRows(batch, model) {
  const conditions = model.plan?.conditions ?? [];
  const chosen = h("select", {}, conditions.map((each) => h("option", { value: each.key }, each.title)));
  chosen.value = (conditions.find((each) => each.condition === "C1") ?? conditions[0])?.key ?? "";
  const place = h("div", { class: "ps-stack-s" });
  const load = async (offset = 0, name = "") => {
    const query = `model=${model.position}&condition=${encodeURIComponent(chosen.value)}&limit=${PER_PAGE}&offset=${offset}`;
    try {
      const page = await api.get(`/explanation-batches/${encodeURIComponent(batch.id)}/rows?${query}`);
      const turn = pager("Images", ["image"], { offset, shown: page.items.length, total: page.total, perPage: PER_PAGE }, load);
      place.replaceChildren(...[rowTable(model, page.items), turn].filter(Boolean));
      focusPager(place, name);
    } catch (error) {
      place.replaceChildren(errorNotice(error, () => load(offset)));
    }
  };
  chosen.addEventListener("change", () => load());
  const box = h("details", { class: "ps-unfold" }, h("summary", {}, "Image by image"), field("Condition", chosen), place);
  box.addEventListener("toggle", () => {
    if (!box.open || place.childElementCount) return;
    place.replaceChildren(busy());
    load();
  });
  return box;
}

function rowTable(model, rows) {
  const open = (row) =>
    row.image_id && model.id
      ? h("a", { href: linkTo("/attention", { model: model.id, image: row.image_id }) }, row.image)
      : row.image;
  const columns = ["Image", "Class", "Lesion's share", "Change", "Heads", "Within", "On vectors", "Hit", "Log-odds", "Answer"];
  const line = (row) => [
    open(row),
    row.class,
    share(row.lesion_share),
    signed(row.difference),
    signed(row.units_term),
    signed(row.within_term),
    share(row.vectors_share),
    Number.isFinite(row.hit) ? shortNumber(row.hit) : "–",
    signed(row.log_odds_change),
    row.predicted ? `${row.predicted}${row.answer_changed ? " (changed)" : ""}` : "–",
  ];
  return h("div", { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": "Image by image" }, dataTable(columns, rows.map(line)));
}

function downloads(batch) {
  const get = (kind, words) =>
    h(
      "a",
      {
        class: "ps-button ps-button-small",
        href: at(`/api/v1/explanation-batches/${encodeURIComponent(batch.id)}/tables/${kind}`),
        download: `${fileName(batch.image_set.name, kind)}.csv`,
      },
      words,
    );
  return h("div", { class: "ps-actions" }, get("summaries", "Conditions (CSV)"), get("rows", "All images (CSV)"));
}

// numbers -----------------------------------------------------------------------------------------------------------

const share = (value) => (Number.isFinite(value) ? percent(value) : "–");
const signed = (value) => (Number.isFinite(value) ? `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}` : "–");
const pText = (p) => (Number.isFinite(p) ? (p < 0.001 ? "< 0.001" : p.toFixed(3)) : "–");

function range(mean, low, high) {
  if (!Number.isFinite(mean)) return "–";
  return Number.isFinite(low) && Number.isFinite(high) ? `${signed(mean)} [${signed(low)}, ${signed(high)}]` : signed(mean);
}
