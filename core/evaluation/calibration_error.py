"""How far stated probabilities are from what happens: proper scores, a debiased error, and the reliability diagram."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.evaluation.calibration import apply_temperature, fit_temperature
from core.evaluation.intervals import wilson_interval
from core.evaluation.metrics import checked

NULL_DRAWS = 999
MOST_BINS, IMAGES_PER_BIN = 15, 20
MOST_DRAWN = 2000
"""Larger bins are drawn from the normal distribution that their mean has."""
LEAST_PROBABILITY = 1e-12
NO_PRIOR = 1e6
"""Standard deviation of log T that leaves the choice to the images."""


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over images of sum over classes (p_c - [c is true])^2, between 0 (best) and 2. Source: Brier 1950."""
    p, y = checked(probabilities, labels)
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())


def brier_skill(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    """1 - Brier / Brier of always stating the class shares of these images; above 0 is better; None for one class."""
    p, y = checked(probabilities, labels)
    shares = np.bincount(y, minlength=p.shape[1]) / len(y)
    base = float(1 - (shares**2).sum())
    return 1 - brier(p, y) / base if base > 0 else None


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over images of minus the log probability of the true class, in nats."""
    p, y = checked(probabilities, labels)
    return float(-np.log(np.maximum(p[np.arange(len(y)), y], LEAST_PROBABILITY)).mean())


def mass_bins(confidence: np.ndarray, bins: int | None = None) -> list[np.ndarray]:
    """Positions of images in bins of equal size by confidence, ties in their order: max(2, min(15, n // 20)) bins."""
    wanted = bins or max(2, min(MOST_BINS, len(confidence) // IMAGES_PER_BIN))
    order = np.argsort(confidence, kind="stable")
    return [part for part in np.array_split(order, min(wanted, len(order))) if len(part)]


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Error of the top class over bins of equal mass, beside what a perfectly calibrated model would show.

    value: sum n_b/n |accuracy_b - confidence_b|. expected, expected_high, p: mean, 95th percentile and p-value of it
    over 999 draws in which each answer is right with its stated probability; images count as independent. square:
    sum n_b/n [(accuracy_b - confidence_b)^2 - accuracy_b (1 - accuracy_b) / (n_b - 1)], debiased, may be negative.
    root: its square root where it is positive, else None. Bins of one image add no correction. Sources: Broecker 2012;
    Ferro and Fricker 2012 (square).
    """
    p, y = checked(probabilities, labels)
    confidence, right = p.max(axis=1), (p.argmax(axis=1) == y).astype(np.float64)
    bins = mass_bins(confidence)
    shown = np.array([[right[part].mean() for part in bins]])
    value = float(_error(shown, confidence, bins)[0])
    null = _error(_null(confidence, bins, seed), confidence, bins)
    square = 0.0
    for part in bins:
        accuracy, gap = right[part].mean(), right[part].mean() - confidence[part].mean()
        square += len(part) / len(y) * (gap**2 - accuracy * (1 - accuracy) / max(1, len(part) - 1))
    return {
        "value": value,
        "n": len(y),
        "bins": len(bins),
        "expected": float(null.mean()),
        "expected_high": float(np.quantile(null, 0.95)),
        "p": float((1 + (null >= value - 1e-12).sum()) / (NULL_DRAWS + 1)),
        "square": float(square),
        "root": float(np.sqrt(square)) if square > 0 else None,
    }


def reliability(probabilities: np.ndarray, labels: np.ndarray, repeats: int = 1, seed: int = 0) -> list[dict[str, Any]]:
    """The reliability diagram: one row a bin of equal mass by the top probability.

    A row: low, high (least and greatest confidence), n, confidence, accuracy, accuracy_low, accuracy_high (Wilson,
    95 %), expected_low, expected_high (2.5 to 97.5 % of the accuracy that a calibrated model would show here). repeats:
    how many runs answered each image; intervals count images, not answers.
    """
    p, y = checked(probabilities, labels)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    bins = mass_bins(confidence, max(2, min(MOST_BINS, len(y) // repeats // IMAGES_PER_BIN)))
    found = []
    for part, shown in zip(bins, _null(confidence, bins, seed).T, strict=True):
        hits, images = int(right[part].sum()), max(1, round(len(part) / repeats))
        between = wilson_interval(round(hits * images / len(part)), images)
        mean = float(confidence[part].mean())
        # draws count answers; those of one image by several runs are one piece of evidence
        low, high = (mean + (np.quantile(shown, q) - mean) * np.sqrt(repeats) for q in (0.025, 0.975))
        found.append(
            {
                "low": float(confidence[part].min()),
                "high": float(confidence[part].max()),
                "n": len(part),
                "confidence": mean,
                "accuracy": hits / len(part),
                "accuracy_low": between.low,
                "accuracy_high": between.high,
                "expected_low": float(max(0.0, low)),
                "expected_high": float(min(1.0, high)),
            }
        )
    return found


def measured_calibration(logits: np.ndarray, temperature: float, labels: np.ndarray, grouped: bool) -> dict[str, Any]:
    """What a run records of its test part: brier, brier_skill, log_loss, error, test_temperature, slope, sentence.

    logits: uncalibrated (images, classes). test_temperature: the T that the test part itself would choose, a diagnosis
    that is never used; slope: the temperature over it, below 1 where stated probabilities are too sure. grouped:
    whether images share patients, which the null leaves out.
    """
    probabilities = apply_temperature(logits, temperature)
    error = calibration_error(probabilities, labels)
    own = fit_temperature(logits, labels, prior_sigma=NO_PRIOR).value
    return {
        "brier": brier(probabilities, labels),
        "brier_skill": brier_skill(probabilities, labels),
        "log_loss": log_loss(probabilities, labels),
        "error": error,
        "test_temperature": own,
        "slope": temperature / own,
        "sentence": _sentence(error, grouped),
    }


def _sentence(error: dict[str, Any], grouped: bool) -> str:
    images = "1 image" if error["n"] == 1 else f"{error['n']} images"
    said = (
        f"Calibration error {error['value']:.2f} on {images}; a perfectly calibrated model would show "
        f"{error['expected']:.2f}, up to {error['expected_high']:.2f}."
    )
    return said + (" Images of one patient count as independent there." if grouped else "")


def _null(confidence: np.ndarray, bins: list[np.ndarray], seed: int) -> np.ndarray:
    """Accuracy of each bin (draws, bins) where each answer is right with its stated probability."""
    draw = np.random.default_rng(seed)
    found = []
    for part in bins:
        stated = confidence[part]
        if len(part) > MOST_DRAWN:
            spread = np.sqrt((stated * (1 - stated)).sum()) / len(part)
            found.append(draw.normal(stated.mean(), spread, NULL_DRAWS))
        else:
            found.append((draw.random((NULL_DRAWS, len(part))) < stated).mean(axis=1))
    return np.stack(found, axis=1)


def _error(accuracy: np.ndarray, confidence: np.ndarray, bins: list[np.ndarray]) -> np.ndarray:
    """Error (draws,) of accuracies (draws, bins)."""
    gaps = [len(b) * np.abs(accuracy[:, at] - confidence[b].mean()) for at, b in enumerate(bins)]
    return np.sum(gaps, axis=0) / len(confidence)
