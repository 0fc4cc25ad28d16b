"""Words that facts of a study are told with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.images.image_set import ImageSet
from core.reporting.study import Study

MOST_LISTED = 12


def methods_of(study: Study) -> list[str]:
    """Titles of the methods, each once."""
    return list(dict.fromkeys(run["method_title"] for run in study.runs))


def values_of(study: Study, name: str) -> list[str]:
    """Different values of a field of the runs."""
    return sorted({str(run[name]) for run in study.runs if run.get(name)})


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence, the last ones of a long list counted."""
    known = list(words)
    if len(known) > MOST_LISTED:
        return f"{', '.join(known[:MOST_LISTED])} and {len(known) - MOST_LISTED} more"
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} and {known[-1]}" if known else ""


def span(values: Sequence[int]) -> str:
    """The smallest and the largest of values."""
    known = sorted(set(values))
    if not known:
        return ""
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def number(value: int | None) -> str:
    """A count in words."""
    return "an unknown number of" if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A fraction in percent."""
    return "unknown" if value is None else f"{100 * value:.1f} %"


def sets_here(study: Study) -> list[tuple[str, ImageSet]]:
    """Name and images of the sets that are still here."""
    return [(each.name, each.images) for each in study.sets if each.images is not None]


def temperatures(study: Study) -> str:
    """How probabilities were calibrated."""
    known = [run for run in study.runs if (run["calibration"] or {}).get("n")]
    if not known:
        return "probabilities are not calibrated, for no images were kept for it."
    counts = span([run["calibration"]["n"] for run in known])
    values = [run["temperature"] for run in known if run["temperature"] is not None]
    return (
        f"probabilities of {len(known)} of {len(study.runs)} runs are calibrated by one temperature "
        f"({min(values):.2f} to {max(values):.2f}) on {counts} validation images."
    )
