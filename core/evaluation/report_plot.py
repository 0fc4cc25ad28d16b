"""The drawing of one group of a comparison as SVG: means with their intervals, and a line at zero-shot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, LEFT, STEP = 720, 260, 26


def interval_plot(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """One line a row, from 0 to 100 % balanced accuracy. rows: name and row; those without a mean are left out."""
    known = [(name, row) for name, row in rows if row["mean"] is not None]
    height = STEP * len(known) + 30
    across = lambda value: LEFT + (WIDTH - LEFT - 30) * value  # noqa: E731
    found = [f'<text x="{across(at):.0f}" y="{height - 6}">{at:.0%}</text>' for at in (0, 0.5, 1)]
    for _, row in known:
        if row["is_baseline"]:
            x = f"{across(row['mean']):.1f}"
            found.append(f'<path d="M{x} 0V{height - 24}" stroke="#D55E00" stroke-dasharray="4 3"/>')
    for at, (name, row) in enumerate(known):
        y = STEP * at + 14
        found.append(f'<text x="0" y="{y + 4}">{escape(name[:38])}</text>')
        if row["low"] is not None and row["high"] is not None:
            ends = f"M{across(row['low']):.1f} {y}H{across(row['high']):.1f}"
            found.append(f'<path d="{ends}" stroke="#0072B2" stroke-width="2"/>')
        found.append(f'<circle cx="{across(row["mean"]):.1f}" cy="{y}" r="4" fill="#0072B2"/>')
    label = "Balanced accuracy with 95 % intervals; dashed: zero-shot. The table below holds the same numbers"
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
    return f'<svg {size} role="img" aria-label="{label}">{"".join(found)}</svg><p>Dashed: zero-shot.</p>'
