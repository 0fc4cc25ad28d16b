"""One explained image as one HTML file that loads nothing: maps with their tables, trust, region, what-if and settings.

The file holds the picture, so it is patient data wherever the picture is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from core.evaluation.report_page import RESEARCH_USE, bullets, html_page, table
from core.explain.map_drawing import (
    FONT,
    PICTURE_PX,
    cell_words,
    data_address,
    frame_facts,
    map_facts,
    map_height,
    map_marks,
    picture_mark,
)

STYLE = (
    "figure{display:inline-block;margin:.5rem 1rem .5rem 0;max-width:100%;vertical-align:top;width:448px}"
    "figcaption{font-weight:600;margin-bottom:.3rem}figure img{max-width:100%;height:auto;display:block}"
    "details table{font-size:.75em}h1,h2,p,li,td{overflow-wrap:anywhere}.store{position:absolute}"
    "@media print{body{max-width:none;margin:0}figure{break-inside:avoid}@page{size:A4;margin:15mm}}"
)
HOLDS = (
    "This file holds the picture and its name: where that is patient data, this file is too. A map shows what the "
    "model used, not where disease is."
)
SEEN = "seen"
SHARE_COLUMNS = ("Map", "Inside", "Outside", "Area", "Strongest patch inside", "By chance", "Inside, raw")
TRUST_COLUMNS = ("Map", "State", "p", "Drop", "Random maps, mean", "Random maps, 90 %", "What it says")
WHAT_IF_COLUMNS = ("Vectors", "Stand", "On vectors", "On class token", "On patches", "In the region", "Answer")


def case_page(
    found: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    view: Image.Image,
    about: Sequence[tuple[str, str]] = (),
) -> str:
    """The page of an explanation as `Explanation.as_dict` gives it.

    arrays: its maps (rows, columns). view: what the model sees. about: further facts of model and image, name and
    words.
    """
    title = f"Evidence for '{found['class']}' in {found.get('image') or 'an image'}"
    body = (
        f"<h1>{escape(title)}</h1>{RESEARCH_USE}<p>{escape(HOLDS)}</p><p><strong>{escape(found['text'])}</strong></p>"
        f"{bullets(found.get('notes') or ())}<h2>Maps</h2>{_maps(found, arrays, view)}"
        f"<h2>Probabilities</h2>{_probabilities(found)}{_trust(found.get('trust') or {})}{_region(found)}"
        f"{_what_if(found.get('what_if') or ())}{_signatures(found.get('signatures') or ())}"
        f"<h2>Settings</h2>{table(('What', 'Value'), [*about, *_settings(found)])}"
    )
    return html_page(title, body, STYLE)


def _maps(found: Mapping[str, Any], arrays: Mapping[str, np.ndarray], view: Image.Image) -> str:
    drawn = [entry for entry in found["maps"] if entry.get("scale") and entry["kind"] in arrays]
    if not drawn:
        return "<p>There is no map.</p>"
    size = f'width="{PICTURE_PX}" height="{PICTURE_PX}"'
    store = f'<svg width="0" height="0" class="store"><defs>{picture_mark(view, SEEN)}</defs></svg>'
    first = (
        f"<figure><figcaption>What the model sees</figcaption>"
        f'<img {size} alt="The image as the model sees it." src="{data_address(view)}"></figure>'
    )
    return store + first + "".join(_figure(entry, arrays[entry["kind"]]) for entry in drawn)


def _figure(entry: Mapping[str, Any], values: np.ndarray) -> str:
    box = f'viewBox="0 0 {PICTURE_PX} {map_height()}" width="{PICTURE_PX}" height="{map_height()}"'
    drawing = map_marks(entry, values, f'<use href="#{SEEN}"/>')
    facts = "".join(f"<br>{escape(name)}: {escape(words)}" for name, words in map_facts(entry, values))
    head = ("Row", *(str(column + 1) for column in range(values.shape[1])))
    rows = [(str(at + 1), *(cell_words(value) for value in row)) for at, row in enumerate(values)]
    return (
        f"<figure><figcaption>{escape(entry['title'])}</figcaption>"
        f'<svg {box} {FONT} role="img" aria-label="{escape(entry["alt"], quote=True)}">{drawing}</svg>'
        f"<p>{escape(entry['alt'])}{facts}</p>"
        f"<details><summary>Values of all patches</summary>{table(head, rows)}</details></figure>"
    )


def _probabilities(found: Mapping[str, Any]) -> str:
    rows = sorted(found["probabilities"].items(), key=lambda pair: -pair[1])
    return table(("Class", "Probability"), [(name, f"{value:.3f}") for name, value in rows])


def _trust(trust: Mapping[str, Any]) -> str:
    tests = [*(trust.get("maps") or ()), *(trust.get("others") or ())]
    if not tests:
        return "<h2>How far to trust the maps</h2><p>Not tested yet.</p>"
    model = (trust.get("model") or {}).get("sentence", "")
    truth = trust.get("true_class")
    known = f"The true class is '{truth}'." if truth else "The true class is not known."
    return (
        f"<h2>How far to trust the maps</h2><p>{escape(model)} {escape(known)}</p>"
        f"{table(TRUST_COLUMNS, [_test_row(test) for test in tests])}"
    )


def _test_row(test: Mapping[str, Any]) -> tuple[str, ...]:
    if "p" not in test:
        return (test["title"], test["state"], "", "", "", "", test["sentence"])
    between = f"{test['random_low']:.2f} to {test['random_high']:.2f}"
    p = test["p_worse"] if test["state"] == "worse than random" else test["p"]
    numbers = (f"{p:.3g}", f"{test['drop']:.2f}", f"{test['random_drop']:.2f}", between)
    return (test["title"], test["state"], *numbers, test["sentence"])


def _region(found: Mapping[str, Any]) -> str:
    region = found.get("region")
    if not region:
        return ""
    titles = {entry["kind"]: entry["title"] for entry in found["maps"]}
    rows = [
        (
            titles.get(kind, kind),
            *(_part(shares[name]) for name in ("map_share", "outside_share", "area_share")),
            "yes" if shares["pointing_hit"] else "no",
            *(_part(shares[name]) for name in ("chance_hit", "raw_inside")),
        )
        for kind, shares in region["maps"].items()
    ]
    mask = region["mask"]
    said = f"{mask['marked_px']} pixels of the original are marked, {mask['seen_px']:.0f} of them seen by the model."
    body = table(SHARE_COLUMNS, rows) if rows else ""
    return f"<h2>In the marked region</h2><p>{escape(said)} {escape(region.get('note') or '')}</p>{body}"


def _what_if(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    shares = ("zero_share", "class_token_share", "patch_share", "lesion_share")
    body = [
        (
            str(row["zero_vectors"]),
            str(row["mode"]),
            *(_part(row.get(name)) for name in shares),
            str(row.get("class") or ""),
        )
        for row in rows
    ]
    return f"<h2>With other numbers of zero vectors</h2>{table(WHAT_IF_COLUMNS, body)}"


def _signatures(signs: Sequence[Mapping[str, Any]]) -> str:
    words = {True: "seen", False: "not seen", None: "not checked"}
    rows = [(sign["title"], words[sign["fires"]], sign["sentence"]) for sign in signs]
    return f"<h2>Signs of a map that misleads</h2>{table(('Sign', 'State', 'What it says'), rows)}" if rows else ""


def _settings(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    chosen = found.get("settings") or {}
    rows = [
        ("Class explained", found["class"]),
        ("Predicted class", found["predicted"]),
        ("Explainer", found.get("explainer") or ""),
        ("What it explains", found.get("scalar") or ""),
        *((name.replace("_", " ").capitalize(), _plain(value)) for name, value in chosen.items()),
        ("Rules", str(found.get("rules") or "")),
        ("Seconds", f"{found['seconds']:.2f}"),
    ]
    return [*rows, *(frame_facts(found["frame"]) if found.get("frame") else [])]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {item}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
