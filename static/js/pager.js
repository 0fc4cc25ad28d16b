// Earlier and further pages of a list, with what is shown in words. Reachable by keyboard; the focus stays on its button.
import { button, count, h } from "./core.js";

// label: name of the navigation. unit: ["file"] or ["class", "classes"]. go(offset, name): show another page; name is
// that of the button, to give the focus back with `focusPager`. Null where everything is shown.
export function pager(label, unit, { offset, shown, total, perPage }, go) {
  if (total <= perPage && !offset) return null;
  const step = (text, name, start, possible) => {
    const node = button(text, () => go(start, name), "small");
    node.dataset.go = name;
    node.disabled = !possible;
    return node;
  };
  const words = unit[1] ?? `${unit[0]}s`;
  return h(
    "nav",
    { class: "ps-row ps-pager", "aria-label": label },
    step(`Earlier ${words}`, "back", Math.max(0, offset - perPage), offset > 0),
    h("span", { class: "ps-soft" }, shown ? `${offset + 1} to ${offset + shown} of ${count(total, ...unit)}` : `None of ${count(total, ...unit)}`),
    step(`Further ${words}`, "on", offset + perPage, offset + shown < total),
  );
}

export function focusPager(place, name) {
  if (!name) return;
  const wanted = place.querySelector(`[data-go="${name}"]:not(:disabled)`) ?? place.querySelector("[data-go]:not(:disabled)");
  wanted?.focus();
}
