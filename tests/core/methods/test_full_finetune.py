"""What full fine-tuning trains, and that nobody else sees it."""

from __future__ import annotations

import pytest
import torch

from core.tuning.contract import Batch
from core.tuning.loop import fit
from tests.builders import TOWERS, tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import build, data_for


@pytest.mark.parametrize("towers", TOWERS)
def test_everything_but_the_scale_is_trained(towers: str) -> None:
    method, model = build("full_finetune", towers=towers), tiny_backbone(towers).model
    expected = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("logit_"))
    assert sum(p.numel() for p in method.parameters()) == expected
    method.train()
    method.backward(method.loss_terms(Batch(torch.tensor([0, 1]), pixels=pixels())))
    assert all(bool(p.grad.any()) for p in method.parameters())
    assert float(torch.stack([p.grad.norm() for p in method.parameters()]).norm()) <= 1 + 1e-5
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("towers", TOWERS)
def test_before_the_first_step_it_is_zero_shot_and_afterwards_the_backbone_still_is(towers: str) -> None:
    method, plain = build("full_finetune", towers=towers, learning_rate=1e-3), build("zero_shot", towers=towers)
    with torch.no_grad():
        found, known = (m.logits(m.encode_images(pixels())) for m in (method, plain))
    torch.testing.assert_close(found, known, atol=1e-4, rtol=0)
    fit(method, data_for(method), seed=0)
    with torch.no_grad():
        trained, after = (m.logits(m.encode_images(pixels())) for m in (method, plain))
    assert float((trained - found).abs().max()) > 0.1
    assert torch.equal(after, known)


@pytest.mark.parametrize(
    ("options", "image", "text", "steady"),
    [
        ({"tuned": "image"}, True, False, None),
        ({"tuned": "text"}, False, True, 6),
        ({"last_blocks": 2}, True, True, 4),
        ({"last_blocks": 1, "tuned": "image"}, True, False, 5),
    ],
)
def test_one_tower_or_the_last_blocks_alone(options: dict, image: bool, text: bool, steady: int | None) -> None:
    method = build("full_finetune", **options)
    names = list(method.weights)
    assert any(name.startswith("visual/") for name in names) is image
    assert any(not name.startswith("visual/") for name in names) is text
    assert method.steady_layers() == steady
    if count := options.get("last_blocks"):
        blocks = {name.split("/")[3] for name in names if name.startswith("visual/trunk/blocks")}
        assert blocks == {str(layer) for layer in range(6 - count, 6)}


def test_only_matrices_decay() -> None:
    decayed, spared = build("full_finetune").parameter_groups()
    assert spared["weight_decay"] == 0
    assert min(p.ndim for p in decayed["params"]) == 2
    assert len(decayed["params"]) + len(spared["params"]) == len(list(build("full_finetune").parameters()))
