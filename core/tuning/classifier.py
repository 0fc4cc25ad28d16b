"""A trained model ready for use: pictures in, calibrated probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.backbones.contract import Backbone, LayerTokens, PictureReader
from core.descriptions.description_set import DescriptionSet
from core.errors import BackboneMismatch, ClassMismatch, PromptoscopeError, UnreadableImage
from core.images.decode import opened_picture
from core.tuning.artifact import damaged, read_artifact
from core.tuning.contract import Method, Task
from core.tuning.features import frozen_pass
from core.tuning.judge import Judge
from core.tuning.registry import get_method
from core.tuning.scores import predict_logits
from core.tuning.second_encoder import named_encoder
from core.tuning.seen import Seen, read_seen

PICTURES_PER_PASS = 32


class Classifier:
    """A method with its learned tensors on its backbone.

    folder: where it was loaded from. card: the content of its `adapter_config.json`. seen: what it keeps of the images
    it learned from; None where it keeps nothing.
    """

    def __init__(self, method: Method, card: dict[str, Any], folder: Path, seen: Seen | None = None) -> None:
        self.method, self.card, self.folder, self.seen = method.eval(), card, folder, seen

    @property
    def backbone(self) -> Backbone:
        """The frozen encoder it stands on."""
        return self.method.backbone

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores."""
        return self.method.task.classes

    @property
    def temperature(self) -> float:
        """Logits are divided by this before the softmax; 1 where nothing was calibrated."""
        return float(self.card["temperature"])

    @cached_property
    def judge(self) -> Judge:
        """Sets, reasons to be silent and nearest training images of its answers."""
        reason = ((self.card.get("calibration") or {}).get("sets") or {}).get("reason")
        return Judge(self.method, self.temperature, self.seen, reason)

    def answers(self, features: Tensor) -> list[dict[str, Any]]:
        """One object an image: label, probabilities {class: p}, set, set_reason, abstain, outside; see `Judge.answers`.

        features: unit-norm (images, joint_width), as `features` gives them.
        """
        found = self._probabilities(features)
        told = self.judge.answers(features, found.double().numpy())
        rows = []
        for values, judged in zip(found.tolist(), told, strict=True):
            table = dict(zip(self.classes, values, strict=True))
            rows.append({"label": max(table, key=lambda name: table[name]), "probabilities": table, **judged})
        return rows

    def visual_tokens(self) -> LayerTokens | None:
        """Tokens the model puts into the image tower."""
        return self.method.visual_tokens()

    def logits_from_pixels(self, pixels: Tensor) -> Tensor:
        """Uncalibrated scores (batch, classes), differentiable in pixels (batch, 3, size, size)."""
        return self.method.logits(self.method.encode_images(pixels))

    def scores_from_pixels(self, pixels: Tensor) -> Tensor:
        """Uncalibrated scores (batch, classes) as classification makes them, float32 on the CPU, without gradient."""
        return predict_logits(self.method, self._features(pixels)).cpu()

    def probabilities_from_pixels(self, pixels: Tensor) -> Tensor:
        """Calibrated probabilities (batch, classes) of pixels (batch, 3, size, size), on the CPU, without gradient."""
        return self._probabilities(self._features(pixels))

    def features(self, images: Sequence[Image.Image]) -> Tensor:
        """Unit-norm image features (images, joint_width) as the model sees them, without gradient."""
        rows = []
        for start in range(0, len(images), PICTURES_PER_PASS):
            chunk = images[start : start + PICTURES_PER_PASS]
            rows.append(self._features(torch.stack([self.method.reader.preprocess(image) for image in chunk])))
        return torch.cat(rows)

    def _features(self, pixels: Tensor) -> Tensor:
        return frozen_features(self.method, pixels.to(self.backbone.device))

    def probabilities(self, images: Sequence[Image.Image]) -> Tensor:
        """Calibrated probabilities (images, classes) of RGB pictures, on the CPU."""
        if not images:
            return torch.empty(0, len(self.classes))
        return self._probabilities(self.features(images))

    def _probabilities(self, features: Tensor) -> Tensor:
        return (predict_logits(self.method, features) / self.temperature).softmax(dim=-1).cpu()

    def predict(self, paths: Sequence[Path]) -> list[dict[str, Any]]:
        """One object a file: file, model, and what `answers` gives. Raises UnreadableImage naming the file."""
        rows: list[dict[str, Any]] = []
        for start in range(0, len(paths), PICTURES_PER_PASS):
            chunk = paths[start : start + PICTURES_PER_PASS]
            # one picture after the other becomes model input: side by side, large ones would fill the memory
            pixels = torch.stack([_input(self.method.reader, path) for path in chunk])
            told = self.answers(self._features(pixels))
            rows += [
                {"file": str(path), **row, "model": str(self.folder)} for path, row in zip(chunk, told, strict=True)
            ]
        return rows


