"""Every kind of damage to a backbone folder ends in one failed check that names the file and the cause."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from app.cli import app
from core.backbones.catalogue import CONFIG_FILE, RECORD_FILE, WEIGHTS_FILE, backbone_names, list_backbones
from core.backbones.check import check_backbone
from tests.builders import tiny_backbone_folder
from tests.core.backbones.hostile import change

JSON_FILES = (CONFIG_FILE, "config.json", "tokenizer_config.json", "special_tokens_map.json", "captions.json")
FILES = (*JSON_FILES, "tokenizer.json", WEIGHTS_FILE)
WRONG: dict[str, Any] = {
    "null": None, "text": "x", "list": [], "object": {}, "negative": -1, "zero": 0, "huge": 10**12, "long": 10**400,
    "flag": True, "NaN": math.nan, "infinity": math.inf,
}  # fmt: skip
KEYS = {
    CONFIG_FILE: [
        ("model_cfg",), ("model_cfg", "embed_dim"), ("model_cfg", "vision_cfg"), ("model_cfg", "text_cfg"),
        ("model_cfg", "vision_cfg", "timm_model_name"), ("model_cfg", "vision_cfg", "image_size"),
        ("model_cfg", "text_cfg", "context_length"), ("model_cfg", "text_cfg", "hf_model_name"),
        ("model_cfg", "text_cfg", "hf_pooler_type"), ("preprocess_cfg",), ("preprocess_cfg", "mean"),
        ("preprocess_cfg", "std"), ("preprocess_cfg", "interpolation"),
    ],
    "config.json": [
        (key,) for key in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                           "intermediate_size", "hidden_act", "max_position_embeddings", "layer_norm_eps")
    ],
}  # fmt: skip
FINE = {
    # null where nothing is asked for
    *((CONFIG_FILE, key, kind) for key, kind in [("mean", "null"), ("std", "null"), ("interpolation", "null")]),
    (CONFIG_FILE, "preprocess_cfg", "object"),
    # any name of a text model stands for the folder itself
    (CONFIG_FILE, "hf_model_name", "text"),
}
Damage = Callable[[Path], Any]


def spoil_bytes(name: str, edit: Callable[[bytes], bytes]) -> Damage:
    return lambda folder: (folder / name).write_bytes(edit((folder / name).read_bytes()))


def put(name: str, path: tuple[str, ...], value: Any) -> Damage:
    def edit(found: dict[str, Any]) -> None:
        for key in path[:-1]:
            found = found.setdefault(key, {})
        found[path[-1]] = value

    return lambda folder: change(folder / name, edit)


def take(name: str, path: tuple[str, ...]) -> Damage:
    def edit(found: dict[str, Any]) -> None:
        for key in path[:-1]:
            found = found[key]
        found.pop(path[-1], None)

    return lambda folder: change(folder / name, edit)


def as_folder(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def link(name: str, target: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return damage


def as_pipe(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def weights(edit: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    def damage(folder: Path) -> None:
        state = load_file(str(folder / WEIGHTS_FILE))
        edit(state)
        save_file({key: value.contiguous() for key, value in state.items()}, str(folder / WEIGHTS_FILE))

    return damage


def tokenizer(edit: Callable[[dict[str, Any]], Any]) -> Damage:
    return lambda folder: change(folder / "tokenizer.json", edit)


def damages() -> Iterator[tuple[str, str, Damage]]:
    """(what it is called, the file it must name, the damage)."""
    for name in FILES:
        yield f"{name}: empty", name, spoil_bytes(name, lambda _: b"")
        yield f"{name}: cut in half", name, spoil_bytes(name, lambda whole: whole[: len(whole) // 2])
        yield f"{name}: another encoding", name, spoil_bytes(name, lambda _: b"\xff\xfe\x00{\x00\x81")
        yield f"{name}: nulls", name, spoil_bytes(name, lambda whole: bytes(len(whole)))
    for name in (CONFIG_FILE, "config.json", WEIGHTS_FILE):
        yield f"{name}: missing", name, lambda folder, name=name: (folder / name).unlink()
        yield f"{name}: a folder", name, as_folder(name)
    yield (
        "tokenizer.json: missing",
        "tokenizer.json",
        lambda folder: [(folder / name).unlink(missing_ok=True) for name in ("tokenizer.json", "vocab.txt")],
    )
    for name in JSON_FILES:
        for text in ("[]", "3", "null", '"x"', "{", '{"a": NaN}', "[" * 100_000, '{"a": ' + "9" * 5000 + "}"):
            yield f"{name}: {text[:12]}", name, spoil_bytes(name, lambda _, text=text: text.encode())
    yield "captions.json: other content", "captions.json", spoil_bytes("captions.json", lambda _: b'{"sets": [1]}')
    yield "backbone.json: no JSON", RECORD_FILE, spoil_bytes(RECORD_FILE, lambda _: b"{")
    yield "backbone.json: number", RECORD_FILE, spoil_bytes(RECORD_FILE, lambda _: b'{"sha256": 5}')
    yield "backbone.json: other sum", RECORD_FILE, spoil_bytes(RECORD_FILE, lambda _: b'{"sha256": "00"}')
    yield "backbone.json: endless", RECORD_FILE, link(RECORD_FILE, "/dev/zero")
    yield "backbone.json: a place outside", RECORD_FILE, link(RECORD_FILE, "/etc/hostname")
    if hasattr(os, "mkfifo"):
        for name in (RECORD_FILE, CONFIG_FILE, "config.json", "tokenizer.json"):
            yield f"{name}: a pipe", name, as_pipe(name)
    for depth in (65, 900, 960, 985):
        content = f'{{"sets": {{}}, "more": {"[" * depth}{"]" * depth}}}'.encode()
        yield f"captions.json: {depth} levels", "captions.json", spoil_bytes("captions.json", lambda _, c=content: c)
    for name, paths in KEYS.items():
        for path in paths:
            for kind, value in WRONG.items():
                if (name, path[-1], kind) not in FINE:
                    yield f"{name}: {'.'.join(path)} is {kind}", name, put(name, path, value)
    for key in ("model_cfg", "embed_dim", "vision_cfg", "text_cfg"):
        yield f"{CONFIG_FILE}: no {key}", CONFIG_FILE, take(CONFIG_FILE, tuple(dict.fromkeys(("model_cfg", key))))
    yield "no text sizes", "config.json", take("config.json", ("hidden_size",))
    yield "widths that contradict", CONFIG_FILE, put("config.json", ("num_attention_heads",), 7)
    largest = "text.transformer.embeddings.word_embeddings.weight"
    yield "weights: renamed", WEIGHTS_FILE, weights(lambda s: s.update(other=s.pop(largest)))
    yield "weights: one missing", WEIGHTS_FILE, weights(lambda s: s.pop("logit_scale"))
    yield "weights: one more", WEIGHTS_FILE, weights(lambda s: s.update(more=torch.zeros(2)))
    yield "weights: none", WEIGHTS_FILE, weights(lambda s: s.clear())
    yield "weights: shape", WEIGHTS_FILE, weights(lambda s: s.update({largest: s[largest][:-1]}))
    yield "weights: turned", WEIGHTS_FILE, weights(lambda s: s.update({largest: s[largest].T}))
    yield "weights: whole numbers", WEIGHTS_FILE, weights(lambda s: s.update({largest: s[largest].to(torch.int32)}))
    for value in (math.nan, math.inf, -math.inf):
        yield f"weights: {value}", WEIGHTS_FILE, weights(lambda s, value=value: s[largest][3].fill_(value))
    yield "weights: beyond 32 bits", WEIGHTS_FILE, weights(lambda s: s.update({largest: s[largest].double() * 1e300}))
    yield "weights: scale", WEIGHTS_FILE, weights(lambda s: s["logit_scale"].fill_(500.0))
    yield "weights: cut at the end", WEIGHTS_FILE, spoil_bytes(WEIGHTS_FILE, lambda whole: whole[:-64])
    yield "weights: longer", WEIGHTS_FILE, spoil_bytes(WEIGHTS_FILE, lambda whole: whole + bytes(64))
    yield "tokenizer: no model", "tokenizer.json", tokenizer(lambda t: t.pop("model"))
    ends = {"type": "BertProcessing", "sep": ["[SEP]", 99_999], "cls": ["[CLS]", 99_998]}
    yield "tokenizer: ends nobody knows", "tokenizer", tokenizer(lambda t: t.update(post_processor=ends))
    yield "tokenizer: no words", "tokenizer.json", tokenizer(lambda t: t["model"].update(vocab={}))
    yield "tokenizer: other words", "tokenizer.json", tokenizer(lambda t: t["model"].update(vocab={"[UNK]": 0}))
    yield "tokenizer: unknown model", "tokenizer.json", tokenizer(lambda t: t["model"].update(type="Evil"))
    yield "tokenizer: list", "tokenizer.json", spoil_bytes("tokenizer.json", lambda _: b"[]")


DAMAGES = {name: (file, damage) for name, file, damage in damages()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = Path(shutil.copytree(tiny_backbone_folder("timm-bert"), tmp_path / "backbone"))
    (found / "captions.json").write_text(json.dumps({"sets": {"a": {"classes": ["one"]}}}))
    (found / RECORD_FILE).write_text(json.dumps({"licence": "MIT"}))
    return found


def test_the_folder_that_is_damaged_here_is_whole(folder, tmp_path):
    assert [row["status"] for row in check_backbone(str(folder), tmp_path / "home")].count("fail") == 0
    assert len(DAMAGES) > 250


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(name, folder, tmp_path):
    file, damage = DAMAGES[name]
    damage(folder)
    last = check_backbone(str(folder), tmp_path / "home")[-1]
    assert last["status"] == "fail", last
    assert "it stopped with" not in last["message"], last
    named = (file, WEIGHTS_FILE) if file in KEYS else (file,)
    assert any(each in last["message"] for each in named), last
    assert last["fix"]
    assert last["message"].count("\n") == 0


@pytest.mark.parametrize(
    "name", [f"{CONFIG_FILE}: missing", f"{WEIGHTS_FILE}: missing", "weights: nan", "no text sizes"]
)
def test_the_command_ends_with_1_and_json_lines(name, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(tmp_path / "home"))
    DAMAGES[name][1](folder)
    for place in (str(folder), f"local-dir:{folder}"):
        done = CliRunner().invoke(app, ["backbones", "check", place, "--json"])
        assert (done.exit_code, "Traceback" in done.output) == (1, False), done.output
        assert json.loads(done.stdout.splitlines()[-1])["status"] == "fail"
        spoken = CliRunner().invoke(app, ["backbones", "check", place])
        assert spoken.exit_code == 1
        assert spoken.stdout.splitlines()[-1].startswith("fail  ")


def test_a_folder_that_is_not_there_is_wrong_use(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(tmp_path / "home"))
    for place in ("nosuch", f"local-dir:{tmp_path / 'none'}"):
        done = CliRunner().invoke(app, ["backbones", "check", place, "--json"])
        assert (done.exit_code, done.stdout) == (2, "")
        assert json.loads(done.stderr)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "record",
    [
        b'{"name": "hf-hub:"}', b'{"name": "hf-hub:../../x"}', b'{"name": 5}', b"[]", b"{", b"\xff",
        b'{"name": "hf-hub:owner/odd", "licence": 7}', b'{"name": "hf-hub:owner/odd", "licence": "\\ud800"}',
        b'{"name": "hf-hub:owner/odd", "image_width": "wide"}', b'{"name": "hf-hub:owner/odd", "patch_grid": [1]}',
        b'{"name": "hf-hub:owner/odd", "sha256": {}}',
    ],
)  # fmt: skip
def test_a_damaged_record_hides_no_other_backbone(record, tmp_path):
    for name, content in (("odd", record), ("whole", b'{"name": "hf-hub:owner/whole", "licence": "MIT"}')):
        (tmp_path / "backbones" / name).mkdir(parents=True)
        (tmp_path / "backbones" / name / RECORD_FILE).write_bytes(content)
    found = list_backbones(tmp_path)
    assert [row["name"] for row in found] == [*backbone_names(), "hf-hub:owner/whole"]
    json.dumps(found, ensure_ascii=False).encode()
