"""What a model is worth by its card: its accuracy on test images against guessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def standing(card: Mapping[str, Any]) -> dict[str, Any]:
    """{metric, value, low, high, chance, n, above_chance, sentence} of a model card.

    Balanced accuracy against one over the classes tested: no answer that ignores the image does better, however
    unequal the classes are. Where its interval is unknown, accuracy against always naming the most frequent class.
    above_chance: the 95 % interval lies above chance; None where the card does not say.
    """
    table = np.asarray(card.get("confusion") or [])
    metrics, intervals = card.get("metrics") or {}, card.get("intervals") or {}
    for metric, chance in _by_chance(table).items():
        low = (intervals.get(metric) or {}).get("low")
        if metrics.get(metric) is not None and low is not None:
            return _told(metric, metrics[metric], intervals[metric], chance, int(table.sum()))
    return {
        "metric": None,
        "value": None,
        "low": None,
        "high": None,
        "chance": None,
        "n": int(table.sum()),
        "above_chance": None,
        "sentence": "How good this model is on test images is not known.",
    }


def _by_chance(table: np.ndarray) -> dict[str, float]:
    images = table.sum(axis=1) if table.ndim == 2 else np.zeros(0)
    if not images.sum() or (images > 0).sum() < 2:
        return {}
    return {"balanced_accuracy": float(1 / (images > 0).sum()), "accuracy": float(images.max() / images.sum())}


def _told(metric: str, value: float, interval: Mapping[str, Any], chance: float, n: int) -> dict[str, Any]:
    low, high = float(interval["low"]), float(interval["high"])
    above = low > chance
    name = metric.replace("_", " ").capitalize()
    verdict = "above guessing" if above else "not surely above guessing"
    return {
        "metric": metric,
        "value": float(value),
        "low": low,
        "high": high,
        "chance": chance,
        "n": n,
        "above_chance": above,
        "sentence": f"{name} of this model: {value:.2f} [{low:.2f}, {high:.2f}] on {n} test images, "
        f"{verdict} ({chance:.2f}).",
    }
