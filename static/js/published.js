/** Published numbers beside rows of ours: whose they are, and how probable it is that the order of the two is wrong. */

import { h } from "./core.js";

const HINT =
  "How probable it is that the order of the two numbers is wrong. It is a range, because nobody prints how often both are " +
  "right on the same images. Both are means over draws; the spread over draws is not in it.";

const MOST_OPEN = 3;

const percentText = (value, digits) => `${(100 * value).toFixed(digits)} %`;

/** A probability for people: small ones are not written as zero. */
const chance = (value) => (value < 0.001 ? "under 0.1 %" : percentText(value, value < 0.1 ? 1 : 0));

/** Cells of one published number, without the name of the row. */
function cells(each) {
  const shots = each.k === null ? "all" : String(each.k);
  return [
    [h("span", {}, each.whose), h("span", { class: "ps-hint" }, `${each.source}, ${each.place}`)],
    each.part === "test" ? shots : `${shots}, ${each.part}`,
    each.seeds ?? "not known",
    percentText(each.value, each.decimals),
    percentText(each.ours, each.decimals),
    chanceCell(each),
  ];
}

function chanceCell(each) {
  if (each.low === null) return [h("span", {}, "–"), h("span", { class: "ps-hint" }, "a harmonic mean")];
  if (each.better === "equal") return [h("span", {}, "equal")];
  const [low, high] = [chance(each.low), chance(each.high)];
  const range = low === high ? low : `${low} to ${high}`;
  const order = each.better === "ours" ? "ours is higher" : "published is higher";
  const mark = each.mark === null ? "" : `; ${chance(each.mark)} at the overlap of our own runs`;
  return [h("span", {}, range), h("span", { class: "ps-hint" }, `${order}, on ${each.n} images${mark}`)];
}

const COLUMNS = ["Method", "Whose run", "Images per class", "Draws", "Published", "Ours", "The order is wrong with"];
const NUMBERS = new Set(COLUMNS.slice(2, 6));

/** "Beside published numbers", or null where nothing is. rows: with `published`; nameOf: what a row is called. */
export function publishedTable(rows, nameOf, title) {
  const known = rows.flatMap((row) => (row.published ?? []).map((each) => [row, each]));
  if (!known.length) return null;
  const cellOf = (content, column) =>
    h("td", { class: NUMBERS.has(column) ? "ps-number" : "", "data-label": column }, content);
  return h(
    "div",
    { class: "ps-stack-s ps-published" },
    h("h3", {}, "Beside published numbers"),
    h("p", { class: "ps-soft" }, HINT),
    h(
      "div",
      { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": `Published numbers beside ${title}` },
      h(
        "table",
        { class: "ps-table ps-cards-when-narrow" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            COLUMNS.map((name) => h("th", { scope: "col", class: NUMBERS.has(name) ? "ps-number" : "" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          known.map(([row, each]) =>
            h(
              "tr",
              { title: each.sentence },
              h("th", { scope: "row" }, nameOf(row)),
              cells(each).map((content, at) => cellOf(content, COLUMNS[at + 1])),
            ),
          ),
        ),
      ),
    ),
    notesOf(known, nameOf),
  );
}

/** What a reader has to know of each pair, folded away where there are many. */
function notesOf(known, nameOf) {
  const items = known.map(([row, each]) =>
    h("li", {}, h("strong", {}, `${nameOf(row)}: `), [each.sentence, ...each.notes].join(" ")),
  );
  return h(
    "details",
    { class: "ps-unfold", open: known.length <= MOST_OPEN },
    h("summary", {}, "In words, and what differs between the two runs"),
    h("ul", { class: "ps-notes" }, items),
  );
}
