// The keys of reviewing. They do nothing while something is typed or chosen, in dialogs, and with Ctrl, Alt or Meta.
import { button, h } from "./core.js";

// name -> [keys, what is shown, what it does]
export const KEYS = {
  approve: ["a", "A", "Approve this sentence"],
  reject: ["r", "R", "Reject this sentence"],
  reason: ["123456", "1 to 6", "After rejecting: say why. Not needed; any other key goes on"],
  edit: ["e", "E", "Edit. Enter saves, Ctrl+Enter saves and approves, Escape leaves"],
  flag: ["f", "F", "Flag: somebody else should look too"],
  undo: ["u", "U", "Undo what you did last; again for what was before"],
  next: ["n", "N", "Next sentence, without deciding"],
  previous: ["p", "P", "Previous sentence"],
  help: ["?", "?", "Show or hide these keys"],
};

const ONCE = new Set(["approve", "reject", "flag", "undo", "edit"]);
const TYPED_IN = "input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable], dialog";

// Calls act(name, key) for each key that means something. isOn: whether the reader wants keys.
export function listenToKeys(signal, isOn, act) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.defaultPrevented) return;
    if (!isOn() || event.target.closest?.(TYPED_IN) || document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    const name = Object.keys(KEYS).find((each) => key.length === 1 && KEYS[each][0].includes(key));
    if (!name) return;
    // A key that is held down must not decide a row of sentences.
    if (event.repeat && ONCE.has(name)) return;
    if (act(name, key) !== false) event.preventDefault();
  }, { signal });
}

export function keyHelp() {
  const rows = Object.values(KEYS).map(([, shown, text]) => [h("dt", {}, h("kbd", { class: "ps-key" }, shown)), h("dd", {}, text)]);
  const dialog = h("dialog", { class: "ps-dialog", "aria-labelledby": "ps-keys-title" },
    h("div", { class: "ps-stack-s" },
      h("h2", { id: "ps-keys-title" }, "Keys"),
      h("dl", { class: "ps-facts ps-key-list" }, rows),
      h("p", { class: "ps-hint" }, "Backspace and Delete do nothing here. In text fields all keys type."),
      h("div", { class: "ps-actions" }, button("Close", () => dialog.close(), "main"))));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "?") dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
