"""How often a sentence about another class comes out of the checks: `python -m benchmarks.description_checks`.

A sentence of one class is put under the name of another in its stead, once for each other class, and the set is checked
again; counted are the findings near_other_class alone. Judged so are: the captions that the embedded
backbone learned from, by the built-in packs of all or most of their classes (no pack holds these sentences), and those
of classes without a pack by each other; the sentences of each
pack by that pack, which knows them; and those of each pack by the other sentences of the set alone, by words and with
`--embedding` by the features of the embedded backbone. False alarms are the findings in the sets as they are. With
`--images` also what evidence suspects, by 16 images a class of the test part, which the embedded backbone never saw:
sentences of the pack for the classes that one describes, and captions, all names out of them. At the end: CPU seconds
that 2,000 sentences take.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.backbones.catalogue import EMBEDDED_FOLDER
from core.backbones.contract import Backbone
from core.backbones.loading import load_backbone
from core.descriptions.checks import check_descriptions
from core.descriptions.description_set import DescriptionSet
from core.descriptions.evidence.images import EvidenceImages
from core.descriptions.evidence.scores import Encode, SentenceScores
from core.descriptions.evidence.suspects import suspects
from core.descriptions.findings.closeness import closeness_findings
from core.descriptions.findings.naming import ClassNames
from core.descriptions.findings.other_class import told_by_others, told_by_pack
from core.descriptions.packs import Pack, known_names, known_sentences, packs
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.tuning.feature_store import FeatureStore
from core.tuning.features import image_features

Sentences = Mapping[str, Sequence[str]]
Row = tuple[str, str]
Judge = Callable[[Sequence[Row]], Sequence[object]]
"""Gives something that is true for each sentence that another class is said to fit better."""
SEED, SWAPS, SHOTS, DRAWS = 1, 40, 16, 3


def rows_of(sentences: Sentences) -> list[Row]:
    """Class and sentence, class by class."""
    return [(name, text) for name, texts in sentences.items() for text in texts]


def rates(sentences: Sentences, judge: Judge, swaps: int | None = SWAPS) -> tuple[int, int, int, int]:
    """(found, planted, false alarms, sentences). swaps: so many drawn by seed; None for all there are."""
    rows = rows_of(sentences)
    every = [(place, name) for place, row in enumerate(rows) for name in sentences if name != row[0]]
    drawn = every if swaps is None else random.Random(SEED).sample(every, min(swaps, len(every)))
    found = 0
    for place, name in drawn:
        planted = list(rows)
        planted[place] = (name, rows[place][1])
        ordered = sorted(range(len(rows)), key=lambda at: list(sentences).index(planted[at][0]))
        found += bool(judge([planted[at] for at in ordered])[ordered.index(place)])
    return found, len(drawn), sum(map(bool, judge(rows))), len(rows)


def by_pack(pack: Pack, classes: Sequence[str]) -> Judge:
    """The words of a pack."""
    words = ClassNames(classes, pack.names_for(classes)).words
    known = pack.for_classes(classes).sentences

    def judge(rows: Sequence[Row]) -> Sequence[object]:
        return told_by_pack(rows, known, words) or [None] * len(rows)

    return judge


def by_words(pack: Pack) -> Judge:
    """The words of the other sentences."""
    words = ClassNames(list(pack.sentences), pack.aliases).words
    return lambda rows: told_by_others(rows, words)


def by_features(pack: Pack, encode: Callable[[Sequence[str]], Tensor]) -> Judge:
    """Features of a text tower, names out of the sentences."""
    names = ClassNames(list(pack.sentences), pack.aliases)
    texts = [text for _, text in rows_of(pack.sentences)]
    features = dict(zip(texts, encode([names.with_neutral_name(text) for text in texts]), strict=True))

    def judge(rows: Sequence[Row]) -> Sequence[object]:
        made = DescriptionSet({name: tuple(t for own, t in rows if own == name) for name, _ in rows}, "benchmark")
        neutral = torch.stack([features[text] for _, text in rows])
        found = closeness_findings(made, neutral, neutral)
        near = {(each.class_name, each.sentence) for each in found if each.finding == "near_other_class"}
        return [row in near for row in rows]

    return judge


def by_images(images: EvidenceImages, names: ClassNames, texts: Sequence[str], encode: Encode) -> Judge:
    """Images and features of the other sentences, names out of the sentences."""
    features = dict(zip(texts, encode([names.with_neutral_name(text) for text in texts]), strict=True))

    def judge(rows: Sequence[Row]) -> Sequence[object]:
        sentences = tuple(tuple(text for own, text in rows if own == name) for name in names.classes)
        found = tuple(np.stack([features[text] for text in own]) for own in sentences)
        return suspects(SentenceScores(images, names.classes, sentences, found, 1.0, found))

    return judge


def held_out_images(image_set: ImageSet, backbone: Backbone, store: FeatureStore, seed: int) -> EvidenceImages:
    """So many test images of each class, drawn by seed."""
    stream, drawn = random.Random(seed), list[LabelledImage]()
    for label in range(len(image_set.classes)):
        own = [image for image in image_set.part("test") if image.label == label]
        drawn += stream.sample(own, min(SHOTS, len(own)))
    features = image_features(backbone, drawn, store)[:, 0].cpu().numpy()
    return EvidenceImages.of(features, [e.label for e in drawn], [e.group for e in drawn], len(image_set.classes))


def suspected(path: Path, backbone: Backbone, store: FeatureStore) -> Iterator[str]:
    """Lines of the report about one image set."""
    image_set = ImageSet.read(path)
    encode = lambda texts: backbone.encode_texts(texts).cpu().numpy().astype(np.float64)  # noqa: E731
    known = max(packs(), key=lambda pack: len(described(pack, image_set.classes)))
    captions = json.loads((EMBEDDED_FOLDER / "captions.json").read_text(encoding="utf-8"))["sets"]
    sources: dict[str, dict[str, Sequence[str]]] = {}
    if len(own := described(known, image_set.classes)) > 2:
        sources[f"sentences of the pack {known.name}"] = dict(known.for_classes(own).sentences)
    if path.name in captions:
        sources["captions"] = captions[path.name]["classes"]
    for title, sentences in sources.items():
        kept = image_set.of_classes(list(sentences))
        names = ClassNames(kept.classes, known.names_for([name for name in kept.classes if known.matched([name])]))
        texts = [text for _, text in rows_of(sentences)]
        found = [
            rates(sentences, by_images(held_out_images(kept, backbone, store, seed), names, texts, encode))
            for seed in range(DRAWS)
        ]
        yield told(f"{image_set.name}, {title}, by images and wording", *map(sum, zip(*found, strict=True)))


def described(pack: Pack, classes: Sequence[str]) -> list[str]:
    """Those of the classes that a pack describes."""
    return [name for name in classes if pack.matched([name])]


def learned_captions() -> dict[str, dict[str, list[str]]]:
    """The sets of captions, by name."""
    sets = json.loads((EMBEDDED_FOLDER / "captions.json").read_text(encoding="utf-8"))["sets"]
    return {name: each["classes"] for name, each in sets.items()}


def by_checks(sentences: Sentences) -> Judge:
    """The checks as they are: words of the pack nearest to these classes, else of the other sentences."""
    names, known = ClassNames(list(sentences), known_names(list(sentences))), known_sentences(list(sentences))

    def judge(rows: Sequence[Row]) -> Sequence[object]:
        found = told_by_pack(rows, known, names.words)
        return told_by_others(rows, names.words) if found is None else found

    return judge


def whose(classes: Sequence[str]) -> str:
    """Who judges the sentences of these classes, in words."""
    known = known_sentences(classes)
    if not known:
        return "the others, no pack"
    name = max(packs(), key=lambda pack: len(described(pack, classes))).name
    return f"the pack {name}" + ("" if len(known) == len(classes) else f", {len(known)} of {len(classes)} classes")


def cpu_seconds(count: int) -> float:
    """Of one check of `count` sentences: those of the packs, two words of each drawn anew."""
    stream = random.Random(SEED)
    pool = [text.split() for pack in packs() for texts in pack.sentences.values() for text in texts]
    texts = []
    for _ in range(count):
        words = list(stream.choice(pool))
        for _ in range(2):
            words[stream.randrange(len(words))] = stream.choice(stream.choice(pool))
        texts.append(" ".join(words))
    classes = ("glioma tumor", "meningioma tumor", "normal brain", "pituitary tumor")
    made = DescriptionSet({name: tuple(texts[at :: len(classes)]) for at, name in enumerate(classes)}, "benchmark")
    started = time.process_time()
    check_descriptions(made)
    return time.process_time() - started


def told(title: str, found: int, planted: int, alarms: int, sentences: int) -> str:
    """One line of the report."""
    return (
        f"{title}: {found} of {planted} planted come out ({found / planted:.1%}); "
        f"{alarms} of {sentences} others ({alarms / sentences:.1%})"
    )


def of_captions(asked: argparse.Namespace) -> Iterator[str]:
    """Lines about captions, by packs where there are some."""
    for name, sentences in learned_captions().items():
        yield told(f"captions of {name}, by {whose(list(sentences))}", *rates(sentences, by_checks(sentences), None))


def of_packs(asked: argparse.Namespace) -> Iterator[str]:
    """Lines about the sentences of all packs."""
    ways = {"that pack": lambda pack: by_pack(pack, list(pack.sentences)), "words of the others": by_words}
    if asked.embedding:
        tower = load_backbone("embedded")
        ways["features of the others"] = lambda pack: by_features(pack, lambda texts: tower.encode_texts(texts).cpu())
    for way, judge in ways.items():
        each = [rates(pack.sentences, judge(pack)) for pack in packs()]
        yield told(f"all packs, by {way}", *map(sum, zip(*each, strict=True)))


def of_images(asked: argparse.Namespace) -> Iterator[str]:
    """Lines about what evidence suspects."""
    with tempfile.TemporaryDirectory() as folder:
        for path in asked.images:
            yield from suspected(path, load_backbone("embedded"), FeatureStore(Path(folder) / "features.sqlite"))


def of_speed(asked: argparse.Namespace) -> Iterator[str]:
    """How long a check takes."""
    yield f"2,000 sentences: {cpu_seconds(2000):.2f} s CPU"


PARTS = {"captions": of_captions, "packs": of_packs, "images": of_images, "speed": of_speed}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embedding", action="store_true", help="also by features of the embedded backbone")
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="image sets for what images suspect")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=list(PARTS), help="some parts of the report")
    asked = parser.parse_args()
    torch.set_grad_enabled(False)
    for part in asked.only:
        for line in PARTS[part](asked):
            print(line, flush=True)


if __name__ == "__main__":
    main()
