"""Fetching writes a folder that needs nothing else, from a hub that is played by a local folder."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from core.backbones import check_backbone, fetch_backbone, list_backbones, load_backbone
from core.backbones.catalogue import CONFIG_FILE, RECORD_FILE, WEIGHTS_FILE, catalogue
from core.errors import InvalidInput, Unavailable
from tests.builders import tiny_backbone, tiny_backbone_folder

BIOMEDCLIP = catalogue()["biomedclip"].hub
PICKLE = "open_clip_pytorch_model.bin"
TEXT_HUB = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"


class FakeHub:
    """Serves folders under root/owner/name as a hub would, and remembers what was asked for."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked = root, []

    def hf_hub_download(self, repo_id, filename, *, revision=None, local_dir):
        self.asked.append((repo_id, filename, revision))
        file = self.root / repo_id / filename
        if not file.is_file():
            raise EntryNotFoundError(f"404 {filename}")
        Path(local_dir).mkdir(parents=True, exist_ok=True)
        return str(shutil.copyfile(file, Path(local_dir) / filename))

    def model_info(self, repo_id):
        return SimpleNamespace(sha="f00d", card_data={"license": "mit"})


@pytest.fixture
def hub(tmp_path, monkeypatch, no_sockets):
    fake = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fake.hf_hub_download)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=fake.model_info))
    return fake


def publish_biomedclip(hub, pickled=False):
    """A tiny model in BiomedCLIP's layout: hub names in the configuration, config.json elsewhere.

    pickled: the weights as the publisher offers them, which takes a process of its own to convert.
    """
    made, folder, text = tiny_backbone_folder("timm-bert"), hub.root / BIOMEDCLIP, hub.root / TEXT_HUB
    folder.mkdir(parents=True)
    text.mkdir(parents=True)
    config = json.loads((made / CONFIG_FILE).read_text())
    config["model_cfg"]["text_cfg"].update(hf_model_name=TEXT_HUB, hf_tokenizer_name=TEXT_HUB)
    del config["model_cfg"]["text_cfg"]["hf_model_pretrained"]
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(made / name, folder / name)
    shutil.copyfile(made / "config.json", text / "config.json")
    if pickled:
        state = load_file(str(made / WEIGHTS_FILE))
        state["text.transformer.embeddings.position_ids"] = torch.arange(512)[None]
        torch.save(state, folder / PICKLE)
    else:
        shutil.copyfile(made / WEIGHTS_FILE, folder / WEIGHTS_FILE)
    return folder


def test_a_fetched_biomedclip_is_self_contained_and_equal_to_what_was_published(hub, tmp_path):
    publish_biomedclip(hub, pickled=True)
    home = tmp_path / "home"
    folder = fetch_backbone("biomedclip", home)
    shutil.rmtree(hub.root)
    assert sorted(file.name for file in folder.iterdir()) == [
        RECORD_FILE,
        "config.json",
        CONFIG_FILE,
        WEIGHTS_FILE,
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    backbone = load_backbone("biomedclip", device="cpu", precision="fp32", home=home)
    texts = ["a photo of a normal brain"]
    assert backbone.name == "biomedclip"
    assert json.loads((folder / RECORD_FILE).read_text())["weights_from"] == PICKLE
    assert torch.equal(backbone.encode_texts(texts), tiny_backbone("timm-bert").encode_texts(texts))
    assert {row["status"] for row in check_backbone("biomedclip", home)} == {"pass"}
    assert not [path for path in (home / "backbones").iterdir() if path.name.startswith(".")]


def test_the_record_says_where_the_weights_came_from(hub, tmp_path):
    publish_biomedclip(hub)
    home = tmp_path / "home"
    record = json.loads((fetch_backbone("biomedclip", home) / RECORD_FILE).read_text())
    wanted = ("name", "hub", "revision", "licence", "text_hub", "weights_from", "joint_width", "context_length")
    assert [record[key] for key in wanted] == [
        "biomedclip",
        BIOMEDCLIP,
        "f00d",
        "mit",
        TEXT_HUB,
        WEIGHTS_FILE,
        32,
        64,
    ]
    listed = next(row for row in list_backbones(home) if row["name"] == "biomedclip")
    assert (listed["available"], listed["checksum"]) == (True, record["sha256"])
    assert (BIOMEDCLIP, CONFIG_FILE, "f00d") in hub.asked


def test_what_is_there_is_not_fetched_again_unless_asked(hub, tmp_path):
    publish_biomedclip(hub)
    fetch_backbone("biomedclip", tmp_path)
    hub.asked.clear()
    said = []
    fetch_backbone("biomedclip", tmp_path, say=said.append)
    assert hub.asked == []
    assert said == [f"biomedclip is already in {tmp_path / 'backbones' / 'biomedclip'}."]
    fetch_backbone("biomedclip", tmp_path, again=True)
    assert hub.asked


def test_a_hub_model_without_a_name_of_its_own_is_listed_after_fetching(hub, tmp_path):
    shutil.copytree(tiny_backbone_folder("clip-causal"), hub.root / "some" / "clip")
    folder = fetch_backbone("hf-hub:some/clip", tmp_path)
    assert folder == tmp_path / "backbones" / "some--clip"
    assert load_backbone("hf-hub:some/clip", home=tmp_path, precision="fp32").name == "hf-hub:some/clip"
    assert [row["name"] for row in list_backbones(tmp_path)][-1] == "hf-hub:some/clip"


def test_a_folder_with_the_publishers_files_replaces_the_hub(hub, tmp_path):
    source = shutil.copytree(tiny_backbone_folder("timm-bert"), tmp_path / "copied")
    fetch_backbone("biomedclip", tmp_path / "home", source=source)
    assert hub.asked == []
    assert load_backbone("biomedclip", home=tmp_path / "home", precision="fp32").joint_width == 32


def test_a_transformers_clip_model_is_rewritten_with_equal_features(hub, tmp_path):
    from transformers import CLIPConfig, CLIPModel

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**sizes, "vocab_size": 49408, "eos_token_id": 49407, "bos_token_id": 49406},
        vision_config={**sizes, "image_size": 64, "patch_size": 32},
        projection_dim=24,
    )
    torch.manual_seed(0)
    published = CLIPModel(config).eval()
    folder = hub.root / catalogue()["pubmedclip"].hub
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    torch.save(published.state_dict(), folder / "pytorch_model.bin")
    fetch_backbone("pubmedclip", tmp_path)
    backbone = load_backbone("pubmedclip", device="cpu", precision="fp32", home=tmp_path)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    ids = torch.zeros(1, 77, dtype=torch.int64)
    found = backbone.tokenize(["a chest x-ray"])
    ids[:, : found.ids.shape[1]] = found.ids
    with torch.no_grad():
        hidden = published.vision_model(pixels).pooler_output
        image = published.visual_projection(hidden)
        text = published.text_projection(published.text_model(ids).pooler_output)
    assert backbone.patch_grid == (2, 2)
    assert torch.allclose(backbone.encode_images_frozen(pixels), image, atol=1e-5)
    assert torch.allclose(backbone.encode_texts(["a chest x-ray"]), text, atol=1e-5)


