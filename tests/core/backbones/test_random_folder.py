"""Random folders: the same on every machine, and BiomedCLIP's architecture at full size."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file

from core.backbones import build_random_backbone_folder, load_backbone, parity_backbone_folder
from core.backbones.catalogue import WEIGHTS_FILE
from core.backbones.random_folder import random_state, state_digest
from core.errors import InvalidInput

# Digest of the BiomedCLIP-shaped weights of seed 1234 that recorded traces of other implementations name.
PARITY_DIGEST = "aee58b74fcec7d9e2af42d5ca5710daa5e31a404c4e59e08410c504ad62efa53"


def test_weights_follow_their_rule_in_sorted_order():
    shapes = {
        "b.norm1.weight": (3,),
        "a.weight": (4, 2, 2),
        "logit_scale": (),
        "c.bias": (3,),
        "d.word_embeddings.weight": (5, 2),
        "e.ln_1.weight": (2,),
        "visual.trunk.pos_embed": (1, 2, 2),
    }
    state = random_state(shapes, seed=3)
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).float()

    assert torch.equal(state["a.weight"], (1.4 / math.sqrt(4)) * draw(4, 2, 2))
    assert torch.equal(state["b.norm1.weight"], 1 + 0.1 * draw(3))
    assert torch.equal(state["c.bias"], 0.02 * draw(3))
    assert torch.equal(state["d.word_embeddings.weight"], 0.05 * draw(5, 2))
    assert torch.equal(state["e.ln_1.weight"], 1 + 0.1 * draw(2))
    assert float(state["logit_scale"]) == pytest.approx(math.log(85.2323))
    assert torch.equal(state["visual.trunk.pos_embed"], 0.02 * draw(1, 2, 2))


def test_a_folder_depends_on_its_seed_alone(tmp_path):
    def digest(name, seed):
        folder = build_random_backbone_folder(tmp_path / name, layout="tiny-timm-bert", seed=seed)
        return state_digest(load_file(str(folder / WEIGHTS_FILE)))

    digests = [digest("a", 1), digest("b", 1), digest("c", 2)]
    assert digests[0] == digests[1] != digests[2]


def test_an_unknown_layout_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"A layout is one of biomedclip, .*; found 'huge'"):
        build_random_backbone_folder(tmp_path, layout="huge")


@pytest.mark.slow
def test_biomedclip_at_full_size_has_the_recorded_weights_and_equals_open_clip(tmp_path, no_sockets):
    folder = parity_backbone_folder(tmp_path / "parity")
    assert state_digest(load_file(str(folder / WEIGHTS_FILE))) == PARITY_DIGEST
    assert parity_backbone_folder(folder) == folder
    backbone = load_backbone(folder, device="cpu", precision="fp32", home=tmp_path)
    assert (backbone.image_width, backbone.text_width, backbone.joint_width) == (768, 768, 512)
    assert (backbone.image_layers, backbone.text_layers, backbone.context_length) == (12, 12, 256)
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    found = backbone.tokenize(["a photo of a glioma tumor."])
    assert found.ids[0].tolist() == [101, 1037, 6302, 1997, 1037, 1043, 12798, 2863, 13656, 1012, 102]
    ids = torch.zeros(1, 256, dtype=torch.int64)
    ids[:, :11] = found.ids
    with torch.no_grad():
        assert (backbone.encode_images(pixels) - backbone.model.encode_image(pixels)).abs().max() <= 1e-5
        text = backbone.encode_text(backbone.embed_tokens(found.ids), found.mask)
        assert (text - backbone.model.encode_text(ids)).abs().max() <= 1e-5


@pytest.mark.slow
def test_clip_at_full_size_equals_open_clip(tmp_path, no_sockets):
    folder = build_random_backbone_folder(tmp_path / "clip", layout="clip-vit-b-16", seed=1)
    backbone = load_backbone(folder, device="cpu", precision="fp32", home=tmp_path)
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        image = backbone.model.encode_image(pixels)
        assert (backbone.encode_images(pixels) - image).abs().max() <= 1e-4 * image.abs().max()
