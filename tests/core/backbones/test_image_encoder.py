"""A second encoder from any folder of a known vision model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.backbones.encoder_loading import check_image_encoder, load_image_encoder
from core.errors import InvalidInput, NotAllowed, NotFound
from tests.builders import session_folder, timm_folder, tiny_backbone, tiny_backbone_folder

CPU = torch.device("cpu")


@pytest.mark.parametrize("architecture", ["test_vit", "test_resnet"])
def test_a_timm_folder_gives_the_mean_over_places(architecture: str, tmp_path: Path) -> None:
    encoder = load_image_encoder(str(timm_folder(tmp_path / "m", architecture)), device=CPU, home=tmp_path)
    levels = torch.rand(2, 3, encoder.preprocessing.size, encoder.preprocessing.size)
    found = encoder.encode(levels)
    assert found.shape == (2, encoder.width)
    torch.testing.assert_close(encoder.encode(levels[:1]), found[:1], atol=1e-5, rtol=1e-4)
    # another size is brought to the encoder's own
    assert encoder.encode(torch.rand(1, 3, 48, 64)).shape == (1, encoder.width)


def test_a_backbone_folder_gives_its_unit_norm_feature(tmp_path: Path) -> None:
    folder, tower = tiny_backbone_folder(), tiny_backbone()
    encoder = load_image_encoder(str(folder), device=CPU, home=session_folder() / "home")
    recipe = tower.preprocessing
    mean, std = (torch.tensor(v)[:, None, None] for v in (recipe.mean, recipe.std))
    levels = torch.rand(2, 3, recipe.size, recipe.size)
    expected = torch.nn.functional.normalize(tower.encode_images_frozen((levels - mean) / std), dim=-1)
    # in the short precision of this machine, where it has one
    torch.testing.assert_close(encoder.encode(levels), expected, atol=2e-2, rtol=0)
    assert encoder.checksum == tower.checksum


def test_what_is_no_encoder_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"'/nowhere' is no folder"):
        check_image_encoder("/nowhere", tmp_path)
    folder = timm_folder(tmp_path / "m", architecture="test_vit")
    check_image_encoder(str(folder), tmp_path)
    with pytest.raises(NotAllowed):
        check_image_encoder(str(folder), tmp_path, folders=False)
    (folder / "config.json").write_text(json.dumps({"architecture": "no_such_net"}))
    with pytest.raises(InvalidInput, match="'architecture' is 'no_such_net', which timm does not know"):
        load_image_encoder(str(folder), device=CPU, home=tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InvalidInput, match=r"'m': it holds no model\.safetensors"):
        check_image_encoder(str(folder), tmp_path)
