"""Names, folders, checksums and what is refused when a backbone is loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from core.backbones import list_backbones, load_backbone
from core.backbones.catalogue import (
    CONFIG_FILE,
    EMBEDDED_FOLDER,
    RECORD_FILE,
    WEIGHTS_FILE,
    backbone_names,
    find_folder,
)
from core.backbones.loading import file_checksum
from core.errors import InvalidInput, NotFound, Unavailable
from tests.builders import TOWERS, embedded_backbone, tiny_backbone, tiny_backbone_folder


@pytest.fixture
def folder(tmp_path):
    """A backbone folder to spoil."""
    return shutil.copytree(tiny_backbone_folder("timm-bert"), tmp_path / "backbone")


def load(folder, tmp_path):
    return load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home")


def change_config(folder, **changes):
    config = json.loads((folder / CONFIG_FILE).read_text())
    for key, values in changes.items():
        part = config if key == "preprocess_cfg" else config["model_cfg"]
        part[key] = {**part[key], **values} if isinstance(values, dict) else values
    (folder / CONFIG_FILE).write_text(json.dumps(config))


def test_importing_the_package_brings_neither_torch_nor_a_model():
    code = "import sys, core.backbones as b; b.list_backbones; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_the_embedded_backbone_is_what_its_card_says():
    backbone = embedded_backbone()
    assert backbone.name == "embedded"
    assert backbone.checksum == json.loads((EMBEDDED_FOLDER / RECORD_FILE).read_text())["sha256"]
    assert (backbone.image_layers, backbone.text_layers, backbone.joint_width) == (12, 6, 384)
    assert (backbone.patch_grid, backbone.context_length, backbone.text_kind) == ((14, 14), 128, "bert")
    assert backbone.preprocessing.mean == (0.485, 0.456, 0.406)
    assert backbone.logit_scale == pytest.approx(float(backbone.model.logit_scale.exp()))


@pytest.mark.parametrize("kind", TOWERS)
def test_loading_opens_no_socket(kind, no_sockets, tmp_path):
    backbone = load(tiny_backbone_folder(kind), tmp_path)
    assert backbone.encode_texts(["a brain"]).shape == (1, 32)


def test_the_embedded_backbone_loads_without_a_socket(no_sockets, tmp_path):
    backbone = load_backbone("embedded", device="cpu", precision="fp32", home=tmp_path)
    assert backbone.encode_texts(["a brain"]).shape == (1, 384)


def test_hub_names_in_the_configuration_mean_the_folder_itself(folder, no_sockets, tmp_path):
    hub = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
    change_config(folder, text_cfg={"hf_model_name": hub, "hf_tokenizer_name": hub})
    expected = tiny_backbone("timm-bert").encode_texts(["a brain"])
    assert torch.equal(load(folder, tmp_path).encode_texts(["a brain"]), expected)


def test_a_moved_folder_loads_and_its_name_loads_it_again(folder, tmp_path):
    moved = folder.rename(tmp_path / "moved")
    backbone = load(f"local-dir:{moved}", tmp_path)
    assert backbone.name == f"local-dir:{moved}"
    assert load(backbone.name, tmp_path).checksum == backbone.checksum


def test_a_known_backbone_given_by_its_path_keeps_its_name(folder, tmp_path):
    (tmp_path / "backbones").mkdir()
    fetched = folder.rename(tmp_path / "backbones" / "biomedclip")
    (fetched / RECORD_FILE).write_text(json.dumps({"name": "biomedclip"}))
    assert find_folder(str(EMBEDDED_FOLDER), tmp_path) == ("embedded", EMBEDDED_FOLDER)
    assert find_folder(str(fetched), tmp_path) == ("biomedclip", fetched)
    assert find_folder(str(fetched), tmp_path / "other")[0] == f"local-dir:{fetched}"


def test_loading_leaves_the_global_random_state_as_it_was(folder, tmp_path):
    before = torch.get_rng_state()
    load(folder, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


class Draws(TorchDispatchMode):
    """Counts the numbers drawn at random while it is open."""

    n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name in ("aten::normal_", "aten::uniform_"):
            self.n += args[0].numel()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", TOWERS)
def test_loading_draws_no_weights_that_the_file_replaces(kind, tmp_path):
    with Draws() as draws:
        model = load(tiny_backbone_folder(kind), tmp_path).model
    assert draws.n == 0
    state = load_file(str(tiny_backbone_folder(kind) / WEIGHTS_FILE))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_half_precision_weights_are_computed_in_full_precision():
    stored = load_file(str(EMBEDDED_FOLDER / WEIGHTS_FILE))
    assert stored["visual.head.proj.weight"].dtype == torch.float16
    assert {p.dtype for p in embedded_backbone().model.parameters()} == {torch.float32}


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(NotFound, match=r"embedded, biomedclip, .*; found 'biomedklip'"):
        load("biomedklip", tmp_path)


def test_a_bare_architecture_name_is_no_backbone(tmp_path):
    with pytest.raises(NotFound, match="A backbone is one of"):
        load("ViT-B-16", tmp_path)


def test_a_known_backbone_that_is_not_here_says_how_to_fetch_it(tmp_path):
    with pytest.raises(Unavailable, match="`promptoscope backbones fetch biomedclip`"):
        load("biomedclip", tmp_path)
    with pytest.raises(Unavailable, match="`promptoscope backbones fetch hf-hub:some/model`"):
        load("hf-hub:some/model", tmp_path)


def test_a_backbone_whose_towers_do_not_fit_says_why(tmp_path):
    with pytest.raises(Unavailable, match="'pmc-clip' cannot be loaded; Its image tower is a ResNet"):
        load("pmc-clip", tmp_path)


def test_a_folder_without_configuration_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"must hold open_clip_config\.json; none is in"):
        load(f"local-dir:{tmp_path}", tmp_path)


def test_a_broken_configuration_is_refused(folder, tmp_path):
    (folder / CONFIG_FILE).write_text("{")
    with pytest.raises(InvalidInput, match=r"open_clip_config\.json must hold a JSON object; it could not be read"):
        load(folder, tmp_path)
    (folder / CONFIG_FILE).write_text('{"model_cfg": {"embed_dim": 3}}')
    with pytest.raises(InvalidInput, match="parts are missing"):
        load(folder, tmp_path)


def test_a_pickle_is_never_loaded(folder, tmp_path):
    state = load_file(str(folder / WEIGHTS_FILE))
    (folder / WEIGHTS_FILE).unlink()
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(InvalidInput, match=r"weights as open_clip_model\.safetensors; .* holds 0 safetensors files"):
        load(folder, tmp_path)


def test_weights_of_another_architecture_are_refused(folder, tmp_path):
    change_config(folder, embed_dim=64)
    with pytest.raises(InvalidInput, match="must fit the architecture"):
        load(folder, tmp_path)


def test_weights_that_differ_from_their_record_are_refused(folder, tmp_path):
    (folder / RECORD_FILE).write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(InvalidInput, match=r"checksum in its backbone\.json \(000000000000\.\.\.\); found"):
        load(folder, tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"vision_cfg": {"timm_model_name": "test_vit2"}}, "without a class token for pooling"),
        ({"vision_cfg": {"timm_model_name": "resnet18", "timm_pool": "avg"}}, "found timm's ResNet"),
        ({"text_cfg": {"hf_pooler_type": "max_pooler"}}, "found the pooler MaxPooler"),
        ({"text_cfg": {"tokenizer_mode": "clips"}}, "the configuration asks for 'clips'"),
        ({"preprocess_cfg": {"resize_mode": "longest"}}, "'longest', 'bicubic'"),
    ],
)
def test_towers_and_recipes_that_cannot_be_opened_are_refused(folder, tmp_path, changes, sentence):
    change_config(folder, **changes)
    with pytest.raises(InvalidInput, match=sentence):
        load(folder, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"no_causal_mask": True}, {"pool_type": "last"}, {"embed_cls": True}],
)
def test_text_towers_that_do_not_pool_at_the_end_token_are_refused(tmp_path, changes):
    folder = shutil.copytree(tiny_backbone_folder("timm-causal"), tmp_path / "backbone")
    change_config(folder, text_cfg=changes)
    with pytest.raises(InvalidInput, match="causal transformer that pools at the end token"):
        load(folder, tmp_path)


def test_a_folder_without_its_text_model_files_is_refused(folder, tmp_path):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InvalidInput, match=r"must hold its tokenizer \(tokenizer\.json or vocab\.txt\)"):
        load(folder, tmp_path)
    (folder / "config.json").unlink()
    with pytest.raises(InvalidInput, match=r"must hold its text model's config\.json"):
        load(folder, tmp_path)


def test_a_checksum_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    file, home = tmp_path / "weights", tmp_path / "home"
    file.write_bytes(b"one")
    first = file_checksum(file, home)
    monkeypatch.setattr("core.backbones.loading.hashlib.file_digest", None)
    assert file_checksum(file, home) == first
    monkeypatch.undo()
    file.write_bytes(b"other")
    assert file_checksum(file, home) != first


def test_a_checksum_needs_no_memory(tmp_path):
    file, home = tmp_path / "weights", tmp_path / "home"
    file.write_bytes(b"some weights")
    expected = hashlib.sha256(b"some weights").hexdigest()
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "checksums.json").write_text("not json")
    assert file_checksum(file, home) == expected
    blocked = tmp_path / "a file where the folder should be"
    blocked.write_text("")
    assert file_checksum(file, blocked) == expected


def test_backbones_are_listed_with_what_is_here(tmp_path):
    rows = {row["name"]: row for row in list_backbones(tmp_path)}
    assert list(rows) == backbone_names()
    assert rows["embedded"]["available"]
    assert rows["embedded"]["checksum"].startswith("bdb2e80e")
    assert rows["embedded"]["joint_width"] == 384
    assert not rows["biomedclip"]["available"]
    assert rows["biomedclip"]["path"] is None
    assert not rows["pmc-clip"]["supported"]


def test_a_setting_stands_for_auto_and_yields_to_a_choice(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_PRECISION", "bf16")
    monkeypatch.setenv("PROMPTOSCOPE_DEVICE", "cpu")
    assert load_backbone(folder, home=tmp_path).precision == "bf16"
    assert load_backbone(folder, home=tmp_path, precision="fp32").precision == "fp32"
