"""Evidence about a set as one HTML file that needs nothing else: tables, two drawings, and pictures of each sentence.

It holds small copies of training images, so it is made on request only, and stays where it was made.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from core.descriptions.evidence.drawings import line_plot, scatter
from core.descriptions.evidence.scores import SentenceScores
from core.descriptions.evidence.sentences import SentenceEvidence
from core.images.labelled_image import LabelledImage
from core.images.thumbnail import thumbnail

NEAREST, SIZE_PX, QUALITY = 4, 72, 80
VERDICTS = {"helpful": "helpful", "harmful": "harmful", "cannot_tell": "cannot be told"}
CONTROLS = {
    "set": "This set",
    "template": "Template only",
    "random_everyday": "Random everyday words",
    "random_radiological": "Random words of radiology",
    "without_names": "Without class names",
    "wrong_classes": "Dealt to wrong classes",
}
STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.35rem .6rem;vertical-align:top;
border-bottom:1px solid #8886}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.p{display:inline-block;width:72px;height:72px;margin:1px;background:#8882 center/contain no-repeat;
outline:2px solid #8886}
.p.other{outline:2px dashed #D55E00}.s{font-weight:600}.small{font-size:.85em;opacity:.8}svg{max-width:100%;height:auto}
svg text{fill:currentColor;font-size:12px}.wide{overflow-x:auto}@media print{body{max-width:none}}
"""


def evidence_report(
    scores: SentenceScores,
    images: Sequence[LabelledImage],
    rows: Sequence[SentenceEvidence],
    summary: Mapping[str, Any],
    *,
    curve: Mapping[str, Any] | None = None,
    class_map: Mapping[str, Any] | None = None,
) -> str:
    """The report. images: those of `scores`, in their order. summary: as the command prints it, with its controls."""
    parts = [
        _head(summary),
        _controls(summary["controls"]),
        _curve(curve) if curve else "",
        _map(class_map, scores.classes) if class_map else "",
        _sentences(scores, images, rows),
    ]
    shown = sorted({at for row in rows for at in (*nearest(scores, row), *farthest(scores, row))})
    pictures = "".join(f".i{at}{{background-image:url({_picture(images[at])})}}" for at in shown)
    title = escape(f"Evidence about {summary['descriptions']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><style>'
        f"{STYLE}{pictures}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _head(summary: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{summary[name]} {text}" for name, text in VERDICTS.items())
    smallest = summary["smallest_effect"]
    small = "" if smallest is None else f" Effects below about {smallest:.2g} nats are like those of random words."
    groups = f" of {summary['n_groups']} groups" if summary["groups"] == "groups" else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in summary.get("notes", []))
    return (
        f"<h1>Evidence about {escape(str(summary['descriptions']))}</h1>"
        "<p><strong>Research use only. Not for use in diagnostic procedures.</strong> This file holds small copies of "
        f"training images: share it as you would share them.</p><p class=s>{escape(summary['controls']['answer'])}</p>"
        f"<p>{summary['sentences']} sentences: {counts}.{small} On {summary['n_images']} training images"
        f"{groups} of {escape(str(summary['images']))}, backbone "
        f"{escape(str(summary['backbone']))}; no test image was used.</p><ul>{notes}</ul>"
    )


def _controls(found: Mapping[str, Any]) -> str:
    body = "".join(
        f"<tr><th scope=row>{text}</th>{_cells(found[name]['accuracy'], 100, '%')}"
        f"{_cells(found[name]['log_likelihood'])}{_cells(found[name]['log_likelihood'].get('difference'))}"
        f"<td class=n>{_number(found[name]['log_likelihood'].get('p'), 3)}</td>"
        f"<td class=n>{found[name]['accuracy']['n_draws']}</td></tr>"
        for name, text in CONTROLS.items()
        if name in found
    )
    return _table(
        "Controls", ("", "Accuracy", "Log-likelihood, nats", "This set less the control", "p", "Draws"), body,
        f"Means with 95 % intervals; they hold for {escape(found['claim'])}. "
        "p: the share of sets of random words, this set among them, whose log-likelihood is at least as high.",
    )  # fmt: skip


def _curve(found: Mapping[str, Any]) -> str:
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in found["rows"]:
        lines.setdefault(row["order"], []).append((row["n"], row["accuracy"]["mean"]))
    body = "".join(
        f"<tr><td>{row['order']}</td><td class=n>{row['n']}</td>{_cells(row['accuracy'], 100, '%')}"
        f"{_cells(row['log_likelihood'])}</tr>"
        for row in found["rows"]
    )
    filters = "".join(
        f"<tr><td>{'lowers the log-likelihood' if row['filter'] == 'effect' else row['filter']}</td>"
        f"<td class=n>{row['sentences']:.0f}</td>{_cells(row['accuracy'], 100, '%')}"
        f"{_cells(row['difference']['accuracy'], 100, '%')}{_cells(row['difference']['log_likelihood'])}</tr>"
        for row in found["filters"]
    )
    fell = "".join(
        f"<tr><td>{escape(row['class'])}</td><td class=n>{row['n']}</td><td>{escape(row['sentence'])}</td>"
        f"<td class=n>{row['change']:.3f}</td></tr>"
        for row in found["declines"]
    )
    how = f"Orders and filters come from other patients than those measured ({found['folds']} folds)."
    return (
        f"<h2>Accuracy by number of sentences</h2>{line_plot(lines)}"
        + _table("", ("Order", "Sentences a class", "Accuracy", "Log-likelihood, nats"), body, how, folded="Table")
        + _table(
            "", ("Dropped", "Sentences left", "Accuracy", "Change of accuracy", "Change of log-likelihood"), filters, ""
        )
        + _table(
            "Sentences after which the set is worse, in the given order",
            ("Class", "As number", "Sentence", "Change of log-likelihood, nats"),
            fell,
            "Descriptive, on the same images: who comes last is not alone to blame.",
        )
    )


