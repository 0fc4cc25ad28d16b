"""A backbone folder is data: whatever it asks for, no code of it runs, nothing is fetched, and it is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from app.cli import app
from core.backbones import load_backbone
from core.backbones.catalogue import CONFIG_FILE, RECORD_FILE, WEIGHTS_FILE
from core.backbones.check import check_backbone
from core.errors import InvalidInput
from tests.builders import tiny_backbone, tiny_backbone_folder
from tests.core.backbones.hostile import change, plant_code, watched

TOKENIZER_CONFIG = "tokenizer_config.json"
AUTO = {"AutoTokenizer": ["evil.EvilTokenizer", "evil.EvilTokenizer"], "AutoConfig": "evil.EvilConfig",
        "AutoModel": "evil.EvilModel"}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_backbone_folder("timm-bert"), tmp_path / "backbone"))


def text(**values):
    return CONFIG_FILE, lambda found: found["model_cfg"]["text_cfg"].update(values)


def vision(**values):
    return CONFIG_FILE, lambda found: found["model_cfg"]["vision_cfg"].update(values)


def model(**values):
    return CONFIG_FILE, lambda found: found["model_cfg"].update(values)


def own(file, **values):
    return file, lambda found: found.update(values)


ATTACKS = {
    "tokenizer kwargs": (text(tokenizer_kwargs={"trust_remote_code": True}), "'trust_remote_code' asks for code"),
    "auto map of the tokenizer": (own(TOKENIZER_CONFIG, auto_map=AUTO), "'auto_map' asks for code to be run"),
    "auto map of the text model": (own("config.json", auto_map=AUTO), "'auto_map' asks for code to be run"),
    "unknown text model": (own("config.json", model_type="evil", auto_map=AUTO), "'auto_map' asks for code"),
    "other text model": (own("config.json", model_type="timm_wrapper"), "'model_type' in .* must be \"bert\""),
    "nested auto map": (own("config.json", more={"deep": [{"auto_map": AUTO}]}), "'auto_map' asks for code"),
    "auto map of the towers": (model(auto_map=AUTO), "'auto_map' asks for code"),
    "auto map beside the model": (own(CONFIG_FILE, auto_map=AUTO), "'auto_map' asks for code"),
    "custom tokenizer class": (own(TOKENIZER_CONFIG, tokenizer_class="EvilTokenizer"), "'tokenizer_class' in"),
    "module as tokenizer class": (own(TOKENIZER_CONFIG, tokenizer_class="evil.EvilTokenizer"), "'tokenizer_class'"),
    "timm on the hub": (vision(timm_model_name="hf-hub:evil/model"), 'must not name another place; found "hf-hub:'),
    "timm on the hub, spelt otherwise": (vision(timm_model_name="hf_hub:evil/model"), "must not name another place"),
    "timm in capitals": (vision(timm_model_name="HF-Hub:evil/model"), "must not name another place"),
    "timm in a folder": (vision(timm_model_name="local-dir:/tmp/evil"), "must not name another place"),
    "timm at a path": (vision(timm_model_name="../evil"), "'model_cfg.vision_cfg.timm_model_name' in"),
    "timm unknown": (vision(timm_model_name="evil_model"), "must be an architecture of the installed timm"),
    "text model at an address": (text(hf_model_name="https://example.org/evil"), "must not name another place"),
    "text model at a path": (text(hf_model_name="../../evil"), "'model_cfg.text_cfg.hf_model_name' in"),
    "text model at a full path": (text(hf_model_name="/tmp/evil"), "'model_cfg.text_cfg.hf_model_name' in"),
    "tokenizer on the hub": (text(hf_tokenizer_name="hf-hub:evil/t"), "must not name another place"),
    "tokenizer in a folder": (text(hf_tokenizer_name="local-dir:/etc"), "must not name another place"),
    "tokenizer cache": (text(tokenizer_kwargs={"cache_dir": "/tmp/evil"}), "'model_cfg.text_cfg.tokenizer_kwargs' in"),
    "tokenizer subfolder": (text(tokenizer_kwargs={"subfolder": "evil"}), "tokenizer_kwargs' in .* must be an object"),
    "tokenizer revision": (text(tokenizer_kwargs={"code_revision": "x"}), "'code_revision' asks for code"),
    "tokenizer network": (text(tokenizer_kwargs={"local_files_only": False}), "tokenizer_kwargs' in"),
    "vocabulary of a file": (text(tokenizer_kwargs={"bpe_path": "/etc/passwd"}), "tokenizer_kwargs' in"),
    "pooler by name": (text(hf_pooler_type="__class__"), "'model_cfg.text_cfg.hf_pooler_type' in"),
    "projection by name": (text(hf_proj_type="eval"), "'model_cfg.text_cfg.hf_proj_type' in"),
    "activation by name": (own("config.json", hidden_act="os.system"), "'hidden_act' in"),
    "arguments of a layer": (text(act_kwargs={"x": 1}), "'model_cfg.text_cfg.act_kwargs' in"),
    "arguments of a norm": (vision(norm_kwargs={"device": "cuda"}), "'model_cfg.vision_cfg.norm_kwargs' in"),
    "unknown option": (vision(evil=True), 'found "model_cfg.vision_cfg.evil"'),
    "third tower": (model(multimodal_cfg={}), "found a CoCa model"),
    "type of numbers": (model(cast_dtype="float16"), 'found "model_cfg.cast_dtype"'),
    "wide beyond memory": (model(embed_dim=10**9), "'model_cfg.embed_dim' in .* from 1 to 65536; found 1000000000"),
    "large but allowed": (model(embed_dim=65536), "must fit the architecture"),
    "many layers": (own("config.json", num_hidden_layers=10**6), "'num_hidden_layers' in .* from 1 to 256"),
    "wide text model": (own("config.json", hidden_size=65536, intermediate_size=262144), "must fit the architecture"),
    "large vocabulary": (own("config.json", vocab_size=4_000_000), "must fit the architecture"),
    "large pictures": (vision(image_size=100_000), "'model_cfg.vision_cfg.image_size' in"),
    "more in the file": (own("config.json", is_decoder=True), "'is_decoder' in"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_folder_runs_code_or_reaches_the_network(name, folder, tmp_path, monkeypatch):
    (file, edit), sentence = ATTACKS[name]
    mark = plant_code(folder)
    change(folder / file, edit)
    with watched(folder, monkeypatch) as seen, pytest.raises(InvalidInput, match=sentence) as error:
        load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home")
    assert str(folder) in str(error.value)
    assert (seen, mark.exists()) == ([], False)
    *_, last = check_backbone(str(folder), tmp_path / "home")
    assert last["status"] == "fail"
    assert re.search(sentence, last["message"])


def test_a_template_of_chats_and_files_of_code_are_left_alone(folder, tmp_path, monkeypatch):
    mark = plant_code(folder)
    change(folder / TOKENIZER_CONFIG, lambda found: found.update(chat_template="{{ ''.__class__.__mro__ }}"))
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/evil"}))
    with watched(folder, monkeypatch) as seen:
        found = load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home")
        features = found.encode_texts(["a brain"])
    assert torch.equal(features, tiny_backbone("timm-bert").encode_texts(["a brain"]))
    assert (seen, mark.exists()) == ([], False)


def test_the_check_asks_nothing_on_standard_input_and_ends_with_1(folder, tmp_path, monkeypatch):
    mark = plant_code(folder)
    change(folder / CONFIG_FILE, text(tokenizer_kwargs={"trust_remote_code": True})[1])
    change(folder / "config.json", own("", model_type="evil", auto_map=AUTO)[1])
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(tmp_path / "home"))
    with watched(folder, monkeypatch) as seen:
        done = CliRunner().invoke(app, ["backbones", "check", f"local-dir:{folder}", "--json"], input="y\n" * 9)
    assert (done.exit_code, seen) == (1, [])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["status"] for row in rows] == ["fail"]
    assert "asks for code to be run" in rows[0]["message"]
    assert "Traceback" not in done.stderr
    assert not mark.exists()


@pytest.mark.parametrize("name", [CONFIG_FILE, "config.json", TOKENIZER_CONFIG, "tokenizer.json", WEIGHTS_FILE])
def test_links_out_of_the_folder_are_refused(name, folder, tmp_path):
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(InvalidInput, match=rf"{name} must lie in its own folder; it is a link to a place outside"):
        load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home")


def test_links_into_the_store_of_a_hub_cache_are_read(folder, tmp_path):
    cache = tmp_path / "models--some--one"
    snapshot = cache / "snapshots" / "0123"
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    (cache / "blobs").mkdir()
    (snapshot / WEIGHTS_FILE).rename(cache / "blobs" / "abc")
    (snapshot / WEIGHTS_FILE).symlink_to("../../blobs/abc")
    found = load_backbone(snapshot, device="cpu", precision="fp32", home=tmp_path / "home")
    assert found.checksum == tiny_backbone("timm-bert").checksum


def replacing(pattern, content):
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


GROWING = {
    "letters": [replacing("a", "a" * 10)] * 4,
    "nothing": [{"type": "Replace", "pattern": {"Regex": ""}, "content": "aaaaaaaaa"}] * 4,
    "a start": [{"type": "Prepend", "prepend": "a" * 5000}],
    "bytes": [{"type": "Sequence", "normalizers": [{"type": "ByteLevel"}] * 7}],
}


@pytest.mark.parametrize("rules", GROWING.values(), ids=GROWING)
def test_rules_of_a_tokenizer_that_lengthen_texts_without_end_are_refused(rules, folder, tmp_path):
    edit = own("tokenizer.json", normalizer={"type": "Sequence", "normalizers": rules})[1]
    change(folder / "tokenizer.json", edit)
    with pytest.raises(InvalidInput, match="may make a text 4096 times as long; those of its normalizer"):
        load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home")


def test_usual_rules_of_a_tokenizer_are_followed(folder, tmp_path):
    usual = [replacing("Xray", "X-ray"), {"type": "NFKC"}, *[replacing("  ", " ")] * 50, {"type": "Lowercase"}]
    change(folder / "tokenizer.json", own("", normalizer={"type": "Sequence", "normalizers": usual})[1])
    change(folder / TOKENIZER_CONFIG, own("", tokenizer_class="PreTrainedTokenizerFast")[1])
    found = load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home")
    assert found.tokenizer.encode(["An Xray"]) == found.tokenizer.encode(["an x-ray"])


def test_a_folder_given_by_a_link_is_that_folder(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    found = load_backbone(f"local-dir:{tmp_path / 'link'}", device="cpu", precision="fp32", home=tmp_path / "home")
    assert found.name == f"local-dir:{folder}"


def test_a_pickle_beside_the_weights_is_never_opened(folder, tmp_path, monkeypatch):
    torch.save(load_file(str(folder / WEIGHTS_FILE)), folder / "open_clip_pytorch_model.bin")

    def refuse(*_, **__):
        raise AssertionError("a pickle was opened")

    monkeypatch.setattr(torch, "load", refuse)
    assert load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home").joint_width == 32
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(InvalidInput, match="must hold its weights as"):
        load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home")


@pytest.mark.parametrize("length", [2**63 - 1, 2**40, 10**8])
def test_a_header_that_lies_about_its_length_takes_no_memory(length, folder, tmp_path):
    whole = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(length.to_bytes(8, "little") + whole[8:])
    with pytest.raises(InvalidInput, match=rf"{WEIGHTS_FILE} must be a whole safetensors file"):
        load_backbone(folder, device="cpu", precision="fp32", home=tmp_path / "home")


def test_a_record_that_bears_anothers_name_does_not_take_it(folder, tmp_path):
    fetched = tmp_path / "home" / "backbones" / "mine"
    fetched.parent.mkdir(parents=True)
    folder.rename(fetched)
    (fetched / RECORD_FILE).write_text(json.dumps({"name": "embedded"}))
    found = load_backbone(fetched, device="cpu", precision="fp32", home=tmp_path / "home")
    assert found.name == f"local-dir:{fetched}"


def test_every_from_pretrained_of_ours_trusts_no_code_and_stays_local():
    root = Path(__file__).resolve().parents[3]
    for package in ("core", "training_jobs", "app", "benchmarks"):
        for path in (root / package).rglob("*.py"):
            for call in re.findall(r"from_pretrained\((.*?)\n?\s*\)\n", path.read_text("utf-8"), re.DOTALL):
                assert "trust_remote_code=False" in call, path
                assert "local_files_only=True" in call, path
