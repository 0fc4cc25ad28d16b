"""How often the interval of a sentence's effect holds its effect over all: `python -m benchmarks.evidence_coverage`.

A population of images, and sentences about its classes; from it so many images of each class are drawn again and again,
and each time every sentence gets the interval that `descriptions evidence` prints (low, high). Counted are those that
hold the sentence's effect over the whole population; of 95 % intervals 95 of 100 should. Without `--images` the
population is drawn: features around class directions, of patients who have two to six images that resemble each other,
which the interval is told. With it the population is the training part of an image set, without patients, and the
sentences are those of the built-in pack, or templates where none fits.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.backbones.loading import load_backbone
from core.descriptions.description_set import DescriptionSet
from core.descriptions.evidence.gather import gather_scores
from core.descriptions.evidence.images import EvidenceImages
from core.descriptions.evidence.scores import SentenceScores, log_likelihoods, unit
from core.descriptions.evidence.sentences import average_interval
from core.descriptions.packs import fitting
from core.descriptions.templates import template_descriptions
from core.images.image_set import ImageSet
from core.tuning.feature_store import FeatureStore

SEED, PER_CLASS, SENTENCES = 1, (10, 16, 32), 10
CLASSES, PATIENTS, WIDTH, SCALE, IMAGES_EACH = 4, 4000, 64, 30.0, (2, 7)


@dataclass(frozen=True)
class Population:
    """Images that draws are taken from. patients: of each class, which images each patient has."""

    title: str
    scores: SentenceScores
    patients: list[list[np.ndarray]]
    unit: str

    @property
    def gains(self) -> np.ndarray:
        """What each sentence adds to each image's log-likelihood, in nats: (sentences, images)."""
        scores, labels = self.scores, self.scores.images.labels
        rests = [scores.without(place) for place in scores.places]
        return np.stack([scores.log_likelihoods - log_likelihoods(r, labels) for r in rests if r is not None])

    def drawn(self, count: int, stream: np.random.Generator) -> tuple[np.ndarray, EvidenceImages]:
        """So many patients of each class, with replacement: which images they have, and these."""
        found, names = [], []
        for label, patients in enumerate(self.patients):
            for number, at in enumerate(stream.integers(0, len(patients), count)):
                found.append(patients[at])
                names += [f"{label}-{number}"] * len(patients[at])
        places, images = np.concatenate(found), self.scores.images
        groups = names if self.unit == "patients" else [None] * len(names)
        return places, EvidenceImages.of(
            images.features[places], images.labels[places].tolist(), groups, images.classes
        )


def drawn_population() -> Population:
    """Features around class directions, skewed, with patients whose images resemble each other."""
    stream = np.random.default_rng(SEED)
    directions = unit(stream.normal(size=(CLASSES, WIDTH)))
    features, labels, patients, groups = [], [], [], []
    for label in range(CLASSES):
        own = []
        for number in range(PATIENTS):
            count = int(stream.integers(*IMAGES_EACH))
            patient = stream.normal(size=WIDTH) * stream.gamma(1.0) / np.sqrt(WIDTH)
            noise = stream.normal(size=(count, WIDTH)) / np.sqrt(WIDTH)
            own.append(np.arange(count) + len(labels))
            features.append(unit(directions[label] + 1.5 * patient + noise))
            labels += [label] * count
            groups += [f"{label}-{number}"] * count
        patients.append(own)
    texts = [unit(direction + 0.9 * unit(stream.normal(size=(SENTENCES, WIDTH)))) for direction in directions]
    names = tuple(tuple(f"sentence {number}" for number in range(SENTENCES)) for _ in range(CLASSES))
    images = EvidenceImages.of(np.concatenate(features), labels, groups, CLASSES)
    scores = SentenceScores(images, tuple("abcd"), names, tuple(texts), SCALE)
    return Population("drawn patients", scores, patients, "patients")


def real_population(path: Path, home: Path) -> Population:
    """The training part of an image set, each image for itself. home: where features are kept."""
    image_set, backbone = ImageSet.read(path), load_backbone("embedded")
    fit = fitting(image_set.classes)
    given = fit[0].for_classes(image_set.classes) if fit else template_descriptions(image_set.classes)
    given = DescriptionSet({name: texts[:SENTENCES] for name, texts in given.sentences.items()}, given.source)
    store = FeatureStore(home / "features.sqlite")
    scores = gather_scores(backbone, image_set.classes, image_set.part("train"), given, store)
    labels = scores.images.labels
    single = [[np.array([at]) for at in np.flatnonzero(labels == label)] for label in range(len(image_set.classes))]
    return Population(f"{image_set.name}, {given.source}", scores, single, "images")


def coverage(population: Population, per_class: int, draws: int) -> np.ndarray:
    """Share of the intervals given that hold the sentence's effect over the population: (sentences,)."""
    gains, stream = population.gains, np.random.default_rng(SEED)
    truth = population.scores.images.class_average(gains)
    held = np.full((draws, len(gains)), np.nan)
    for draw in range(draws):
        places, images = population.drawn(per_class, stream)
        for at, values in enumerate(gains[:, places]):
            found = average_interval(images, values)
            if found.low is not None and found.high is not None:
                held[draw, at] = found.low <= truth[at] <= found.high
    return np.nanmean(held, axis=0)


def lines(population: Population, draws: int) -> Iterator[str]:
    """One line for each number of images or patients of a class."""
    for per_class in PER_CLASS:
        found = coverage(population, per_class, draws)
        yield (
            f"{population.title}: {per_class} {population.unit} a class: {found.mean():.1%} of {draws} x {found.size} "
            f"intervals hold the effect; by sentence {found.min():.1%} to {found.max():.1%}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="image sets besides drawn patients")
    parser.add_argument("--draws", type=int, default=400)
    asked = parser.parse_args()
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as folder:
        for population in (drawn_population(), *(real_population(path, Path(folder)) for path in asked.images)):
            for line in lines(population, asked.draws):
                print(line, flush=True)


if __name__ == "__main__":
    main()
