"""Grad-CAM at the first norm of the last block, with the weights of the grad-cam library.

Paper: Selvaraju et al., Grad-CAM, ICCV 2017. Library: grad-cam (jacobgil/pytorch-grad-cam, MIT).

Differences. The library stretches each map to 0..1, and maps stretched apart cannot be compared: values here are raw.
Only patches that are there enter the mean of the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from core.explain.captured import Captured
from core.explain.explainer import Explainer, MapSet, Progress, no_progress


class GradCam(Explainer):
    """One weight a channel, the gradient's mean over patches: places that answer differently are mixed."""

    title = "Grad-CAM"
    summary = "Evidence for and against the class, each channel weighted alike in all patches."
    source = "Selvaraju et al. Grad-CAM. ICCV 2017; grad-cam library (jacobgil/pytorch-grad-cam, MIT)."
    unit = "class score: mean gradient times activation"

    def map_set(self, captured: Captured, class_indices: Sequence[int], progress: Progress = no_progress) -> MapSet:
        from pytorch_grad_cam import GradCAM  # takes seconds: OpenCV, plotting

        patches = list(captured.layout.patches)
        gradients = captured.last_gradients(class_indices, self.target).normed[:, patches]
        # the library reads (batch, channels, rows, columns): all patches stand in one row
        images = gradients.transpose(1, 2)[:, :, None].float().cpu().numpy()
        weights = GradCAM.get_cam_weights(cast(GradCAM, None), None, None, None, None, images)
        activations = captured.last.normed[0].detach().double().cpu()
        return MapSet(captured.on_grid(torch.from_numpy(np.asarray(weights, dtype=np.float64)) @ activations.T))
