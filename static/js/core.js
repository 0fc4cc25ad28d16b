// What every page of Promptoscope shares: asking the API, building elements from data, announcements, light and dark.
//
// Place <ps-some-thing> on a page and put its class into static/js/some-thing.js: it is loaded when it first appears.
// Names of classes and files come from users: build elements with h(), which never reads HTML from data.

// ---------------------------------------------------------------- asking the API

export class ApiError extends Error {
  // status: HTTP status, 0 when the server could not be reached. message: the sentence to show. retryAfterS: when asking
  // again may help, 0 when the server did not say.
  constructor(status, shape = {}, retryAfterS = 0) {
    super(shape.message || "The server gave an answer this page cannot read. Reload the page, then try again.");
    this.name = "ApiError";
    this.status = status;
    this.code = shape.code || "error";
    this.expected = shape.expected || "";
    this.found = shape.found || "";
    this.remedy = shape.remedy || "";
    this.shape = shape;
    this.retryAfterS = retryAfterS;
  }
}

const UNREACHABLE = {
  code: "unreachable",
  message: "The server did not answer. Check that Promptoscope is still running, then try again.",
};

const SIGNED_OUT = "Your session has ended. Open the link that `promptoscope serve` printed, then reload this page.";

// The site may stand below a path of another server; where this script came from says which.
const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

// An address of ours as the browser must ask for it. What has the path already, or leads elsewhere, stays.
export function at(address) {
  const text = String(address);
  if (!text.startsWith("/") || text.startsWith("//") || !ROOT) return text;
  return text === ROOT || text.startsWith(`${ROOT}/`) ? text : ROOT + text;
}

const BASE = `${ROOT}/api/v1`;

function toError(status, data, retryAfter = null) {
  const shape = data?.error ?? data?.detail ?? data ?? {};
  if (status === 401) return new ApiError(status, { ...shape, code: "signed_out", message: SIGNED_OUT });
  return new ApiError(status, typeof shape === "string" ? { message: shape } : shape, Number(retryAfter) || 0);
}

const MOST_TRIES = 6;
let waiting = 0;

// A busy server has begun nothing, and reading twice does no harm; other writes are for the person to repeat.
const canAskAgain = (method, error, key) =>
  error instanceof ApiError && error.status === 503 && error.retryAfterS > 0 && (method === "GET" || key || error.code === "busy");

// Waits as long as the server asked for, and says so on the page meanwhile.
async function waitForServer(error, signal) {
  waiting += 1;
  sayThatWeWait();
  const seconds = error.retryAfterS + Math.random(); // not all pages at the same moment
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
  waiting -= 1;
  if (!waiting) document.getElementById("ps-waiting")?.remove();
}

function sayThatWeWait() {
  if (document.getElementById("ps-waiting")) return;
  const text = "The server is busy with other work. This page asks again by itself.";
  document.getElementById("main")?.prepend(h("p", { id: "ps-waiting", class: "ps-notice", role: "status" }, text));
}

async function request(method, path, body, options = {}) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await requestOnce(method, path, body, options);
    } catch (error) {
      if (tries >= MOST_TRIES || !canAskAgain(method, error, options.key)) throw error;
      await waitForServer(error, options.signal);
    }
  }
}

let keysMade = 0;

// For what is to be done once. Not crypto.randomUUID: that is only there on https and on this machine.
export function newKey() {
  keysMade += 1;
  const random = crypto.getRandomValues(new Uint32Array(3));
  return `${Date.now().toString(36)}-${[...random].map((n) => n.toString(36)).join("")}-${keysMade}`;
}

// key: the server does what was sent with it once, however often it is sent.
async function requestOnce(method, path, body, { signal, key } = {}) {
  const isForm = body instanceof FormData;
  const headers = body === undefined || isForm ? {} : { "Content-Type": "application/json" };
  if (key) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(BASE + path, {
      method,
      signal,
      credentials: "same-origin",
      headers,
      body: body === undefined || isForm ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, UNREACHABLE);
  }
  const data = await response.json().catch(() => null);
  if (!response.ok) throw toError(response.status, data, response.headers.get("Retry-After"));
  return data;
}

export const api = {
  get: (path, options) => request("GET", path, undefined, options),
  post: (path, body, options) => request("POST", path, body, options),
  put: (path, body, options) => request("PUT", path, body, options),
  patch: (path, body, options) => request("PATCH", path, body, options),
  delete: (path, options) => request("DELETE", path, undefined, options),
};

// Sends a form with progress. onProgress(sentBytes, totalBytes). Returns { done: Promise, cancel() }.
// A busy server is asked again.
export function send(path, form, onProgress = () => {}) {
  const stop = new AbortController();
  const tryUntilDone = async () => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await sendOnce(path, form, onProgress, stop.signal);
      } catch (error) {
        if (tries >= MOST_TRIES || !canAskAgain("POST", error)) throw error;
        await waitForServer(error, stop.signal);
      }
    }
  };
  return { done: tryUntilDone(), cancel: () => stop.abort() };
}

