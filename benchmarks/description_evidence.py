"""How much cheaper evidence about sentences is than the plain loop: `python -m benchmarks.description_evidence`.

Four classes of 50 sentences of words drawn by seed, on images of `--images` (drawn phantoms without it), embedded
backbone, 16 shots. Ours is timed twice: with an empty feature cache and again. The plain loop encodes each
random sentence where it is needed and works the whole set out anew for each: of it `--sample` replacements of one
sentence are timed, and the rest taken to be like them, for the same number of replacements as ours made. Prints
seconds, their ratio, and the milliseconds that an edit takes. Take it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from core.backbones.loading import load_backbone
from core.descriptions.description_set import DescriptionSet
from core.descriptions.evidence.gather import evidence_images, gather_scores, text_encoder
from core.descriptions.evidence.random_words import VOCABULARIES, Frame, random_sentences, random_words, words_of
from core.descriptions.evidence.scores import Place, SentenceScores, what_if
from core.descriptions.evidence.sentences import weigh_sentences
from core.images.image_set import ImageSet
from core.images.phantoms import make_phantoms
from core.tuning.feature_store import FeatureStore

SENTENCES, SHOTS, SEED = 50, 16, 1
LENGTHS = (4, 16)
"""Fewest and most words of a sentence beside the name."""


def sentences(classes: tuple[str, ...], each: int) -> DescriptionSet:
    """Sentences of words drawn by seed; four of five name their class."""
    stream, words = random.Random(SEED), words_of("radiological")
    found = {}
    for name in classes:
        texts = []
        for number in range(each):
            drawn = stream.choices(words, k=stream.randint(*LENGTHS))
            texts.append(" ".join([*([name] if number % 5 else []), *drawn]) + ".")
        found[name] = tuple(texts)
    return DescriptionSet(found, "benchmark")


def loop_seconds(scores: SentenceScores, encode: Any, sample: int) -> float:
    """Seconds of one replacement the straightforward way: one text encoded, all prototypes and scores anew."""
    place = Place(0, 1)
    texts = random_sentences(Frame.of(scores.text(place), scores.classes[0]), VOCABULARIES[0], sample, SEED + 7)
    started = time.perf_counter()
    for text in texts:
        anew = scores.chosen([list(range(len(own))) for own in scores.sentences])
        rows = [*anew.features]
        rows[0] = np.concatenate([anew.features[0][:1], encode([text]), anew.features[0][2:]])
        changed = SentenceScores(anew.images, anew.classes, anew.sentences, tuple(rows), anew.scale)
        assert changed.log_likelihood <= 0
    return (time.perf_counter() - started) / sample


def edit_milliseconds(scores: SentenceScores, encode: Any, times: int = 10) -> float:
    """Of the median edit, its sentence not known before."""
    found = []
    for number in range(times):
        started = time.perf_counter()
        what_if(scores, scores.classes[0], number, f"a sentence that was not there before, number {number}", encode)
        found.append(1000 * (time.perf_counter() - started))
    return float(np.median(found))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="an image set with 16 images a class; drawn phantoms without it")
    parser.add_argument("--sentences", type=int, default=SENTENCES, help="of each class")
    parser.add_argument("--replacements", type=int, default=999)
    parser.add_argument("--sample", type=int, default=60, help="how many replacements of the plain loop are timed")
    parser.add_argument("--json", action="store_true", help="print one object")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.images is None:
            make_phantoms(Path(folder) / "phantoms", seed=1, per_class=(24, 10))
        image_set = ImageSet.read(asked.images or Path(folder) / "phantoms")
        backbone, store = load_backbone("embedded"), FeatureStore(Path(folder) / "features.sqlite")
        encode = text_encoder(backbone, store)
        images = evidence_images(image_set, SHOTS, SEED)
        given = sentences(image_set.classes, asked.sentences)
        scores = gather_scores(backbone, image_set.classes, images, given, store)
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            rows = weigh_sentences(scores, random_words(backbone, store, SEED), asked.replacements)
            seconds.append(time.perf_counter() - started)
        done = len(VOCABULARIES) * sum(row.replacements for row in rows)
        each = loop_seconds(scores, encode, asked.sample)
        edit = edit_milliseconds(scores, encode)
    found = {
        "classes": len(image_set.classes),
        "sentences": len(rows),
        "replacements_made": done,
        "first_seconds": round(seconds[0], 1),
        "second_seconds": round(seconds[1], 1),
        "loop_seconds": round(each * done, 1),
        "loop_seconds_for_all": round(each * len(VOCABULARIES) * len(rows) * asked.replacements, 1),
        "ratio": round(each * done / seconds[0], 1),
        "ratio_second": round(each * done / seconds[1], 1),
        "edit_milliseconds": round(edit, 1),
    }
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{found['sentences']} sentences of {found['classes']} classes, {done} replacements in all")
    print(f"first {seconds[0]:.1f} s, again {seconds[1]:.1f} s; the plain loop {each * done:.0f} s for as many")
    print(f"ratio {found['ratio']} the first time, {found['ratio_second']} after it; an edit takes {edit:.0f} ms")


if __name__ == "__main__":
    main()
