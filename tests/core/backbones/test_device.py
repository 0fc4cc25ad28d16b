"""Device and precision are chosen once and stay."""

from __future__ import annotations

import json

import pytest
import torch

from core.backbones import device
from core.errors import InvalidInput, Unavailable
from tests.builders import tiny_backbone, tiny_backbone_folder

CPU = torch.device("cpu")


@pytest.fixture
def with_bf16_units(monkeypatch):
    monkeypatch.setattr(device, "has_bf16_units", lambda: True)


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
def test_a_precision_the_cpu_does_not_offer_is_refused(precision, tmp_path):
    with pytest.raises(InvalidInput, match=f"Precision on cpu is auto, fp32, bf16; found '{precision}'"):
        device.choose_precision(precision, CPU, tmp_path)


def test_without_bf16_units_auto_is_full_precision(monkeypatch, tmp_path):
    monkeypatch.setattr(device, "has_bf16_units", lambda: False)
    assert device.choose_precision("auto", CPU, tmp_path) == "fp32"


@pytest.mark.parametrize(("speedup", "expected"), [(2.0, "bf16"), (1.05, "fp32"), (0.6, "fp32")])
def test_auto_follows_the_measurement_and_remembers_it(with_bf16_units, monkeypatch, tmp_path, speedup, expected):
    monkeypatch.setattr(device, "measure_speedup", lambda: speedup)
    assert device.choose_precision("auto", CPU, tmp_path) == expected
    monkeypatch.setattr(device, "measure_speedup", lambda: 1 / speedup)
    assert device.choose_precision("auto", CPU, tmp_path) == expected
    (key,) = json.loads((tmp_path / "cache" / "device.json").read_text())
    assert key.endswith(f"torch {torch.__version__}")


def test_where_nothing_can_be_remembered_auto_is_full_precision(with_bf16_units, monkeypatch, tmp_path):
    monkeypatch.setattr(device, "measure_speedup", lambda: 9.0)
    home = tmp_path / "home"
    home.write_text("a file where the folder should be")
    assert device.choose_precision("auto", CPU, home) == "fp32"


def test_an_unreadable_memory_is_measured_anew(with_bf16_units, monkeypatch, tmp_path):
    monkeypatch.setattr(device, "measure_speedup", lambda: 2.0)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "device.json").write_text("not json")
    assert device.choose_precision("auto", CPU, tmp_path) == "bf16"


def test_the_measurement_compares_both_precisions():
    assert 0.01 < device.measure_speedup() < 100


def test_bf16_features_stay_close_to_full_precision(tmp_path):
    from core.backbones import load_backbone

    fast = load_backbone(tiny_backbone_folder("timm-bert"), device="cpu", precision="bf16", home=tmp_path)
    pixels = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features, exact = fast.encode_images_frozen(pixels), tiny_backbone("timm-bert").encode_images_frozen(pixels)
    assert features.dtype == torch.float32
    assert not torch.equal(features, exact)
    assert torch.cosine_similarity(features, exact).min() > 0.999