function sendOnce(path, form, onProgress, signal) {
  const xhr = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    if (signal.aborted) throw new DOMException("Stopped", "AbortError");
    signal.addEventListener("abort", () => xhr.abort(), { once: true });
    xhr.open("POST", BASE + path);
    xhr.upload.addEventListener("progress", (event) => onProgress(event.loaded, event.total));
    xhr.addEventListener("error", () => reject(new ApiError(0, UNREACHABLE)));
    xhr.addEventListener("abort", () => reject(new DOMException("Stopped", "AbortError")));
    xhr.addEventListener("load", () => {
      let data = null;
      try {
        data = JSON.parse(xhr.responseText);
      } catch {
        // An answer that is not JSON is reported below by its status.
      }
      if (xhr.status >= 200 && xhr.status < 300) resolve(data);
      else reject(toError(xhr.status, data, xhr.getResponseHeader("Retry-After")));
    });
    xhr.send(form);
  });
}

// Lists come either bare or as { items: [...] }.
export function listOf(answer) {
  if (Array.isArray(answer)) return answer;
  return answer?.items ?? Object.values(answer ?? {}).find(Array.isArray) ?? [];
}

// ---------------------------------------------------------------- building elements

// h("a", { href: "/train", class: "ps-button", onclick: go }, "Train ", name). Children: text, nodes, arrays, null.
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  setProps(node, props);
  node.append(...flat(children));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

// The same for SVG.
export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  setProps(node, props);
  node.append(...flat(children));
  return node;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

function setProps(node, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    else if (["value", "checked", "disabled", "selected", "open"].includes(name) && name in node) node[name] = value;
    else if (name === "href" || name === "src") node.setAttribute(name, at(value));
    else node.setAttribute(name, value === true ? "" : value);
  }
}

// Replaces what a node holds; leaves out null, undefined and false, as h() does.
export const fill = (node, ...children) => node.replaceChildren(...flat(children));

// Common pieces ------------------------------------------------------------------

export const button = (text, onclick, kind = "") =>
  h("button", { type: "button", class: `ps-button ${kind && `ps-button-${kind}`}`, onclick }, text);

export const link = (text, href, kind = "") => h("a", { class: `ps-button ${kind && `ps-button-${kind}`}`, href }, text);

// tone: "", "good", "warn", "bad", "info". A chip always carries words, never colour alone.
export const chip = (text, tone = "") => h("span", { class: `ps-chip ${tone && `ps-chip-${tone}`}` }, text);

let fieldCount = 0;