class Exploit:
    """What a hostile pickle would do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_code_in_a_pickle_is_not_executed(hub, tmp_path):
    folder = publish_biomedclip(hub)
    mark = tmp_path / "executed"
    (folder / WEIGHTS_FILE).unlink()
    (folder / PICKLE).write_bytes(pickle.dumps(Exploit(mark)))
    with pytest.raises(InvalidInput, match=r"open_clip_pytorch_model\.bin must be a file of plain tensors"):
        fetch_backbone("biomedclip", tmp_path / "home")
    assert not mark.exists()
    assert not list((tmp_path / "home" / "backbones").iterdir())


def test_a_failed_fetch_leaves_the_earlier_folder_alone(hub, tmp_path):
    folder = publish_biomedclip(hub)
    kept = fetch_backbone("biomedclip", tmp_path / "home")
    (folder / CONFIG_FILE).unlink()
    with pytest.raises(InvalidInput, match=rf"must offer {CONFIG_FILE}; it does not"):
        fetch_backbone("biomedclip", tmp_path / "home", again=True)
    assert {row["status"] for row in check_backbone("biomedclip", tmp_path / "home")} == {"pass"}
    assert (kept / RECORD_FILE).is_file()


def test_an_unreachable_hub_is_reported_with_what_to_do(tmp_path, monkeypatch):
    def unreachable(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=unreachable))
    with pytest.raises(Unavailable, match=r"hub must be reachable to fetch .*; no route to host\. Check the network"):
        fetch_backbone("biomedclip", tmp_path)


def test_a_connection_lost_halfway_is_not_taken_for_a_missing_file(hub, tmp_path, monkeypatch):
    def lost(*args, **kwargs):
        raise LocalEntryNotFoundError("the connection was lost")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lost)
    with pytest.raises(Unavailable, match="hub must be reachable"):
        fetch_backbone("biomedclip", tmp_path)


def test_there_is_nothing_to_fetch_for_the_embedded_backbone(tmp_path):
    with pytest.raises(InvalidInput, match="'embedded' ships with Promptoscope; there is nothing to fetch"):
        fetch_backbone("embedded", tmp_path)
    with pytest.raises(InvalidInput, match="'pmc-clip' cannot be used here"):
        fetch_backbone("pmc-clip", tmp_path)


def test_a_check_names_damaged_weights(tmp_path):
    source = shutil.copytree(tiny_backbone_folder("timm-bert"), tmp_path / "copied")
    folder = fetch_backbone("biomedclip", tmp_path, source=source)
    state = load_file(str(folder / WEIGHTS_FILE))
    state["logit_scale"] += 1
    save_file(state, str(folder / WEIGHTS_FILE))
    rows = check_backbone("biomedclip", tmp_path)
    assert [(row["check"], row["status"]) for row in rows] == [("files", "pass"), ("checksum", "fail")]
    assert rows[1]["fix"].startswith("The file is damaged or was exchanged")


def test_a_check_of_what_is_not_here_says_how_to_fetch_it(tmp_path):
    (row,) = check_backbone("biomedclip", tmp_path)
    assert (row["check"], row["status"]) == ("files", "fail")
    assert "`promptoscope backbones fetch biomedclip`" in row["fix"]


@pytest.mark.parametrize("kind", ["clip-causal", "timm-bert-mean"])
def test_a_folder_of_ones_own_passes_its_check_with_a_note_on_the_checksum(kind, tmp_path):
    rows = check_backbone(str(tiny_backbone_folder(kind)), tmp_path)
    assert [row["status"] for row in rows] == ["pass", "warn", "pass", "pass", "pass", "pass"]
    assert rows[1]["message"].startswith("no checksum is recorded")


def test_the_embedded_backbone_passes_its_check(tmp_path):
    assert {row["status"] for row in check_backbone("embedded", tmp_path)} == {"pass"}
