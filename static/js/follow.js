/** Asking again and again while something runs, and asking before something is stopped. */

import { button, h } from "./core.js";

const PATIENCE = 4;

/**
 * Calls `ask` now and then every `ms` until it answers false, the element leaves the page or the answer is an error
 * of ours (status 400 and above). One question at a time; none while the page is hidden; a server that is away is
 * asked again more slowly. Returns a function that ends it.
 */
export function follow(element, ms, ask, onError = () => {}) {
  let timer = 0;
  let ended = false;
  const wait = (factor) => {
    if (!ended) timer = setTimeout(turn, ms * factor);
  };
  const turn = async () => {
    if (ended || !element.isConnected) return;
    if (document.visibilityState !== "visible") return wait(1);
    try {
      if (await ask()) wait(1);
    } catch (error) {
      if (error.name === "AbortError") return;
      onError(error);
      if (!error.status || error.status >= 500) wait(PATIENCE);
    }
  };
  turn();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** A dialog with two answers. Resolves to true when the dangerous one was chosen; Escape means no. */
export function confirmDialog({ title, text, yes, no }) {
  return new Promise((resolve) => {
    const keep = button(no, () => dialog.close("no"));
    const go = button(yes, () => dialog.close("yes"), "danger");
    const dialog = h(
      "dialog",
      { class: "ps-dialog", "aria-labelledby": "ps-ask-title" },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: "ps-ask-title" }, title),
        h("p", {}, text),
        h("div", { class: "ps-actions" }, keep, go),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
    keep.focus();
  });
}

let counter = 0;

/** An id that no other element on the page has. */
export function uid(word) {
  counter += 1;
  return `ps-${word}-${counter}`;
}

/** An address of ours with a query: only what is given. */
export function linkTo(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return text ? `${path}?${text}` : path;
}
