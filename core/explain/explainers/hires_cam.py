"""HiResCAM: gradient times activation of each patch, at the first norm of the last block.

Paper: Draelos, Carin, Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks,
2020. Code read: jacobgil/pytorch-grad-cam, commit 084273b (MIT).

Its cells add up to the score only where the rest of the model is linear; here softmax, norms and the unit length lie
between, so they do not.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.explain.captured import Captured
from core.explain.explainer import Explainer, MapSet, Progress, no_progress


class HiResCam(Explainer):
    """Each patch answers for itself; nothing is averaged over places."""

    title = "HiResCAM"
    summary = "Evidence for and against the class in each patch, as the last block takes it up."
    source = "Draelos, Carin. Use HiResCAM instead of Grad-CAM. 2020; jacobgil/pytorch-grad-cam (MIT)."
    unit = "class score: gradient times activation"

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        gradients = captured.last_gradients(class_indices, self.target).normed
        return MapSet(captured.on_grid((gradients * captured.last.normed.detach()).sum(dim=-1)))
