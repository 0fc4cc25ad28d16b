"""How often the two-part interval holds the truth, and how often two equally good methods are called different.

A world of methods, draws and patients: an answer is right where the sum of a method's level, what a patient and an
image share over methods, what they have with this method only, what a draw shares and has with this method only, and
noise is above 0. All parts are normal, so that the share right in the population is known exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import norm

from core.evaluation.pseudo_values import PSEUDO_METRICS, pseudo_values
from core.evaluation.two_part import components, half_width, two_part_p

TRUTH = 0.75
IN_PATIENTS = 0.6
"""Part of what images have in common that is common to a patient's images, where a patient has several."""
BATCH = 100


class Spread(NamedTuple):
    """Variances beside the noise of 1: of images, of images with one method, of draws, of draws with one method."""

    image: float
    own_image: float
    draw: float
    own_draw: float


SPREADS = {
    "draws change nothing": Spread(0.9, 0.5, 0.0, 0.0),
    "draws change about 2 points": Spread(0.9, 0.5, 0.003, 0.007),
    "draws change about 6 points": Spread(0.15, 0.10, 0.01323, 0.03087),
}


@dataclass(frozen=True)
class Found:
    """Share of intervals that held the truth, and of p below 0.05 between equally good methods."""

    coverage: float
    false_claims: float