def load_model(
    folder: str | Path,
    *,
    home: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    backbone: Backbone | None = None,
    classes: Sequence[str] | None = None,
    folders: bool = True,
) -> Classifier:
    """Load a model folder.

    backbone: use this one instead of loading the one the card names. classes: the list the caller counts on. folders:
    whether the card may name a backbone by a folder of this machine; NotAllowed is raised if not. Raises
    BackboneMismatch if the weights are not those the model was trained on, ClassMismatch if the lists differ.
    """
    from core.backbones.loading import load_backbone

    folder = Path(folder).resolve()
    card, tensors = read_artifact(folder)
    tower = backbone or load_backbone(
        str(card["backbone"]), device=device, precision=precision, home=home, folders=folders
    )
    if tower.checksum != card["backbone_checksum"]:
        raise BackboneMismatch(
            f"The backbone '{card['backbone']}' with the checksum {card['backbone_checksum'][:12]}",
            f"'{tower.name}' has {tower.checksum[:12]}",
            "Load the backbone this model was trained on, or train again.",
        )
    if classes is not None and list(classes) != card["classes"]:
        raise ClassMismatch(
            f"The classes {', '.join(classes)}",
            f"the model has {', '.join(card['classes'])}",
            "Choose another model.",
        )
    try:
        method = rebuild(card, tower, tensors, home, folders)
        method.load_learned_state({name: value.to(tower.device) for name, value in tensors.items()})
    except PromptoscopeError:
        raise
    except Exception as error:  # a card and tensors from anywhere: whatever they lack or do not fit is damage
        raise damaged(folder, f"{type(error).__name__}: {error}") from error
    return Classifier(method, card, folder, read_seen(folder))


def rebuild(
    card: dict[str, Any],
    backbone: Backbone,
    tensors: Mapping[str, Tensor],
    home: Path | None = None,
    folders: bool = True,
) -> Method:
    """The method of a card, untrained. tensors: the saved ones, which may hold what the task needs."""
    kind = get_method(card["method"])
    config = kind.Config.from_values(card["options"])
    found = card["descriptions"]
    sentences = {name: tuple(found["sentences"][name]) for name in card["classes"]}
    task = Task(
        backbone,
        tuple(card["classes"]),
        DescriptionSet(sentences, found["source"]),
        modality=card["modality"],
        seed=card["seed"],
        hidden_states=kind.saved_hidden_states(card["classes"], tensors),
        # a start is among the saved tensors
        encoder=None if kind.starts_from else named_encoder(kind, config, backbone.device, home, folders),
    )
    return kind(config, task)


def frozen_features(method: Method, pixels: Tensor) -> Tensor:
    """Unit-norm features of pixels without gradient; a tower that was not trained runs in the fast precision."""
    if method.image_path(method.config) == "trained":
        with torch.inference_mode(), method.backbone.fast_passes():
            return method.encode_images(pixels).clone()
    return frozen_pass(method.reader, pixels, method.visual_tokens())


def _input(reader: PictureReader, path: Path) -> Tensor:
    """Model input (3, size, size) of one file."""
    try:
        with opened_picture(path) as picture:
            return reader.preprocess(picture.rgb())
    except UnreadableImage as error:
        raise UnreadableImage(error.expected, f"'{path.name}': {error.found}", error.remedy) from None
