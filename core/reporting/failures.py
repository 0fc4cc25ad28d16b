"""Images that a method judges wrongly, chosen by a rule that is printed with them: nothing is picked by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Answer = Mapping[str, Any]
MOST_SHOWN = 12
RULE = (
    f"Wrong in more than half of the seeds; ordered by the mean probability, over all seeds, of the class that they "
    f"were most often taken for; at most {MOST_SHOWN} in each list."
)


def failures(leading: Sequence[Sequence[Answer]], others: Sequence[Sequence[Answer]] = ()) -> dict[str, Any]:
    """{n, wrong, confident, pairs, in_all, right} of the answers of one method's seeds.

    leading: of each seed, the answers in the order of images: file, sha256, image_id, group, label, predicted,
    probabilities. others: of runs of other methods on the same images. confident: the most confident errors. pairs:
    those of two or more images, [{label, predicted, n, images}]. in_all: wrong in every run of every method. right: as
    many images that no seed had wrong, ordered by their hash, which is as good as by chance. Each image: {sha256,
    image_id, file, group, label, predicted, probability, wrong, of}.
    """
    images = [_image(answers) for answers in zip(*leading, strict=True)]
    wrong = sorted((each for each in images if 2 * each["wrong"] > each["of"]), key=_order)
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for each in wrong:
        pairs[each["label"], each["predicted"]].append(each)
    by_size = sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    always = {each["file"] for each in images if each["wrong"] == each["of"]}
    for answers in others:
        always &= {answer["file"] for answer in answers if answer["predicted"] != answer["label"]}
    right = sorted((each for each in images if not each["wrong"]), key=lambda each: each["sha256"] or "")
    return {
        "n": len(images),
        "wrong": len(wrong),
        "confident": wrong[:MOST_SHOWN],
        "pairs": [
            {"label": label, "predicted": predicted, "n": len(own), "images": own[:MOST_SHOWN]}
            for (label, predicted), own in by_size
            if len(own) > 1
        ],
        "in_all": sorted((each for each in images if each["file"] in always), key=_order)[:MOST_SHOWN]
        if others
        else [],
        "right": right[:MOST_SHOWN],
    }


def _image(answers: Sequence[Answer]) -> dict[str, Any]:
    """One image over all seeds."""
    first = answers[0]
    missed = Counter(answer["predicted"] for answer in answers if answer["predicted"] != answer["label"])
    taken_for = max(missed, key=lambda name: (missed[name], _mean(answers, name))) if missed else first["label"]
    return {name: first[name] for name in ("sha256", "image_id", "file", "group", "label")} | {
        "predicted": taken_for,
        "probability": _mean(answers, taken_for),
        "wrong": missed.total(),
        "of": len(answers),
    }


def _mean(answers: Sequence[Answer], name: str) -> float:
    return sum(answer["probabilities"].get(name, 0.0) for answer in answers) / len(answers)


def _order(image: Mapping[str, Any]) -> tuple[float, str]:
    return -image["probability"], image["sha256"] or ""
