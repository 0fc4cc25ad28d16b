"""Device and precision are chosen once and stay."""

from __future__ import annotations

import pytest
import torch

from core.backbones import device
from core.errors import InvalidInput, Unavailable
from tests.builders import tiny_backbone, tiny_backbone_folder

CPU = torch.device("cpu")


def test_auto_takes_the_cpu_where_no_cuda_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.choose_device("auto") == CPU


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(Unavailable, match="'cuda' must exist on this machine; 0 CUDA devices were found"):
        device.choose_device("cuda")


def test_a_word_that_is_no_device_is_refused():
    with pytest.raises(InvalidInput, match="auto, cpu, cuda or cuda:NUMBER; found 'tpu9000'"):
        device.choose_device("tpu9000")


@pytest.mark.parametrize("precision", ["fp16", "int4"])
def test_a_precision_the_cpu_does_not_offer_is_refused(precision):
    with pytest.raises(InvalidInput, match=f"Precision on cpu is auto, fp32, bf16; found '{precision}'"):
        device.choose_precision(precision, CPU)


@pytest.mark.parametrize(
    ("amx", "bf16_units", "vendor", "expected"),
    [
        (False, False, "AuthenticAMD", "fp32"),
        (False, True, "AuthenticAMD", "bf16"),
        (False, True, "GenuineIntel", "fp32"),
        (True, True, "GenuineIntel", "bf16"),
        (False, False, "", "fp32"),
    ],
)
def test_auto_on_a_cpu_follows_its_units(monkeypatch, amx, bf16_units, vendor, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16_units)
    monkeypatch.setattr(device, "processor_vendor", lambda: vendor)
    assert device.choose_precision("auto", CPU) == expected


def test_auto_gives_the_same_answer_each_time():
    assert len({device.choose_precision("auto", CPU) for _ in range(5)}) == 1


def test_bf16_features_stay_close_to_full_precision(tmp_path):
    from core.backbones import load_backbone

    fast = load_backbone(tiny_backbone_folder("timm-bert"), device="cpu", precision="bf16", home=tmp_path)
    pixels = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features, exact = fast.encode_images_frozen(pixels), tiny_backbone("timm-bert").encode_images_frozen(pixels)
    assert features.dtype == torch.float32
    assert not torch.equal(features, exact)
    assert torch.cosine_similarity(features, exact).min() > 0.999
