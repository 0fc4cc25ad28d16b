/**
 * Redrawing what somebody may be reading: parts that say the same stay untouched, and a part that is drawn anew keeps
 * its open folds, the focus and how far its tables were scrolled.
 */

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
const known = new WeakMap();

/**
 * Puts parts into `place`, in their order and in the place of what stood there.
 *
 * parts: [{key, told, make}]. A part whose `told` (anything JSON can write) is as before keeps its node; else `make(old)`
 * gives a node, which may be the old one brought up to date. A part without a node (`make` gives nothing) is left out.
 */
export function arrange(place, parts) {
  const before = known.get(place) ?? new Map();
  const now = new Map();
  const restore = [];
  for (const { key, told, make } of parts) {
    const own = before.get(key);
    const text = JSON.stringify(told);
    if (own?.text === text) {
      now.set(key, own);
      continue;
    }
    const state = own && stateOf(own.node);
    const node = make(own?.node);
    if (!node) continue;
    now.set(key, { text, node });
    if (state) restore.push(() => bringBack(node, state));
  }
  known.set(place, now);
  const nodes = [...now.values()].map((own) => own.node);
  for (const child of [...place.childNodes]) if (!nodes.includes(child)) child.remove();
  // a node that stands right is not touched: moving it would start it anew
  nodes.forEach((node, at) => {
    if (place.childNodes[at] !== node) place.insertBefore(node, place.childNodes[at] ?? null);
  });
  for (const each of restore) each();
}

/** Replaces what is in `place`; folds, focus and scrolling stay. */
export function replaceKept(place, ...nodes) {
  const state = stateOf(place);
  place.replaceChildren(...nodes);
  bringBack(place, state);
}

function stateOf(root) {
  const held = root.contains(document.activeElement) ? document.activeElement : null;
  return {
    open: keysOf(root, "details")
      .filter(([, node]) => node.open)
      .map(([key]) => key),
    focus: held && keysOf(root, FOCUSABLE).find(([, node]) => node === held)?.[0],
    scrolled: keysOf(root, ".ps-table-scroll")
      .filter(([, node]) => node.scrollLeft || node.scrollTop)
      .map(([key, node]) => [key, node.scrollLeft, node.scrollTop]),
  };
}

function bringBack(root, { open, focus, scrolled }) {
  for (const [key, node] of keysOf(root, "details")) if (open.includes(key)) node.open = true;
  const places = new Map(keysOf(root, ".ps-table-scroll"));
  for (const [key, left, top] of scrolled) places.get(key)?.scrollTo({ left, top, behavior: "instant" });
  if (!focus || root.contains(document.activeElement)) return;
  new Map(keysOf(root, FOCUSABLE)).get(focus)?.focus({ preventScroll: true });
}

/** Elements of a kind with what tells them apart: `data-key`, or their row, their words without numbers, and which of those. */
function keysOf(root, selector) {
  const seen = new Map();
  const found = [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
  return found.map((node) => {
    const row = node.closest("tr")?.querySelector("th[scope=row]");
    const rowName = (row?.querySelector(".ps-row-name")?.firstChild ?? row)?.textContent ?? "";
    const named = node.localName === "details" ? node.querySelector("summary") : node;
    const label = node.labels?.[0]?.textContent; // of a choice, whose own text is all there is to choose from
    const words = named?.getAttribute("aria-label") ?? label ?? named?.textContent ?? "";
    const name = node.dataset.key ?? [node.localName, rowName, words.replaceAll(/\d+/g, "#")].join("\n");
    const at = seen.get(name) ?? 0;
    seen.set(name, at + 1);
    return [`${name}\n${at}`, node];
  });
}
