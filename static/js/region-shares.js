/** How much of each map lies in a marked region, against the share of the picture the region covers. */

import { h, percent } from "./core.js";
import { shortNumber } from "./charts.js";
import { forest } from "./figures.js";
import { fileName } from "./plot.js";

const SOURCES = {
  set: "the image set's mask",
  drawn: "drawn on this image",
  uploaded: "an uploaded mask",
  file: "a mask file",
};

const MEANING =
  "Inside and outside are parts of what lies on patches, so what extra vectors or the class token draw counts as neither; " +
  "raw shares are of all the class token's attention. A random map's strongest patch would be inside as often as stands " +
  "under 'By chance'.";

/** The card of an explanation's region, or null where none was marked. */
export function regionCard({ region, maps, image }) {
  if (!region) return null;
  const rows = Object.entries(region.maps || {}).filter(([, row]) => Number.isFinite(row.map_share));
  const title = (kind) =>
    maps.find((map) => map.kind === kind)?.title || (kind === "rollout" ? "Attention rollout" : kind);
  const plot = rows.length ? h("ps-plot") : null;
  if (plot) plot.content = regionPlot(rows, title, region, image);
  return h(
    "div",
    { class: "ps-card" },
    h("h3", {}, "In the marked region"),
    h("p", { class: "ps-soft" }, regionFacts(region)),
    region.note ? h("p", { class: "ps-notice" }, region.note) : null,
    plot,
    plot ? h("p", { class: "ps-hint" }, MEANING) : null,
  );
}

/** Whose region it is and how large, in words. */
export function regionFacts({ source, mask }) {
  const whose = SOURCES[source] ? `${SOURCES[source]}: ` : "";
  if (!mask) return "Of the part of the image that the model sees.";
  const words = `${whose}${mask.marked_px.toLocaleString("en")} px marked, ${percent(mask.in_view ?? 0)} of them in the part the model sees.`;
  return words[0].toUpperCase() + words.slice(1);
}

function regionPlot(rows, title, region, image) {
  const [lead, first] = rows[0];
  const times = Number.isFinite(first.enrichment)
    ? ` '${title(lead)}' puts ${percent(first.map_share)} there, ${first.enrichment.toFixed(1)} times as much as by chance.`
    : "";
  const raw = (value) => (Number.isFinite(value) ? percent(value) : "–");
  return {
    title: "How much of each map lies in the marked region",
    sentence: `The marked region covers ${percent(first.area_share)} of what the model sees.${times}`,
    figure: regionChart(rows, title),
    columns: [
      "Map",
      "Inside",
      "Outside",
      "Area",
      "Times chance",
      "Inside, raw",
      "Outside, raw",
      "Strongest patch inside",
      "By chance",
    ],
    rows: rows.map(([kind, row]) => [
      title(kind),
      percent(row.map_share),
      percent(row.outside_share ?? 1 - row.map_share),
      percent(row.area_share),
      Number.isFinite(row.enrichment) ? row.enrichment.toFixed(2) : "–",
      raw(row.raw_inside),
      raw(row.raw_outside),
      row.pointing_hit ? "yes" : "no",
      raw(row.chance_hit),
    ]),
    csvColumns: [
      ...["map", "inside", "outside", "area", "times_chance", "inside_raw", "outside_raw", "pointing_hit"],
      ...["chance_hit", "crop_left", "crop_top", "crop_right", "crop_bottom"],
    ],
    csvRows: rows.map(([kind, row]) => [
      kind,
      row.map_share,
      row.outside_share ?? 1 - row.map_share,
      row.area_share,
      row.enrichment,
      row.raw_inside ?? "",
      row.raw_outside ?? "",
      row.pointing_hit,
      row.chance_hit ?? "",
      ...(region.mask?.crop_box || ["", "", "", ""]),
    ]),
    file: fileName("region", image || "image"),
  };
}

function regionChart(rows, title) {
  const known = rows.filter(([, row]) => Number.isFinite(row.enrichment));
  return forest({
    lines: [{ value: 1, name: "" }],
    low: 0,
    high: Math.max(2, ...known.map(([, row]) => row.enrichment)) * 1.05,
    title: "times as much as by chance (dashed line: chance)",
    format: shortNumber,
    rows: known.map(([kind, row]) => ({
      label: title(kind),
      note: `${percent(row.map_share)}, ${row.enrichment.toFixed(1)} times`,
      mean: row.enrichment,
    })),
  });
}
