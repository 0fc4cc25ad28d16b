"""The two drawings of a report as SVG: accuracy by number of sentences, and the map of sentences and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#555555")
"""Colour-blind safe (Okabe and Ito); shapes and labels say the same."""


def line_plot(lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Lines of (number of sentences, accuracy); each is named at its end and has a dash of its own."""
    width, height, left, bottom = 640, 300, 50, 40
    most = max(x for line in lines.values() for x, _ in line)
    lows = [y for line in lines.values() for _, y in line]
    low, high = min(lows) - 0.02, max(lows) + 0.02
    across = lambda x: left + (width - left - 110) * (x - 1) / max(most - 1, 1)  # noqa: E731
    up = lambda y: (height - bottom) * (1 - (y - low) / (high - low)) + 5  # noqa: E731
    found = [
        f'<text x="{left}" y="{height - 8}">1</text><text x="{across(most) - 8:.0f}" y="{height - 8}">{most:g}</text>'
        f'<text x="{width / 2 - 110:.0f}" y="{height - 8}">sentences a class</text>'
        f'<text x="0" y="{up(low):.0f}">{low:.0%}</text><text x="0" y="{up(high) + 8:.0f}">{high:.0%}</text>'
    ]
    # all orders end with all sentences, so that their names stand below each other
    named = max(14.0, up(lows[-1]) - 24)
    for at, (name, line) in enumerate(lines.items()):
        points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line)
        dash = ("", "2 3", "7 3", "9 3 2 3")[at % 4]
        found.append(
            f'<polyline points="{points}" fill="none" stroke="{COLORS[at]}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
            f'<text x="{across(most) + 6:.0f}" y="{named + 16 * at:.0f}" style="fill:{COLORS[at]}">'
            f"{name}</text>"
        )
    label = "Accuracy by number of sentences a class; the table below holds the same numbers"
    return _svg(width, height, label, found)


def scatter(points: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str:
    """Sentences as dots, prototypes as squares, image centroids as triangles, each scaled within its own kind."""
    width, height, edge = 640, 420, 40
    found = []
    for kinds in (("sentence", "prototype"), ("images",)):
        own = [point for point in points if point["kind"] in kinds]
        reach = max((max(abs(point["x"]), abs(point["y"])) for point in own), default=1.0) or 1.0
        for point in own:
            x = width / 2 + (height / 2 - edge) * point["x"] / reach
            y = height / 2 - (height / 2 - edge) * point["y"] / reach
            found.append(_mark(point, x, y, COLORS[classes.index(point["class"]) % len(COLORS)]))
    label = "Map of sentences (dots), class prototypes (squares) and image centroids (triangles); see the table below"
    about = "Dots are sentences, squares prototypes, triangles image centroids (on a scale of their own)."
    drawing = (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{label}">{"".join(found)}</svg>'
    )
    return f"{drawing}<p class=small>{about}</p>"


def _mark(point: Mapping[str, Any], x: float, y: float, color: str) -> str:
    name = escape(f"{point['class']}: {point.get('text', point['kind'])}")
    if point["kind"] == "sentence":
        return (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}" fill-opacity=".7"><title>{name}</title></circle>'
        )
    text = f'<text x="{x + 9:.1f}" y="{y + 4:.1f}">{escape(point["class"])}</text>'
    if point["kind"] == "prototype":
        corner = f'x="{x - 5:.1f}" y="{y - 5:.1f}"'
        return f'<rect {corner} width="10" height="10" fill="{color}"><title>{name}</title></rect>{text}'
    corners = f"{x:.1f},{y - 7:.1f} {x - 7:.1f},{y + 6:.1f} {x + 7:.1f},{y + 6:.1f}"
    outline = f'fill="none" stroke="{color}" stroke-width="2"'
    return f'<polygon points="{corners}" {outline}><title>{name}</title></polygon>{text}'


def _svg(width: int, height: int, label: str, marks: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    return f'<svg {size} role="img" aria-label="{label}">{"".join(marks)}</svg>'
