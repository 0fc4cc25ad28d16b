"""The image-encoder probe's worked numbers, and that nothing but its encoder is read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from core.backbones.contract import Backbone, Preprocessing
from core.backbones.encoder_loading import load_image_encoder
from core.backbones.image_encoder import EncoderReader, ImageEncoder
from core.descriptions.templates import template_descriptions
from core.errors import InvalidInput
from core.tuning.contract import Task
from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.registry import get_method
from tests.builders import session_folder, timm_folder, tiny_encoder_folder
from tests.core.methods.toy import CLASSES, IMAGES, LABELS, QUERY

CPU = torch.device("cpu")


class ThreeNumbers(ImageEncoder):
    """An encoder whose features have the width of the worked example."""

    name, checksum, device, architecture, parameters = "toy", "00" * 32, CPU, "toy", 0
    preprocessing = Preprocessing(32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def preprocess(self, image: Any) -> Tensor:
        raise NotImplementedError

    def over_places(self, pixels: Tensor) -> Tensor:
        raise NotImplementedError

    def read(self, pixels: Tensor, tokens: str) -> Tensor:
        return torch.zeros(len(pixels), 3)


def fitted(**options: Any) -> Any:
    """The probe on the worked example, by an encoder of three numbers, with a backbone that has no text side."""
    kind = get_method("image_probe")
    backbone = cast(Backbone, SimpleNamespace(device=CPU))
    task = Task(backbone, CLASSES, template_descriptions(CLASSES), encoder=ThreeNumbers())
    method: Any = kind(kind.Config.from_values({"encoder": "toy", "search": False} | options), task)
    fit(method, TensorData(LABELS, [], features=IMAGES), seed=0)
    return method


def test_the_border_of_the_worked_example() -> None:
    method = fitted()
    scores = method.logits(QUERY)[0]
    # one border for two classes, half of it on either side: by the specification's script
    assert (method.weight[1] * 2).tolist() == pytest.approx([-0.561563, 0.561563, 0.0], abs=1e-4)
    assert float(scores[1] - scores[0]) == pytest.approx(0.089850, abs=1e-4)
    assert float(scores.softmax(dim=-1)[1]) == pytest.approx(0.522447, abs=1e-4)


def test_standard_features_are_centred_and_divided_by_their_spread() -> None:
    method = fitted(scale="standard")
    assert method.shift.tolist() == pytest.approx([0.35, 0.35, 0.7])
    assert method.spread.tolist() == pytest.approx([0.357071, 0.357071, 0.1], abs=1e-5)
    assert method.scaled(QUERY)[0].tolist() == pytest.approx([0.364073, 0.812162, -1.0], abs=1e-4)


def test_pooled_and_class_token_features_are_those_of_timm(tmp_path: Path) -> None:
    encoder = load_image_encoder(str(tiny_encoder_folder()), device=CPU, home=tmp_path)
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        hidden = encoder._model.forward_features(pixels)  # type: ignore[attr-defined]
    pooled, both = EncoderReader(encoder), EncoderReader(encoder, "cls_mean")
    torch.testing.assert_close(pooled.encode_images_frozen(pixels), hidden[:, 0])
    expected = torch.cat([hidden[:, 0], hidden[:, 1:].mean(dim=1)], dim=1)
    torch.testing.assert_close(both.encode_images_frozen(pixels), expected)
    assert len({pooled.checksum, both.checksum, EncoderReader(encoder, "pooled", False).checksum}) == 3


def test_a_backbone_is_read_before_its_projection(tmp_path: Path) -> None:
    encoder = load_image_encoder("embedded", device=CPU, home=tmp_path)
    reader = EncoderReader(encoder, "cls_mean")
    assert (EncoderReader(encoder).joint_width, reader.joint_width) == (384, 768)
    assert encoder.licence == "Apache-2.0"
    assert encoder.sentence.startswith(
        "Image encoder 'embedded': the image tower of a backbone, 12 layers of width 384, "
    )


def test_an_encoder_without_class_token_says_so(tmp_path: Path) -> None:
    encoder = load_image_encoder(str(timm_folder(tmp_path / "m", "test_resnet")), device=CPU, home=tmp_path)
    assert EncoderReader(encoder).joint_width == encoder.width
    with pytest.raises(InvalidInput, match="test_resnet has none"):
        EncoderReader(encoder, "cls_mean")


def test_an_encoder_in_the_home_goes_by_its_name() -> None:
    home = session_folder() / "home-with-encoders"
    timm_folder(home / "encoders" / "small-net", img_size=64)
    encoder = load_image_encoder("small-net", device=CPU, home=home, folders=False)
    assert encoder.name == "small-net"
