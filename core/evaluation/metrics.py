"""How good probabilities are on labelled images: six numbers a run, and the tables behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.errors import ClassMismatch, InvalidInput

ECE_BINS = 15
"""Equal-width bins on the top probability, as in Guo et al., On Calibration of Modern Neural Networks, ICML 2017."""


@dataclass(frozen=True)
class Metric:
    """A number in a run's metrics: its key, its name on screen, which way is better, and what it says."""

    name: str
    title: str
    direction: Literal["higher", "lower"]
    help: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "Accuracy", "higher", "Share of test images whose most probable class is the true one."),
        Metric(
            "balanced_accuracy",
            "Balanced accuracy",
            "higher",
            "Mean over classes of the share found (recall), so that a rare class counts as much as a common one. "
            "Classes without a test image are left out.",
        ),
        Metric(
            "macro_f1",
            "Macro F1",
            "higher",
            "Mean over classes of F1, the harmonic mean of precision and recall, over all classes that occur or are "
            "predicted.",
        ),
        Metric(
            "auroc",
            "AUROC",
            "higher",
            "How well each class is ranked above the others, mean over the classes present (one against the rest): "
            "0.5 is chance. Undefined when the test part holds one class only.",
        ),
        Metric(
            "kappa",
            "Cohen's kappa",
            "higher",
            "Agreement with the labels beyond chance, unweighted, between -1 and 1. Undefined when labels and "
            "predictions are all one class.",
        ),
        Metric(
            "ece",
            "Calibration error",
            "lower",
            f"Expected calibration error: mean distance between stated confidence and accuracy over {ECE_BINS} "
            "equal-width bins of the top probability.",
        ),
    )
}
"""The metrics of a run, in the order they are shown."""


def metrics(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str] | None = None
) -> dict[str, float | None]:
    """The numbers of `METRICS` for one set of predictions.

    probabilities: (n, classes), rows sum to 1. labels: (n,), integers. All values are fractions, kappa lies in
    [-1, 1]; auroc and kappa are None where undefined. Raises InvalidInput for empty or impossible probabilities and
    ClassMismatch when `classes` has another length.
    """
    from sklearn import metrics as sk  # a second of import that pages and records do not need

    probabilities, labels = checked(probabilities, labels, classes)
    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    return {
        "accuracy": float(sk.accuracy_score(labels, predicted)),
        "balanced_accuracy": float(
            sk.recall_score(labels, predicted, labels=present, average="macro", zero_division=0.0)
        ),
        "macro_f1": float(sk.f1_score(labels, predicted, average="macro", zero_division=0.0)),
        "auroc": _macro_auroc(probabilities, labels),
        "kappa": _kappa(labels, predicted),
        "ece": expected_calibration_error(probabilities, labels),
    }


def confusion(labels: Sequence[int] | np.ndarray, predicted: Sequence[int] | np.ndarray, n: int) -> list[list[int]]:
    """Counts of images by true class (rows) and predicted class (columns), n x n."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(np.asarray(labels), np.asarray(predicted), labels=range(n)).tolist()


def per_class(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """One row a class: class, n, recall, precision, f1, auroc.

    recall and f1 are None for a class without a test image, precision for one never predicted, auroc where one side
    is empty.
    """
    probabilities, labels = checked(probabilities, labels, classes)
    counts = np.asarray(confusion(labels, probabilities.argmax(axis=1), len(classes)))
    hits, true, called = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    return [
        {
            "class": name,
            "n": int(true[c]),
            "recall": _ratio(hits[c], true[c]),
            "precision": _ratio(hits[c], called[c]),
            "f1": _ratio(2 * hits[c], true[c] + called[c]) if true[c] else None,
            "auroc": _auroc(probabilities[:, c], labels == c),
        }
        for c, name in enumerate(classes)
    ]


def majority_accuracy(labels: Sequence[int] | np.ndarray) -> float:
    """Accuracy of always naming the most common class: what accuracy has to beat."""
    found = np.asarray(labels)
    if not found.size:
        raise InvalidInput("The majority baseline needs labels", "found none", "Give a test part with images.")
    return float(np.unique(found, return_counts=True)[1].max() / found.size)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> float:
    """Distance between confidence and accuracy, averaged over bins by their share of images; in [0, 1]."""
    rows = reliability_bins(probabilities, labels, bins)
    return float(sum(abs(row["accuracy"] - row["confidence"]) * row["n"] for row in rows if row["n"]) / len(labels))


def reliability_bins(probabilities: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> list[dict[str, Any]]:
    """The reliability diagram: one row a bin of the top probability: low, high, n, confidence, accuracy.

    Bins are (low, high], the first takes 0 as well; an empty bin has None for confidence and accuracy.
    """
    probabilities, labels = checked(probabilities, labels)
    top = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.digitize(top, edges, right=True) - 1, 0, bins - 1)
    n = np.bincount(place, minlength=bins)
    confidence = np.bincount(place, weights=top, minlength=bins)
    hits = np.bincount(place, weights=correct, minlength=bins)
    return [
        {
            "low": float(edges[b]),
            "high": float(edges[b + 1]),
            "n": int(n[b]),
            "confidence": _ratio(confidence[b], n[b]),
            "accuracy": _ratio(hits[b], n[b]),
        }
        for b in range(bins)
    ]


def checked(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities as float64 (n, classes) and labels as int64 (n,), or an error that says what is wrong."""
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels).astype(np.int64)
    if p.ndim != 2 or y.shape != (p.shape[0],) or not y.size:
        raise InvalidInput(
            "Metrics need probabilities (images, classes) and one label an image",
            f"found shapes {p.shape} and {y.shape}",
            "Give a test part with at least one image.",
        )
    if classes is not None and len(classes) != p.shape[1]:
        raise ClassMismatch(
            f"{len(classes)} classes need as many columns of probabilities",
            f"found {p.shape[1]}",
            "Evaluate with the classes the model was trained on.",
        )
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise ClassMismatch(
            f"Labels lie between 0 and {p.shape[1] - 1}",
            f"found {y.min()} to {y.max()}",
            "Evaluate with the classes the model was trained on.",
        )
    if not np.isfinite(p).all() or p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 0.01:
        raise InvalidInput(
            "Each row of probabilities is finite, not negative and sums to 1",
            f"found sums from {p.sum(axis=1).min():.3g} to {p.sum(axis=1).max():.3g}",
            "Give probabilities, not logits; not-a-number means that training diverged.",
        )
    return p, y


def _macro_auroc(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    # With two classes both columns rank alike, up to ties that rounding breaks: the second one is the convention.
    columns = [1] if probabilities.shape[1] == 2 else np.unique(labels)
    found = [value for c in columns if (value := _auroc(probabilities[:, c], labels == c)) is not None]
    return float(np.mean(found)) if found else None


def _auroc(scores: np.ndarray, is_class: np.ndarray) -> float | None:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_class, scores)) if 0 < is_class.sum() < is_class.size else None


def _kappa(labels: np.ndarray, predicted: np.ndarray) -> float | None:
    from sklearn.metrics import cohen_kappa_score

    occurring = np.union1d(labels, predicted)
    return float(cohen_kappa_score(labels, predicted, labels=occurring)) if occurring.size > 1 else None


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