// A label, a control and a hint that belong together.
export function field(labelText, control, hint = "") {
  const id = control.id || `ps-field-${(fieldCount += 1)}`;
  control.id = id;
  const note = hint && h("span", { class: "ps-hint", id: `${id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "ps-field" }, h("label", { for: id }, labelText), control, note);
}

// An error of any kind as a notice with what to do next.
export function errorNotice(error, retry) {
  return h(
    "div",
    { class: "ps-notice ps-notice-bad", role: "alert" },
    h("p", {}, error.message || String(error)),
    retry && button("Try again", retry),
  );
}

export const busy = (text = "Loading…") =>
  h("p", { class: "ps-busy", role: "status" }, h("span", { class: "ps-spinner", "aria-hidden": "true" }), text);

// What an empty page shows: a picture or example, a sentence, and the next step.
export const empty = (title, text, ...more) =>
  h("div", { class: "ps-empty" }, h("h2", {}, title), text && h("p", {}, text), ...more);

// columns: [{ title, cell(row) -> text or node, number: bool }]. The first column heads its row.
export function table(caption, columns, rows) {
  const head = columns.map((c) => h("th", { scope: "col", class: c.number ? "ps-number" : "" }, c.title));
  const body = rows.map((row) =>
    h("tr", {}, columns.map((c, i) => {
      const place = c.number ? "ps-number" : "";
      return i === 0 ? h("th", { scope: "row", class: place }, c.cell(row)) : h("td", { class: place }, c.cell(row));
    })),
  );
  return h(
    "div",
    { class: "ps-table-scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: "ps-table" }, h("caption", {}, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)),
  );
}

// A dialog that asks for a word before something is lost. Resolves to true or false.
export function confirmByTyping({ title, text, word, action }) {
  return new Promise((resolve) => {
    const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
    const go = h("button", { type: "submit", class: "ps-button ps-button-danger", disabled: true }, action);
    input.addEventListener("input", () => {
      go.disabled = input.value.trim() !== word.trim();
    });
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "ps-confirm-title" }, title),
      h("p", {}, text),
      field(`Type "${word}" to confirm`, input),
      h("div", { class: "ps-actions" }, go, button("Keep it", () => dialog.close("no"))),
    );
    const dialog = h("dialog", { class: "ps-dialog", "aria-labelledby": "ps-confirm-title" }, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!go.disabled) dialog.close("yes");
    });
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// ---------------------------------------------------------------- words and numbers

const NUMBER = new Intl.NumberFormat("en");
export const count = (n, one, many = `${one}s`) => `${NUMBER.format(n)} ${n === 1 ? one : many}`;
export const percent = (fraction, digits = 1) => `${(100 * fraction).toFixed(digits)} %`;

// A probability that rounds to all or nothing is neither: no model is certain.
export function probability(share, digits = 1) {
  const step = 10 ** -digits;
  const shown = Number((100 * share).toFixed(digits));
  if (shown >= 100) return `over ${(100 - step).toFixed(digits)} %`;
  return shown <= 0 ? `under ${step.toFixed(digits)} %` : percent(share, digits);
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const MOMENT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});

// A time of the server (ISO, UTC when it names no zone) in the reader's own zone, which is named.
export function moment(iso) {
  if (!iso) return "";
  const text = /[zZ]|[+-]\d\d:?\d\d$/.test(iso) ? iso : `${iso}Z`;
  return h("time", { datetime: text }, MOMENT.format(new Date(text)));
}

// ---------------------------------------------------------------- the address of the page

export const param = (name) => new URLSearchParams(location.search).get(name);

// Writes the address without loading the page, so that reload and bookmark come back to the same thing.
export function setParam(name, value) {
  const url = new URL(location.href);
  if (value === null || value === undefined || value === "") url.searchParams.delete(name);
  else url.searchParams.set(name, value);
  history.replaceState(null, "", url);
}

// ---------------------------------------------------------------- announcements

// Says something to screen readers without moving the focus.
export function announce(text, { urgent = false } = {}) {
  const region = document.getElementById(urgent ? "ps-assertive" : "ps-polite");
  if (!region) return;
  region.textContent = "";
  setTimeout(() => {
    region.textContent = text;
  }, 60);
}

// ---------------------------------------------------------------- base of all custom elements

// start() runs once when the element is placed on a page. What it starts through `signal` and `every` ends with it.
export class PsElement extends HTMLElement {
  #ending = null;
  #timers = new Set();

  connectedCallback() {
    if (this.#ending) return;
    this.#ending = new AbortController();
    Promise.resolve(this.start()).catch((error) => this.fail(error));
  }

  disconnectedCallback() {
    this.#ending?.abort();
    this.#ending = null;
    this.#timers.forEach(clearInterval);
    this.#timers.clear();
    for (const picture of this.querySelectorAll("img")) if (!picture.complete) picture.removeAttribute("src");
  }

  start() {}

  // Ends requests and listeners when the element leaves the page; pictures that did not arrive are not waited for.
  get signal() {
    return this.#ending?.signal;
  }

  show(...nodes) {
    fill(this, nodes);
  }

  fail(error, retry) {
    if (error?.name === "AbortError") return;
    this.show(errorNotice(error, retry ?? (() => this.start())));
    if (!(error instanceof ApiError)) console.error(error);
  }

  // Calls `ask` each `milliseconds` while the page is looked at. Returns a function that ends it.
  every(milliseconds, ask) {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") ask();
    }, milliseconds);
    this.#timers.add(timer);
    return () => {
      clearInterval(timer);
      this.#timers.delete(timer);
    };
  }
}

export function define(tag, type) {
  if (!customElements.get(tag)) customElements.define(tag, type);
}

// ---------------------------------------------------------------- loading elements by their name

const asked = new Set();

function load(node) {
  const tag = node.localName ?? "";
  if (!tag.startsWith("ps-") || asked.has(tag) || customElements.get(tag)) return;
  asked.add(tag);
  import(`./${tag.slice(3)}.js`).catch((error) => {
    console.error(error);
    node.replaceChildren(errorNotice(new Error("A part of this page could not be loaded. Reload the page.")));
  });
}

function loadBelow(root) {
  load(root);
  root.querySelectorAll?.(":not(:defined)").forEach(load);
}

// ---------------------------------------------------------------- light and dark

const THEMES = ["system", "light", "dark"];

function applyTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  document.querySelectorAll("[data-ps-theme-name]").forEach((node) => {
    node.textContent = name;
  });
}

function setUpTheme() {
  applyTheme(document.documentElement.dataset.theme ?? "system");
  document.querySelector("[data-ps-theme]")?.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "system";
    const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    try {
      localStorage.setItem("promptoscope-theme", next);
    } catch {
      // Without storage the choice lasts for this page only.
    }
    applyTheme(next);
    announce(`Colours: ${next}`);
  });
}

function setUpSkipLink() {
  document.querySelector(".ps-skip")?.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  });
}

function watchPage() {
  new MutationObserver((changes) => {
    for (const change of changes)
      for (const node of change.addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        loadBelow(node);
        // Gradio draws a main of its own inside ours; a page has one.
        node.parentElement?.querySelectorAll("gradio-app main").forEach((m) => m.setAttribute("role", "presentation"));
      }
  }).observe(document.body, { childList: true, subtree: true });
  loadBelow(document.body);
}

setUpTheme();
setUpSkipLink();
watchPage();
