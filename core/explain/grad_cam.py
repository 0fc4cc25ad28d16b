"""Grad-CAM of a tuned model, by the grad-cam library, with raw values instead of a map rescaled per image.

Source: Selvaraju et al., Grad-CAM, ICCV 2017; library grad-cam (jacobgil/pytorch-grad-cam, MIT), whose weights and
weighted sum are used. Three differences, each with its reason. The library stretches each map to 0..1, and maps
stretched apart cannot be compared: we stop before that. Its backward pass would leave gradients in a method's
learned parameters: we ask for the pixels' gradient only. Its hooks see every pass of a shared tower: ours listen to
their own thread.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from core.backbones.contract import ImageAttention

if TYPE_CHECKING:
    from core.explain.classifier import ExplainedClassifier


@dataclass(frozen=True)
class GradCamMap:
    """signed: (rows, columns), evidence for (above 0) and against the class, in units of the class score.

    Not-a-number where zero vectors replaced the patch; `replaced` counts those. score: the class's logit.
    """

    signed: np.ndarray
    score: float
    replaced: int

    @property
    def positive(self) -> np.ndarray:
        """Evidence for the class only, as Grad-CAM is shown."""
        return np.maximum(self.signed, 0)


def grad_cam(
    classifier: ExplainedClassifier,
    pixels: Tensor,
    class_index: int,
    layout: ImageAttention,
    layer: nn.Module | None = None,
) -> GradCamMap:
    """Grad-CAM for one class of one image.

    pixels: (1, 3, size, size). layout: where the patches stand among the tuned model's tokens (its class token, and
    whatever was inserted or replaced). layer: the module whose output is read, the backbone's own choice by default.
    Works on frozen towers: the gradient is taken with respect to the pixels.
    """
    target = classifier.backbone.grad_cam_layer() if layer is None else layer
    cam = _raw_grad_cam(_Scores(classifier), target, _PatchGrid(layout))
    try:
        signed, score = cam.raw(pixels.detach().clone(), class_index)
    finally:
        cam.activations_and_grads.release()
    present = np.zeros(layout.grid[0] * layout.grid[1], dtype=bool)
    present[list(layout.patch_index)] = True
    signed = np.where(present.reshape(layout.grid), signed, np.nan)
    return GradCamMap(signed, score, int((~present).sum()))


class _Scores(nn.Module):
    """The classifier in the form the library wants: a module that has a parameter and gives (batch, classes)."""

    def __init__(self, classifier: ExplainedClassifier) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros((), device=classifier.backbone.device), requires_grad=False)
        self.score = classifier.logits_from_pixels

    def forward(self, pixels: Tensor) -> Tensor:
        return self.score(pixels)


@dataclass(frozen=True)
class _PatchGrid:
    """The library's reshape transform: (batch, tokens, width) to (batch, width, rows, columns), 0 where missing."""

    layout: ImageAttention

    def __call__(self, hidden: Tensor) -> Tensor:
        rows, columns = self.layout.grid
        cells = hidden.new_zeros(hidden.shape[0], rows * columns, hidden.shape[2])
        cells[:, list(self.layout.patch_index)] = hidden[:, list(self.layout.patches)]
        return cells.transpose(1, 2).reshape(hidden.shape[0], hidden.shape[2], rows, columns)


def _raw_grad_cam(model: nn.Module, layer: nn.Module, reshape: _PatchGrid) -> Any:
    """The library's GradCAM with a `raw` pass. Built here because importing it takes seconds (OpenCV, plotting)."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients

    class ThreadActivations(ActivationsAndGradients):
        """Hooks that leave passes of other threads alone: the tower is shared with classification."""

        def __init__(self, *args: Any) -> None:
            self.thread = threading.get_ident()
            super().__init__(*args)

        def save_activation(self, module: nn.Module, given: Any, output: Tensor) -> None:
            if threading.get_ident() == self.thread:
                super().save_activation(module, given, output)

        def save_gradient(self, module: nn.Module, given: Any, output: Tensor) -> None:
            if threading.get_ident() == self.thread:
                super().save_gradient(module, given, output)

    class RawGradCam(GradCAM):
        activations_and_grads: Any

        def raw(self, pixels: Tensor, class_index: int) -> tuple[np.ndarray, float]:
            self.activations_and_grads.release()
            self.activations_and_grads = ThreadActivations(self.model, self.target_layers, self.reshape_transform)
            with torch.enable_grad():
                pixels = pixels.to(self.device).requires_grad_()
                score = self.activations_and_grads(pixels)[0, class_index]
                torch.autograd.grad(score, pixels)
            activations = self.activations_and_grads.activations[0].float().numpy()
            gradients = self.activations_and_grads.gradients[0].float().numpy()
            cam = self.get_cam_image(pixels, self.target_layers[0], [], activations, gradients)
            return cam[0].astype(np.float64), float(score.detach())

    return RawGradCam(model, [layer], reshape)
