"""A comparison of runs as one HTML file that needs nothing else: warnings, tables, and a drawing of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from core.evaluation.group_details import row_name
from core.evaluation.report_plot import interval_plot

COSTS = {
    "steps": "Steps",
    "training_seconds": "Training, s",
    "feature_seconds": "Shared features, s",
    "seconds": "In all, s",
    "trainable_parameters": "Trainable parameters",
    "gflops_per_image": "GFLOPs per image",
    "peak_mb": "Peak, MB",
}
COST_WORDS = (
    "Training holds what the method itself took. Features of pictures and texts are computed by whichever run comes "
    "first and kept for all others, so they say nothing of a method; in all also holds measuring and saving, and the "
    "start where a run was trained by itself."
)
RESEARCH_USE = "<p><strong>Research use only. Not for use in diagnostic procedures.</strong></p>"
STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;"
    "padding:0 1rem}table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.35rem .6rem;"
    "vertical-align:top;border-bottom:1px solid #8886}.wide{overflow-x:auto}.warn{border-left:4px solid #D55E00;"
    "padding-left:.8rem}svg{max-width:100%;height:auto}svg text{fill:currentColor;font-size:12px}"
)


def report_page(found: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """The page. found: of `compare_runs`, with or without published numbers. versions: of programs, by name."""
    groups = "".join(group_section(group) for group in found["groups"])
    return html_page(
        "Comparison of runs",
        f"<h1>Comparison of runs</h1>{RESEARCH_USE}{bullets(found['notes'])}{groups}{settings_section(found['groups'])}"
        f"<h2>Versions</h2>{table(('Program', 'Version'), list(versions.items()))}",
    )


def html_page(title: str, body: str, style: str = "") -> str:
    """A whole page that loads nothing. body: HTML. style: further rules."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}{style}</style></head><body>'
        f"{body}</body></html>\n"
    )


def group_section(group: Mapping[str, Any]) -> str:
    """Comparable runs: warnings, verdict, drawing, rows, pairs, classes and cost."""
    rows = group["rows"]
    shots = "all training images" if group["shots"] is None else f"{group['shots']} shots"
    title = f"{group['image_set']['name']}, {group['backbone']}, {shots}, {group['protocol']}"
    against = {each["method_title"]: each for each in group["verdict"]["against"]}
    unique = {each for each in against if sum(row["method_title"] == each for row in rows) == 1}
    body = [_values(row, against.get(row["method_title"]) if row["method_title"] in unique else None) for row in rows]
    head = ("Method", "Balanced accuracy", "95 % interval", "Over", "Claim", "Best less this", "Seeds", "Notes")
    details = group.get("details") or {}
    costs = [(row_name(row), *(_plain(row.get(name)) for name in COSTS), _plain(row.get("precision"))) for row in rows]
    published = [f"{row_name(row)}: {each['sentence']}" for row in rows for each in row.get("published", [])]
    return (
        f"<h2>{escape(title)}</h2>{bullets(group['warnings'], 'warn')}<p>{escape(group['verdict']['sentence'])}</p>"
        f"{interval_plot([(row_name(row), row) for row in rows], details.get('best_simple'))}"
        f"{table(head, body)}{bullets(group['notes'])}{_pairs(details.get('matrix'))}"
        f"{_classes(details.get('per_class') or ())}"
        + (f"<h3>Published numbers</h3>{bullets(published)}" if published else "")
        + f"<h3>Cost</h3><p>{COST_WORDS}</p>{table(('Method', *COSTS.values(), 'Precision'), costs)}"
    )


def _pairs(matrix: Mapping[str, Any] | None) -> str:
    """All pairs, row less column, and the ranks that follow from them."""
    if matrix is None:
        return ""
    names, pairs = matrix["methods"], {}
    for pair in matrix["pairs"]:
        pairs[pair["first"], pair["second"]] = _pair(pair, 1)
        pairs[pair["second"], pair["first"]] = _pair(pair, -1)
    ranks = {name: _ranks(ends) for name, ends in matrix["rank_intervals"].items()}
    body = [(name, *(pairs.get((name, other), "") for other in names), ranks[name]) for name in names]
    words = (
        "Row less column in points of balanced accuracy, with the 95 % interval of the pair (not adjusted for the "
        "number of pairs), on how many images the row was right more, as and less often, p of the pair, and p by "
        f"Holm's procedure over {matrix['n_tests']} pairs. Ranks follow from p by Holm below 0.05."
    )
    return (
        f"<h3>Each against each other</h3><p>{escape(words)}</p>{table(('Method', *names, 'Ranks'), body)}"
        f"<p>{escape(matrix['visible_sentence'])}</p>"
    )


def _pair(pair: Mapping[str, Any], side: int) -> str:
    ends = [None if pair[name] is None else side * pair[name] for name in ("low", "high")[::side]]
    between = _between({"low": ends[0], "high": ends[1]})
    if not between or pair["p"] is None:
        return f"{100 * side * pair['mean']:+z.1f}; {pair['why'] or 'no interval'}"
    counts = [pair[name] for name in ("wins", "ties", "losses")[::side]]
    counted = "" if None in counts else f"; {counts[0]}/{counts[1]}/{counts[2]}"
    holm = "" if pair["p_holm"] is None else f", by Holm {_p(pair['p_holm'])}"
    return f"{100 * side * pair['mean']:+z.1f} ({between}){counted}; p {_p(pair['p'])}{holm}"


def _ranks(ends: Sequence[int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _classes(found: Sequence[Mapping[str, Any]]) -> str:
    """Recall and precision of each class by method."""
    if not found:
        return ""
    body = [
        (each["row"], each["class"], str(each["n"]), _percent(each["recall"]), _percent(each["precision"]))
        for each in found
    ]
    head = ("Method", "Class", "Test images", "Recall", "Precision")
    return f"<h3>By class</h3><p>Means of the seeds.</p>{table(head, body)}"


def _values(row: Mapping[str, Any], against: Mapping[str, Any] | None) -> tuple[str, ...]:
    claim = row["metrics"]["balanced_accuracy"].get("claim")
    between = row["interval"] if row["low"] is None else f"{_between(row)} ({row['interval']})"
    less = ""
    if against is not None:
        less = f"{100 * against['difference']:.1f} points, {_between(against) or against['why']}"
    seeds = ", ".join(str(seed) for seed in row["seeds"])
    return (row_name(row), _percent(row["mean"]), between, row["over"] or "", claim or "", less, seeds, row["note"])


def _between(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None or row["high"] is None else f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _plain(value: Any) -> str:
    return "-" if value is None else f"{value:,.10g}" if isinstance(value, int | float) else str(value)


def settings_section(groups: Sequence[Mapping[str, Any]]) -> str:
    """Variant, epochs, descriptions and options of each row."""
    body = [
        (row_name(row), row["variant"], _plain(row["epochs"]), _plain(row["descriptions"]), _options(row))
        for group in groups
        for row in group["rows"]
    ]
    return f"<h2>Settings</h2>{table(('Method', 'Variant', 'Epochs', 'Descriptions', 'Options'), body)}"


def _options(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row["options"].items() if name != "seed")


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table of texts, which are escaped."""
    columns = "".join(f"<th scope=col>{escape(text)}</th>" for text in head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in body)
    return f"<div class=wide><table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"


def bullets(sentences: Sequence[str], kind: str = "") -> str:
    """The sentences that are not empty as a list, escaped."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences if sentence)
    return f'<ul class="{kind}">{items}</ul>' if items else ""