def answers(spread: Spread, n: int, seeds: int, patient: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Whether two equally good methods are right, (BATCH, methods, seeds, n)."""

    def normal(variance: float, *shape: int) -> np.ndarray:
        return np.float32(np.sqrt(variance)) * draw.standard_normal((BATCH, *shape), dtype=np.float32)

    def images(variance: float, methods: int) -> np.ndarray:
        if patient[-1] == n - 1:
            return normal(variance, methods, n)
        shared = normal(IN_PATIENTS * variance, methods, int(patient[-1]) + 1)[..., patient]
        return shared + normal((1 - IN_PATIENTS) * variance, methods, n)

    level = np.float32(norm.ppf(TRUTH) * np.sqrt(1 + sum(spread)))
    of_images = images(spread.image, 1) + images(spread.own_image, 2)
    of_draws = normal(spread.draw, 1, seeds, 1) + normal(spread.own_draw, 2, seeds, 1)
    return level + of_images[:, :, None] + of_draws + normal(1.0, 2, seeds, n) > 0


def simulated(spread: Spread, n: int, seeds: int, per_patient: int, worlds: int, seed: int) -> Found:
    """What the functions of the product find in so many worlds."""
    patient, draw = np.arange(n) // per_patient, np.random.default_rng(seed)
    covered, claimed = [], []
    for _ in range(worlds // BATCH):
        right = answers(spread, n, seeds, patient, draw)
        _, values, why = pseudo_values("accuracy", np.ones(n, dtype=int), right.astype(int), patient)
        assert values is not None, why
        df = seeds - 1, values.shape[-1] - 1
        mean, draws, cases, rest = components(values)
        covered.append(np.abs(mean - TRUTH) <= half_width(draws, cases, *df, v_rest=rest))
        mean, draws, cases, rest = components(values[:, 0] - values[:, 1])
        claimed.append(two_part_p(mean, draws, cases, *df, v_rest=rest) < 0.05)
    return Found(float(np.mean(covered)), float(np.mean(claimed)))


def cases() -> Iterator[object]:
    for name, spread in SPREADS.items():
        for n in (100, 400):
            for per_patient in (1, 5):
                for seeds in (3, 5):
                    patients = f"{per_patient} per patient" if per_patient > 1 else "alone"
                    yield pytest.param(spread, n, per_patient, seeds, id=f"{name}-{n} images {patients}-{seeds} seeds")


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "n", "per_patient", "seeds"), list(cases()))
def test_claims_hold_as_often_as_they_say(spread: Spread, n: int, per_patient: int, seeds: int) -> None:
    found = simulated(spread, n, seeds, per_patient, worlds=6000, seed=n + 10 * seeds + per_patient)
    assert 0.94 <= found.coverage <= 0.98
    assert found.false_claims <= 0.055


@pytest.mark.parametrize("seeds", [3, 5])
def test_claims_hold_as_often_as_they_say_in_a_few_worlds(seeds: int) -> None:
    found = simulated(SPREADS["draws change about 6 points"], 100, seeds, 5, 600, seed=seeds)
    assert 0.93 <= found.coverage <= 0.99
    assert found.false_claims <= 0.075


def test_patients_taken_for_independent_images_and_draws_for_fixed_are_found_out() -> None:
    spread, n, seeds = SPREADS["draws change about 6 points"], 100, 3
    patient, draw = np.arange(n) // 5, np.random.default_rng(0)
    held = {"over images": [], "over seeds": []}
    for _ in range(6):
        right = answers(spread, n, seeds, patient, draw)[:, 0].astype(float)
        mean, draws, cases, _ = components(right)
        held["over images"].append(np.abs(mean - TRUTH) <= half_width(0.0, cases, seeds - 1, n - 1))
        right = answers(SPREADS["draws change nothing"], n, seeds, patient, draw)[:, 0].astype(float)
        mean, draws, cases, _ = components(right)
        held["over seeds"].append(np.abs(mean - TRUTH) <= half_width(draws, 0.0, seeds - 1, n - 1))
    assert np.mean(held["over images"]) < 0.85
    assert np.mean(held["over seeds"]) < 0.85


def test_seeds_that_agree_closely_are_not_taken_for_certain() -> None:
    """Of the narrowest twentieth of intervals of a difference, most hold 0, which the two variances alone miss."""
    spread, n, seeds = SPREADS["draws change about 6 points"], 100, 2
    draw = np.random.default_rng(3)
    parts = []
    for _ in range(15):
        right = answers(spread, n, seeds, np.arange(n), draw).astype(float)
        parts.append(components(right[:, 0] - right[:, 1]))
    mean, draws, cases, rest = (np.concatenate(each) for each in zip(*parts, strict=True))
    df = seeds - 1, n - 1
    bare, floored = half_width(draws, cases, *df), half_width(draws, cases, *df, v_rest=rest)
    narrow = bare <= np.quantile(bare, 0.05)
    assert (np.abs(mean) <= bare)[narrow].mean() < 0.6
    assert (np.abs(mean) <= floored)[narrow].mean() > 0.7


LEVELS = np.array([2.6, 2.0, 1.6, 1.2])
"""How much each class's own score is raised on its images: later classes are harder."""
BY_CLASS = ("balanced_accuracy", "macro_f1", "kappa", "auroc", "brier", "log_loss")


def told(
    labels: np.ndarray, patient: np.ndarray, worlds: int, methods: int, seeds: int, draw: np.random.Generator
) -> np.ndarray:
    """Probabilities (worlds, methods, seeds, n, classes) of equally good methods whose scores have the parts above."""

    def normal(variance: float, *shape: int) -> np.ndarray:
        return np.float32(np.sqrt(variance)) * draw.standard_normal((worlds, *shape), dtype=np.float32)

    def images(variance: float, shared: int) -> np.ndarray:
        if patient[-1] == labels.size - 1:
            return normal(variance, shared, 1, labels.size, LEVELS.size)
        of_patients = normal(IN_PATIENTS * variance, shared, 1, int(patient[-1]) + 1, LEVELS.size)[..., patient, :]
        return of_patients + normal((1 - IN_PATIENTS) * variance, shared, 1, labels.size, LEVELS.size)

    own = np.eye(LEVELS.size, dtype=np.float32)[labels] * LEVELS[labels, None].astype(np.float32)
    draws = normal(0.02, 1, seeds, 1, LEVELS.size) + normal(0.05, methods, seeds, 1, LEVELS.size)
    noise = normal(0.6, methods, seeds, labels.size, LEVELS.size)
    scores = np.exp(own + images(0.6, 1) + images(0.3, methods) + draws + noise)
    return (scores / scores.sum(axis=-1, keepdims=True)).astype(np.float64)


@cache
def in_the_population(counts: tuple[int, ...]) -> dict[str, float]:
    """Each metric on very many images with these shares of classes, averaged over draws."""
    labels = np.repeat(np.arange(4), np.array(counts) * 6000 // sum(counts))
    draw, alone = np.random.default_rng(7), np.arange(labels.size)
    many = [told(labels, alone, 1, 1, 10, draw)[0, 0] for _ in range(30)]
    whole = np.zeros(labels.size, dtype=int)
    return {name: float(np.mean([PSEUDO_METRICS[name](labels, p, whole, 1)[0] for p in many])) for name in BY_CLASS}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    ("counts", "per_patient"), [((25, 25, 25, 25), 1), ((50, 50, 50, 50), 5), ((60, 30, 15, 10), 1)]
)
def test_claims_hold_for_other_metrics_where_ten_units_hold_each_class(
    counts: tuple[int, ...], per_patient: int, seeds: int
) -> None:
    labels = np.repeat(np.arange(4), counts)
    patient, draw, truth = (
        np.arange(labels.size) // per_patient,
        np.random.default_rng(seeds),
        in_the_population(counts),
    )
    df = seeds - 1, int(patient[-1])
    covered: dict[str, list] = {name: [] for name in BY_CLASS}
    claimed: dict[str, list] = {name: [] for name in BY_CLASS}
    for _ in range(24):
        p = told(labels, patient, 50, 2, seeds, draw)
        for name in BY_CLASS:
            _, values, why = pseudo_values(name, labels, p, patient)
            assert values is not None, why
            mean, draws, cases, rest = components(values)
            covered[name].append(np.abs(mean - truth[name]) <= half_width(draws, cases, *df, v_rest=rest))
            mean, draws, cases, rest = components(values[:, 0] - values[:, 1])
            claimed[name].append(two_part_p(mean, draws, cases, *df, v_rest=rest) < 0.05)
    # 2,400 intervals, two of each world, and 1,200 tests: three standard errors are 1.3 to 1.9 points
    for name in BY_CLASS:
        assert 0.93 <= np.mean(covered[name]) <= 0.995, name
        assert np.mean(claimed[name]) <= 0.055 + 0.019, name
