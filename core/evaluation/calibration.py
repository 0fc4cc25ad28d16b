"""One temperature per model, fitted on validation images, that makes stated confidence match accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import InvalidInput

PRIOR_SIGMA = 0.5
"""Standard deviation of log T before any image is seen: T lies in 1/2.7 .. 2.7 with 95 %. Weak beside 60 images."""
TEMPERATURES = (0.01, 100.0)
"""The smallest and the largest temperature that is ever chosen."""
LOG_BOUNDS = (np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1]))
FEW_IMAGES = 30


@dataclass(frozen=True)
class Temperature:
    """value: what logits are divided by. n: validation images behind it. note: how far to trust it, in words."""

    value: float
    n: int
    note: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"value": self.value, "n": self.n, "note": self.note}


def fit_temperature(logits: np.ndarray, labels: np.ndarray, prior_sigma: float = PRIOR_SIGMA) -> Temperature:
    """The temperature with the highest posterior on validation images.

    Minimises sum_i -log softmax(logits_i / T)[label_i] + (log T)^2 / (2 prior_sigma^2) over T in [0.01, 100]. The
    prior keeps a handful of perfectly classified images from driving T to 0. logits: (n, classes). labels: (n,).
    With no image T is 1 and the note says so. The order of classes never changes. Raises InvalidInput for logits that
    are not finite. Source: temperature scaling of Guo et al. 2017, with a Gaussian prior on log T.
    """
    from scipy.optimize import minimize_scalar

    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels).astype(np.int64)
    if not y.size:
        return Temperature(1.0, 0, "No validation image was left: probabilities are not calibrated.")
    if z.ndim != 2 or z.shape[0] != y.size or not np.isfinite(z).all():
        raise InvalidInput(
            "Calibration needs finite logits (images, classes) and one label an image",
            f"found shapes {z.shape} and {y.shape}" + ("" if np.isfinite(z).all() else " with values not finite"),
            "Not-a-number means that training diverged: choose a smaller learning rate.",
        )

    def loss(log_t: float) -> float:
        return negative_log_likelihood(z / np.exp(log_t), y) + log_t**2 / (2 * prior_sigma**2)

    # The bounded search finds one valley only, and the sum of the two parts may have two: look around first.
    grid = np.linspace(*LOG_BOUNDS, 41)
    best = int(np.argmin([loss(u) for u in grid]))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, 40)])
    found = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-6})
    return Temperature(float(np.exp(found.x)), int(y.size), _note(y.size))


def apply_temperature(logits: np.ndarray, temperature: Temperature | float) -> np.ndarray:
    """Probabilities (n, classes) from logits divided by the temperature."""
    value = temperature.value if isinstance(temperature, Temperature) else float(temperature)
    if not 0 < value < np.inf:
        raise InvalidInput("A temperature is a finite number above 0", f"found {value:g}", "Use 1 for no calibration.")
    return np.exp(_log_softmax(np.asarray(logits, dtype=np.float64) / value))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Sum over images of minus the log probability of the true class, in nats."""
    return float(-_log_softmax(logits)[np.arange(len(labels)), labels].sum())


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _note(n: int) -> str:
    images = "1 validation image" if n == 1 else f"{n} validation images"
    if n < FEW_IMAGES:
        return f"Calibrated on {images} only: take probabilities as rough."
    return f"Calibrated on {images}."
