"""Numbers of the flow add up: received = usable + refused, usable = the parts."""

from __future__ import annotations

import re
from pathlib import Path

from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage, Problem
from core.reporting.flow import data_flow, flow_sentence
from core.reporting.flow_drawing import flow_drawing


def image(name: str, label: int, part: str, content: str, group: str | None = None) -> LabelledImage:
    return LabelledImage(Path(name), name, label, part, content, group)  # type: ignore[arg-type]


def images() -> ImageSet:
    return ImageSet(
        "s",
        ("a", "b"),
        (
            image("1", 0, "train", "x", "p1"),
            image("2", 0, "train", "x", "p1"),
            image("3", 1, "train", "y", "p2"),
            image("4", 0, "test", "z"),
            image("5", 1, "test", "z"),
        ),
        (
            Problem("6", "not_an_image", "", ""),
            Problem("7", "unreadable_image", "", ""),
            Problem("7", "unreadable_image", "", ""),
            Problem("5", "mask_of_other_size", "", ""),
        ),
    )


def test_sums_hold_and_a_file_counts_once():
    flow = data_flow(images())
    assert flow["refused"] == {"not_an_image": 1, "unreadable_image": 1}, "5 was kept, 7 stands twice"
    assert flow["received"] == flow["usable"] + sum(flow["refused"].values()) == 7
    assert sum(part["n"] for part in flow["parts"].values()) == flow["usable"]
    assert flow["copies"] == 2
    assert flow["two_classes"] == 1
    train = flow["parts"]["train"]
    assert (train["groups"], train["without_group"], train["classes"]) == (2, 0, {"a": 2, "b": 1})
    assert flow["parts"]["test"]["without_group"] == 2


def test_the_sentence_has_the_sums():
    assert flow_sentence(data_flow(images())) == (
        "7 files received = 5 usable + 2 refused; 5 usable = 3 train + 2 test; 2 of them repeat the bytes of another, "
        "all kept; 1 contents stand under several classes."
    )


def test_the_drawing_has_a_box_a_step_and_escapes_names():
    drawn = [{"amount": "2 shots", "seeds": [1, 2], "train": 4, "validation": 4, "distinct_train": 7, "tested": 2}]
    drawing = flow_drawing("<s>", data_flow(images()), drawn)
    assert "<s>" not in drawing
    assert drawing.count("<rect") == 5
    for text in (
        "7 files received",
        "Refused: 2",
        "1 not an image",
        "train: 3 images, 2 patients",
        "7 different over 2",
    ):
        assert text in drawing
    bottom = max(int(y) + int(height) for y, height in re.findall(r'y="(\d+)" width="\d+" height="(\d+)"', drawing))
    assert bottom < int(re.search(r'viewBox="0 0 \d+ (\d+)"', drawing)[1])  # type: ignore[index]
