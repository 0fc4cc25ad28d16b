"""Notes of several seeds as one sentence."""

from __future__ import annotations

import pytest

from core.experiments.joined_notes import joined_notes

NEAR = "{} of 80 test images {} almost the same as an image outside the test part ({} by images that this run used)."


@pytest.mark.parametrize(
    ("by_seed", "expected"),
    [
        ([["Chosen at K = 1."], ["Chosen at K = 1."]], ["Chosen at K = 1."]),
        (
            [["2 images are alike."], ["3 images are alike."], ["1 image is alike."]],
            ["2, 3 and 1 images are alike."],
        ),
        ([["It was 1 image."], ["It was 1 image.", "Other."]], ["It was 1 image.", "Other."]),
        (
            [[NEAR.format(2, "are", 1)], [NEAR.format(1, "is", "none")]],
            [NEAR.format("2 and 1", "are", "1 and none")],
        ),
        ([[f"{n} images."] for n in (9, 2, 4, 4, 12, 3)], ["2 to 12 images."]),
        ([["Class 'a' has 2."], ["Class 'b' has 2."]], ["Class 'a' has 2.", "Class 'b' has 2."]),
        ([["p = 0.5."], ["p = 0.25."]], ["p = 0.5 and 0.25."]),
        ([], []),
    ],
)
def test_notes_that_differ_in_counts_only_are_put_together(by_seed: list[list[str]], expected: list[str]) -> None:
    assert joined_notes(by_seed) == expected
