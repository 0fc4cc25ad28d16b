// Names of classes are people's own words: they are set as text, never as HTML.
const made = (tag, classes, text) => {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  if (text !== undefined) node.textContent = text;
  return node;
};

const percent = (share) => {
  if (share > 0.995 && share < 1) return "> 99 %";
  if (share > 0 && share < 0.005) return "< 1 %";
  return `${Math.round(100 * share)} %`;
};

const row = ([name, share], isTop) => {
  const item = made("li", isTop ? "share top" : "share");
  const choose = made("button", "choose");
  choose.type = "button";
  choose.append(made("span", "name", name), made("span", "number", percent(share)));
  choose.addEventListener("click", () => trigger("select", { label: name, probability: share }));
  const track = made("span", "track");
  track.setAttribute("aria-hidden", "true");
  const bar = made("span", "bar");
  bar.style.width = `${(100 * share).toFixed(2)}%`;
  track.append(bar);
  item.append(choose, track);
  return item;
};

const draw = () => {
  const box = element.querySelector(".probability_bars");
  const value = props.value;
  if (!value || !value.probabilities) {
    box.replaceChildren(made("p", "empty", "No answer yet: give an image."));
    return;
  }
  const shares = Object.entries(value.probabilities).sort((a, b) => b[1] - a[1]);
  const list = made("ol", "shares");
  list.append(...shares.map((share, place) => row(share, place === 0 && !value.abstain)));
  const reason = value.abstain ? [made("p", "abstain", `No answer: ${value.abstain}`)] : [];
  box.replaceChildren(...reason, list);
};

draw();
watch("value", draw);
