"""CoPrompt's worked numbers."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from core.methods.coprompt import _adapter, _mixed
from core.tuning.contract import Batch
from core.tuning.loop import fit
from core.tuning.randaugment import GREY_VALUES, OTHERS, change, rand_augment
from core.tuning.views import AGAIN, draw_view
from tests.builders import tiny_backbone
from tests.core.methods.test_vpt import pixels
from tests.core.tuning.test_every_method import build, data_for


def test_two_adapters_of_the_published_width_have_its_size_and_give_nothing_negative() -> None:
    adapter = _adapter(512)
    assert 2 * sum(p.numel() for p in adapter.parameters()) == 262_144
    assert float(adapter(torch.randn(8, 512)).min().detach()) >= 0


def test_a_mix_by_hand() -> None:
    double = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        double.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
        # 0.25 (2, 0) + 0.75 (1, 1) = (1.25, 0.75)
        found = _mixed(torch.tensor([[1.0, 1.0]]), double, 0.25)
    torch.testing.assert_close(found, torch.tensor([[1.25, 0.75]]) / (1.25**2 + 0.75**2) ** 0.5)


def test_the_other_view_is_read_by_the_untouched_tower() -> None:
    method = build("coprompt", consistency_weight=3.0)
    batch = Batch(torch.tensor([0, 1]), pixels=pixels(), views={"second": pixels().flip(-1)})
    with torch.no_grad():
        found = float(method.loss_terms(batch)["consistency"])
        images, texts = method.encode_images(pixels()), method.class_features()
        plain = tiny_backbone().encode_images(pixels().flip(-1))
        image = 1 - float(torch.cosine_similarity(images, plain).mean())
        possible = [
            3 * (image + 1 - float(torch.cosine_similarity(texts, sentence).mean()))
            for sentence in method._descriptions.unbind(dim=1)
        ]
    assert min(abs(found - value) for value in possible) < 1e-4


def test_without_adapters_and_consistency_it_is_maple() -> None:
    same = {"depth": 2, "visual_mode": "append", "text_dropout": False, "learning_rate": 0.01, "warmup_epochs": 0}
    off = {"consistency_weight": 0, "image_share": 0, "text_share": 0}
    one, other = build("coprompt", towers="clip-causal", **same, **off), build("maple", towers="clip-causal", **same)
    for method in (one, other):
        fit(method, data_for(method), seed=0)
    torch.testing.assert_close(one.context.vectors, other.context.vectors)


def test_all_that_is_learned_gets_a_gradient() -> None:
    method = build("coprompt")
    batch = Batch(torch.tensor([0, 1]), pixels=pixels(), views={"second": pixels()})
    method.backward(method.loss_terms(batch))
    assert all(float(p.grad.abs().sum()) > 0 for p in method.parameters())


def picture() -> Image.Image:
    values = torch.randint(256, (40, 56, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Image.fromarray(values.numpy())


@pytest.mark.parametrize("name", [*GREY_VALUES, *OTHERS])
def test_each_operation_changes_the_picture_and_keeps_its_size(name: str) -> None:
    changed = change(picture(), name, 1, torch.Generator().manual_seed(1))
    assert (changed.size, changed.mode) == ((56, 40), "RGB")
    same = name in ("equalize", "autocontrast")  # of noise over all values next to nothing is left to do
    assert same or changed.tobytes() != picture().tobytes()


def test_operations_on_grey_values_by_hand() -> None:
    dark, bright = Image.new("RGB", (2, 2), (100, 0, 0)), Image.new("RGB", (2, 2), (200, 0, 0))
    generator = torch.Generator()
    assert change(dark, "solarize_add", 1, generator).getpixel((0, 0))[0] == 137
    assert change(bright, "solarize_add", 1, generator).getpixel((0, 0))[0] == 200
    assert change(dark, "solarize", 1, generator).getpixel((0, 0)) == (155, 0, 0)
    assert change(bright, "posterize", 1, generator).getpixel((0, 0))[0] == 200


def test_two_operations_are_drawn_from_the_given_ones() -> None:
    twice = rand_augment(picture(), ("invert",), torch.Generator().manual_seed(0))
    assert twice.tobytes() == picture().tobytes()


def test_the_second_view_is_another_draw_of_the_first() -> None:
    tower = tiny_backbone()
    first, again = (draw_view(picture(), tower, name, 1, "a", 1) for name in ("randaugment", f"randaugment+{AGAIN}"))
    assert first.shape == again.shape
    assert not torch.equal(first, again)
    assert torch.equal(again, draw_view(picture(), tower, f"randaugment+{AGAIN}", 1, "a", 1))
