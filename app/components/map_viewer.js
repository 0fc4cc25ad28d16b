// One state of zoom, place and colour for all panes; it stays when another image comes.
const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
const STEP = 0.12;
const state = { zoom: 0, x: 0.5, y: 0.5, opacity: 0.6, open: null };

const made = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
};

const short = (value) => {
  if (value === 0) return "0";
  return Math.abs(value) >= 0.01 && Math.abs(value) < 1000 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
};

const held = (value) => {
  const margin = 0.5 / ZOOMS[state.zoom];
  return Math.min(1 - margin, Math.max(margin, value));
};

const place = () => {
  const zoom = ZOOMS[state.zoom];
  [state.x, state.y] = [held(state.x), held(state.y)];
  for (const layers of element.querySelectorAll(".layers")) {
    layers.style.transform = `scale(${zoom}) translate(${(0.5 - state.x) * 100}%, ${(0.5 - state.y) * 100}%)`;
  }
  for (const colours of element.querySelectorAll(".colours")) colours.style.opacity = state.opacity;
};

const zoom = (by) => {
  state.zoom = Math.min(ZOOMS.length - 1, Math.max(0, state.zoom + by));
  place();
};
const move = (right, down) => {
  state.x += (right * STEP) / ZOOMS[state.zoom];
  state.y += (down * STEP) / ZOOMS[state.zoom];
  place();
};
const reset = () => {
  Object.assign(state, { zoom: 0, x: 0.5, y: 0.5 });
  place();
};

const KEYS = {
  "+": () => zoom(1),
  "=": () => zoom(1),
  "-": () => zoom(-1),
  0: reset,
  ArrowLeft: () => move(-1, 0),
  ArrowRight: () => move(1, 0),
  ArrowUp: () => move(0, -1),
  ArrowDown: () => move(0, 1),
};

const frame = (map, value) => {
  const colours = map.layer ? made("img", { class: "colours", src: map.layer, alt: "", draggable: "false" }) : null;
  const picture = made("img", { src: value.picture, alt: map.alt, draggable: "false" });
  const layers = made("div", { class: "layers" }, picture, colours);
  const label = `${map.title}. Plus and minus zoom, arrows move, 0 resets, Enter chooses the middle.`;
  const box = made("div", { class: "frame", tabindex: "0", role: "group", "aria-label": label }, layers);
  const choose = (x, y) => trigger("select", { kind: map.kind, x, y });
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") choose(state.x, state.y);
    else if (KEYS[event.key]) KEYS[event.key]();
    else return;
    event.preventDefault();
  });
  box.addEventListener("click", (event) => {
    const inside = layers.getBoundingClientRect();
    choose((event.clientX - inside.left) / inside.width, (event.clientY - inside.top) / inside.height);
  });
  return box;
};

const bar = (map) => {
  if (!map.bar || !map.bar.length) return null;
  const stops = map.bar.map((stop) => stop.colour).join(", ");
  const strip = made("div", { class: "strip", "aria-hidden": "true" });
  strip.style.background = `linear-gradient(to right, ${stops})`;
  const marks = [0, Math.floor((map.bar.length - 1) / 2), map.bar.length - 1];
  const numbers = made("div", { class: "numbers" }, ...marks.map((at) => made("span", { text: short(map.bar[at].value) })));
  return made("div", { class: "bar" }, strip, numbers, made("small", { text: map.unit || "" }));
};

const pane = (map, value) =>
  made("figure", { class: "pane" }, made("figcaption", { text: map.title }), frame(map, value), bar(map));

const tool = (words, label, act) => {
  const button = made("button", { type: "button", "aria-label": label, text: words });
  button.addEventListener("click", act);
  return button;
};

const tools = (maps) => {
  const slider = made("input", { type: "range", min: "0", max: "1", step: "0.05", "aria-label": "Strength of the colours" });
  slider.value = String(state.opacity);
  slider.addEventListener("input", () => {
    state.opacity = Number(slider.value);
    place();
  });
  const switches = maps.map((map) => {
    const box = made("input", { type: "checkbox" });
    box.checked = state.open.has(map.kind);
    box.addEventListener("change", () => {
      if (box.checked) state.open.add(map.kind);
      else state.open.delete(map.kind);
      showPanes();
    });
    return made("label", {}, box, made("span", { text: map.title }));
  });
  return made(
    "div",
    { class: "tools" },
    made("label", {}, made("span", { text: "Colours" }), slider),
    made(
      "span",
      { class: "moves", role: "group", "aria-label": "Zoom and move all pictures" },
      tool("−", "Zoom out", () => zoom(-1)),
      tool("+", "Zoom in", () => zoom(1)),
      tool("Reset", "Show the whole pictures", reset),
    ),
    made("details", {}, made("summary", { text: "Maps shown" }), made("div", { class: "switches" }, ...switches)),
  );
};

const showPanes = () => {
  const value = props.value;
  const original = { kind: "original", title: "What the model sees", alt: value.alt || "" };
  const open = value.maps.filter((map) => state.open.has(map.kind));
  element.querySelector(".panes").replaceChildren(...[original, ...open].map((map) => pane(map, value)));
  place();
};

const draw = () => {
  const box = element.querySelector(".map_viewer");
  const value = props.value;
  if (!value || !value.picture) {
    box.replaceChildren(made("p", { class: "empty", text: "No maps yet: give an image." }));
    return;
  }
  const known = state.open && value.maps.some((map) => state.open.has(map.kind));
  if (!known) state.open = new Set(value.maps.filter((map) => map.shown).map((map) => map.kind));
  box.replaceChildren(tools(value.maps), made("div", { class: "panes" }));
  showPanes();
};

draw();
watch("value", draw);
