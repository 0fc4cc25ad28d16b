"""What can be measured on a page in the browser: contrast, targets, names, landmarks, width."""

from __future__ import annotations

from typing import Any

# Everything a person meets is measured; what is disabled, hidden or lies over a picture is not.
MEASURE = r"""
() => {
  const LANDMARKS = [
    "body > header", "nav[aria-label='Pages']", "main:not([role=presentation])", "body > footer", "h1",
  ];
  const shows = { checkOpacity: true, checkVisibilityCSS: true };
  const seen = (e) => e.checkVisibility(shows) && e.getBoundingClientRect().width > 1;
  const where = (e) => `${e.localName}.${e.className} "${(e.textContent || e.value || "").trim().slice(0, 40)}"`;
  const rgb = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const part = (v) => ((v /= 255), v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const ground = (e) => {
    for (let n = e; n; n = n.parentElement) {
      const c = rgb(getComputedStyle(n).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const unmeasured = "script, style, noscript, svg, :disabled, .ps-visually-hidden, .ps-skip";
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !seen(e) || e.closest(unmeasured)) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(rgb(style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const px = parseFloat(style.fontSize);
    const isLarge = px >= 24 || (px >= 18.66 && style.fontWeight >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) faint.push(`${where(e)} ${ratio.toFixed(2)}`);
  }
  const controls = [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter(
    (e) => seen(e) && !e.closest(".ps-skip, .ps-visually-hidden"));
  // Links inside a sentence may be as low as its line.
  const small = controls.filter((e) => {
    const r = e.getBoundingClientRect();
    return !(e.localName === "a" && getComputedStyle(e).display === "inline") && (r.width < 24 || r.height < 24);
  }).map(where);
  const labels = (e) => [...(e.labels || [])].map((label) => label.textContent).join("");
  const name = (e) =>
    (e.getAttribute("aria-label") || e.textContent.trim() || e.querySelector("img")?.alt || labels(e)).trim();
  const nameless = controls.filter((e) => !name(e)).map(where);
  const imagesWithoutAlt = [...document.images].filter((i) => !i.hasAttribute("alt")).map((i) => i.src);
  const count = (selector) => [...document.querySelectorAll(selector)].filter(seen).length;
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id).filter(Boolean);
  return {
    faint, small, nameless, imagesWithoutAlt,
    doubleIds: ids.filter((id, i) => ids.indexOf(id) !== i),
    landmarks: LANDMARKS.map(count),
    overflow: document.documentElement.scrollWidth - innerWidth,
  };
}
"""

NOTHING_WRONG = {
    "faint": [],
    "small": [],
    "nameless": [],
    "imagesWithoutAlt": [],
    "doubleIds": [],
    "landmarks": [1, 1, 1, 1, 1],
    "overflow": 0,
}


def measured(page: Any) -> dict[str, Any]:
    """What is wrong on the page now; equal to NOTHING_WRONG where all is well."""
    return page.evaluate(MEASURE)
