"""DCPL's worked numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.backbones.encoder_loading import load_image_encoder
from core.errors import BackboneMismatch
from core.tuning.contract import Batch
from core.tuning.registry import get_method
from tests.builders import timm_folder
from tests.core.backbones.test_image_encoder import CPU
from tests.core.methods.test_vpt import pixels
from tests.core.methods.wide_tower import wide_task
from tests.core.tuning.test_every_method import build

SAME = {"depth": 2, "visual_mode": "append", "context_length": 2}


@pytest.mark.parametrize(("text_width", "words"), [(512, 33_312), (768, 41_760)])
def test_the_published_widths_give_networks_of_the_published_size(text_width: int, words: int) -> None:
    kind = get_method("dcpl")
    method = kind(kind.Config(), wide_task(text_width=text_width, image_width=768, joint_width=512))
    found = [sum(p.numel() for p in net.parameters()) for net in (method.meta_net, method.visual_net)]
    # d -> 32 -> w has 33 w + 32 d + 32 numbers
    assert found == [words, 33_312]


def test_networks_that_say_nothing_make_it_maple() -> None:
    method, plain = build("dcpl", noise="never", **SAME), build("maple", text_dropout=False, **SAME)
    for net in (method.meta_net, method.visual_net):
        torch.nn.init.zeros_(net[2].weight)
        torch.nn.init.zeros_(net[2].bias)
    with torch.no_grad():
        found, known = (m.logits(m.encode_images(pixels())) for m in (method, plain))
    torch.testing.assert_close(found, known, atol=1e-3, rtol=0)


def test_without_the_words_network_all_images_have_the_same_texts() -> None:
    method = build("dcpl")
    torch.nn.init.zeros_(method.meta_net[2].weight)
    with torch.no_grad():
        features = method.encode_images(pixels())
        swapped = torch.cat([features[:, :32], features.flip(0)[:, 32:]], dim=1)
        torch.testing.assert_close(method.logits(swapped), method.logits(features))


def test_noise_is_of_training_unless_it_is_asked_for_always() -> None:
    quiet, loud = build("dcpl").eval(), build("dcpl", noise="always").eval()
    with torch.no_grad():
        first, second = quiet.encode_images(pixels()), quiet.encode_images(pixels())
        assert torch.equal(first, second)
        assert not torch.equal(loud.encode_images(pixels()), first)
        assert torch.equal(loud.encode_images(pixels()), loud.encode_images(pixels()))
        assert not torch.equal(quiet.train().encode_images(pixels()), first)


def test_every_learned_part_gets_a_gradient() -> None:
    method = build("dcpl").train()
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(bool(p.grad.any()) for p in method.parameters())


def test_the_domains_encoder_comes_from_a_folder_and_is_known_again(tmp_path: Path) -> None:
    kind, plain = get_method("dcpl"), build("dcpl")
    encoder = load_image_encoder(str(timm_folder(tmp_path / "m")), device=CPU, home=tmp_path)
    method = kind(kind.Config(encoder=str(tmp_path / "m")), replace(plain.task, encoder=encoder))
    with torch.no_grad():
        assert method.encode_images(pixels()).shape == (2, plain.backbone.joint_width + encoder.width)
    assert kind.notes(method.config) == []
    assert "No domain encoder was named" in kind.notes(plain.config)[0]
    with pytest.raises(BackboneMismatch, match="domain encoder with the checksum"):
        plain.load_learned_state(method.learned_state())
