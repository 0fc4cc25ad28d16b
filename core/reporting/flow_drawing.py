"""The flow of images as a drawing: boxes from top to bottom, what left the study to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from core.reporting.flow import flow_sentence

WIDTH, LINE, PAD, GAP = 760, 17, 10, 26
MAIN, SIDE = (0, 400), (450, 310)
"""Left end and width of the two columns."""


def flow_drawing(name: str, flow: Mapping[str, Any], drawn: Sequence[Mapping[str, Any]]) -> str:
    """An SVG. flow: of `data_flow`. drawn: of `draws`. The table beside it holds the same numbers."""
    refused = [f"{n:,} {reason.replace('_', ' ')}" for reason, n in flow["refused"].items()]
    copies = [f"{flow['copies']:,} repeat another's bytes (kept)"] if flow["copies"] else []
    steps: list[tuple[list[str], list[str]]] = [
        ([f"{flow['received']:,} files received"], []),
        ([f"{flow['usable']:,} usable images"], [f"Refused: {sum(flow['refused'].values()):,}", *refused, *copies]),
        ([_part(part, counts) for part, counts in flow["parts"].items()], []),
        *((_draw(each), []) for each in drawn),
    ]
    parts, y = [], 1
    for at, (main, side) in enumerate(steps):
        height = max(len(main), len(side), 1) * LINE + 2 * PAD
        parts.append(_box(*MAIN, y, height, main))
        if side:
            parts.append(_box(*SIDE, y, height, side))
            parts.append(f'<path d="M{MAIN[1]} {y + height // 2}H{SIDE[0]}"/>')
        if at < len(steps) - 1:
            parts.append(f'<path d="M{MAIN[1] // 2} {y + height}v{GAP}"/>')
        y += height + GAP
    label = escape(f"Flow of {name}: {flow_sentence(flow)}", quote=True)
    size = f'viewBox="0 0 {WIDTH} {y - GAP + 2}" width="{WIDTH}"'
    return f'<svg class="flow" {size} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _part(part: str, counts: Mapping[str, Any]) -> str:
    groups = f"{counts['groups']:,} patients or groups" if counts["groups"] else "patients unknown"
    return f"{part}: {counts['n']:,} images, {groups}"


def _draw(draw: Mapping[str, Any]) -> list[str]:
    seeds = len(draw["seeds"])
    distinct = "" if draw["distinct_train"] is None else f", {draw['distinct_train']:,} different over {seeds} seeds"
    return [
        f"{draw['amount']}: {_number(draw['train'])} trained on{distinct}",
        f"{_number(draw['validation'])} to calibrate and choose; {_number(draw['tested'])} tested",
    ]


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _box(x: int, width: int, y: int, height: int, lines: Sequence[str]) -> str:
    texts = "".join(
        f'<text x="{x + PAD}" y="{y + PAD + LINE * (at + 1) - 4}">{escape(text)}</text>'
        for at, text in enumerate(lines)
    )
    return f'<rect x="{x + 1}" y="{y}" width="{width - 2}" height="{height}"/>{texts}'
