"""Folds inside the shots, for choices where no validation image is left."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor

from core.tuning.training_data import groups_per_class

FOLDS = 5


def shot_folds(labels: Tensor, groups: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """At most five pairs of positions to fit on and to judge by; none where a class has one image, or patient, only.

    labels, groups: (images,), as of `TrainingData`. No group stands on both sides, and no class lacks images to fit on.
    """
    folds = min(FOLDS, groups_per_class(labels, groups))
    if folds < 2:
        return []
    classes, patients = labels.cpu().numpy(), groups.cpu().numpy()
    positions = np.zeros(len(classes))
    if len(np.unique(patients)) == len(patients):
        return list(StratifiedKFold(folds).split(positions, classes))
    parts = StratifiedGroupKFold(folds).split(positions, classes, patients)
    known = len(np.unique(classes))
    return [(fit, held) for fit, held in parts if len(held) and len(np.unique(classes[fit])) == known]
