"""Choosing inside the shots never rests on images of one patient on both sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.tuning.cache_model import leave_own_out
from core.tuning.folds import shot_folds
from core.tuning.training_data import group_numbers, groups_per_class


def test_images_of_one_patient_share_a_number_and_others_have_their_own() -> None:
    numbers = group_numbers(["ann", None, "bob", "ann", None]).tolist()
    assert numbers[0] == numbers[3]
    assert len(set(numbers)) == 4


def test_a_class_counts_its_patients_not_its_images() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert groups_per_class(labels, group_numbers(["a", "a", "b", "c", "c", "c"])) == 1
    assert groups_per_class(labels, group_numbers(["a", "a", "b", "c", None, None])) == 2


@pytest.mark.parametrize("per_patient", [1, 2, 4])
def test_folds_keep_patients_whole_and_know_every_class(per_patient: int) -> None:
    labels = np.repeat([0, 1, 2], 16)
    groups = np.arange(48) // per_patient
    folds = shot_folds(torch.from_numpy(labels), torch.from_numpy(groups))
    assert len(folds) == min(5, 16 // per_patient)
    for fit, held in folds:
        assert not set(groups[fit]) & set(groups[held])
        assert set(labels[fit]) == {0, 1, 2}
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(48))


def test_no_image_votes_for_another_of_its_patient() -> None:
    kept = leave_own_out(torch.ones(4, 4), group_numbers(["a", "a", "b", None]))
    assert kept.isfinite().tolist() == [
        [False, False, True, True],
        [False, False, True, True],
        [True, True, False, True],
        [True, True, True, False],
    ]
