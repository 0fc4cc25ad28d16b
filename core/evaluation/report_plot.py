"""The drawing of one group of a comparison as SVG: means with their intervals, and lines at what is to be beaten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, LEFT, STEP = 720, 260, 26


def interval_plot(rows: Sequence[tuple[str, Mapping[str, Any]]], best_simple: str | None = None) -> str:
    """One line a row, from 0 to 100 % balanced accuracy. rows: name and row; those without a mean are left out.

    best_simple: the name of the best row of a method that learns without steps.
    """
    known = [(name, row) for name, row in rows if row["mean"] is not None]
    height = STEP * len(known) + 30
    across = lambda value: LEFT + (WIDTH - LEFT - 30) * value  # noqa: E731
    found = [f'<text x="{across(at):.0f}" y="{height - 6}">{at:.0%}</text>' for at in (0, 0.5, 1)]
    for name, row in known:
        if row["is_baseline"] or name == best_simple:
            x, dashes = f"{across(row['mean']):.1f}", "4 3" if row["is_baseline"] else "1 4"
            found.append(
                f'<path d="M{x} 0V{height - 24}" stroke="#D55E00" stroke-width="2" stroke-dasharray="{dashes}"/>'
            )
    for at, (name, row) in enumerate(known):
        y = STEP * at + 14
        found.append(f'<text x="0" y="{y + 4}">{escape(name[:38])}</text>')
        if row["low"] is not None and row["high"] is not None:
            ends = f"M{across(row['low']):.1f} {y}H{across(row['high']):.1f}"
            found.append(f'<path d="{ends}" stroke="#0072B2" stroke-width="2"/>')
        found.append(f'<circle cx="{across(row["mean"]):.1f}" cy="{y}" r="4" fill="#0072B2"/>')
    lines = "Dashed: zero-shot." + (f" Dotted: {best_simple}, the best simple method." if best_simple else "")
    label = escape(f"Balanced accuracy with 95 % intervals. {lines} The table below holds the same numbers", quote=True)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
    return f'<svg {size} role="img" aria-label="{label}">{"".join(found)}</svg><p>{escape(lines)}</p>'