def _map(found: Mapping[str, Any], classes: Sequence[str]) -> str:
    body = "".join(
        f"<tr><td>{row['kind']}</td><td>{escape(row['class'])}</td><td>{escape(row.get('text', ''))}</td>"
        f"<td class=n>{row['x']:.3f}</td><td class=n>{row['y']:.3f}</td>"
        f"<td>{escape(row.get('closest_class', ''))}</td></tr>"
        for row in found["points"]
    )
    shares = " and ".join(f"{share:.0%}" for share in found["explained"])
    about = f"{found['projection'].capitalize()}; {shares} of the variance."
    head = ("Kind", "Class", "Sentence", "x", "y", "Closest images")
    return f"<h2>Map</h2>{scatter(found['points'], classes)}" + _table("", head, body, about, folded="Table")


def _sentences(scores: SentenceScores, images: Sequence[LabelledImage], rows: Sequence[SentenceEvidence]) -> str:
    body = "".join(
        f"<tr><td>{escape(row.class_name)}</td><td><span class=s>{escape(row.sentence)}</span><br>"
        f"{VERDICTS[row.verdict]}<br><span class=small>{escape(row.reason)}{_suspicion(row)}</span></td>"
        f"<td class=n>{_number(row.agreement, 2)}</td>"
        f"<td class=n>{_number(row.effect, 4)}{_range(row.low, row.high, 4)}</td>"
        f"<td class=n>{_number(row.p_adjusted, 3)}</td>"
        f"<td>{_pictures(scores, images, row, nearest(scores, row))}</td>"
        f"<td>{_pictures(scores, images, row, farthest(scores, row))}</td></tr>"
        for row in rows
    )
    head = ("Class", "Sentence", "Agreement", "Effect, nats", "p, corrected", "Nearest images", "Farthest of its class")
    return _table("Sentences", head, body, "Images of other classes have a dashed edge.")


def _suspicion(row: SentenceEvidence) -> str:
    return f"<br>Seems to tell of '{escape(row.suspect_class)}': read it first." if row.suspect_class else ""


def nearest(scores: SentenceScores, row: SentenceEvidence) -> list[int]:
    """Places of the images closest to a sentence, of any class, closest first."""
    return np.argsort(-cosines_of(scores, row), kind="stable")[:NEAREST].tolist()


def farthest(scores: SentenceScores, row: SentenceEvidence) -> list[int]:
    """Places of the images of its class that are farthest from a sentence, farthest first."""
    own = np.flatnonzero(scores.images.labels == scores.classes.index(row.class_name))
    return own[np.argsort(cosines_of(scores, row)[own], kind="stable")][:NEAREST].tolist()


def cosines_of(scores: SentenceScores, row: SentenceEvidence) -> np.ndarray:
    """Cosine of a sentence with each image: (images,)."""
    return scores.images.features @ scores.features[scores.classes.index(row.class_name)][row.index]


def _pictures(
    scores: SentenceScores, images: Sequence[LabelledImage], row: SentenceEvidence, places: Sequence[int]
) -> str:
    cosines, found = cosines_of(scores, row), []
    for at in places:
        name = scores.classes[images[at].label]
        text = escape(f"{name}: {images[at].name}, cosine {cosines[at]:.3f}", quote=True)
        other = "" if name == row.class_name else " other"
        found.append(f'<span class="p i{at}{other}" role="img" aria-label="{text}" title="{text}"></span>')
    return "".join(found)


def _picture(image: LabelledImage) -> str:
    """A data URI of a small JPEG copy."""
    file = io.BytesIO()
    Image.open(io.BytesIO(thumbnail(image.path, SIZE_PX))).save(file, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _table(title: str, head: Sequence[str], body: str, about: str, folded: str = "") -> str:
    columns = "".join(f"<th scope=col>{text}</th>" for text in head)
    table = f"<div class=wide><table><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    table = f"<details><summary>{folded}</summary>{table}</details>" if folded else table
    heading = f"<h2>{title}</h2>" if title else ""
    return f"{heading}{table}" + (f"<p class=small>{about}</p>" if about else "")


def _cells(row: Mapping[str, Any] | None, times: float = 1.0, sign: str = "") -> str:
    if row is None:
        return "<td></td>"
    digits = 1 if sign else 3
    between = _range(row["low"], row["high"], digits, times)
    mean = f"{_number(row['mean'], digits, times)}{sign}{between}"
    return f'<td class=n title="{escape(row["interval"], quote=True)}">{mean}</td>'


def _number(value: float | None, digits: int, times: float = 1.0) -> str:
    return "-" if value is None else f"{value * times:.{digits}f}"


def _range(low: float | None, high: float | None, digits: int, times: float = 1.0) -> str:
    if low is None or high is None:
        return ""
    return f"<br><span class=small>{low * times:.{digits}f} to {high * times:.{digits}f}</span>"
