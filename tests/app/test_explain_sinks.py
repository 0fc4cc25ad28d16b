"""`explain sinks`: a line a head, then the summary; what cannot be asked is said."""

import json

import pytest
from typer.testing import CliRunner

import core
from app.cli import app
from tests.app.conftest import labelled_pictures, zipped
from tests.core.explain.towers import head_classifier


@pytest.fixture
def run(monkeypatch, tmp_path):
    from tests.builders import tiny_backbone

    backbone = tiny_backbone("timm-bert")
    monkeypatch.setattr(
        core, "load_model", lambda folder, home=None: head_classifier(backbone, 2, "insert"), raising=False
    )
    monkeypatch.setattr("app.commands.explain_sinks.find_folder", lambda name: tmp_path)
    images = tmp_path / "shades.zip"
    images.write_bytes(zipped(labelled_pictures()))
    return lambda *words: CliRunner().invoke(app, ["explain", "sinks", "--model", "m", "--images", str(images), *words])


def test_one_line_a_head_and_then_the_summary(run):
    result = run("--n", "3", "--json")
    assert result.exit_code == 0, result.output
    *heads, summary = [json.loads(line) for line in result.stdout.splitlines()]
    layers = len(summary["layers"])
    assert len(heads) % layers == 0
    assert summary["heads"] == len(heads) - len(heads) // layers
    for head in heads:
        assert head["n"] == summary["n"] == 3
        assert len(head["rho_vectors"]) == 2
        assert 0 <= head["least"] <= head["mass"] <= 1
        assert 1 <= head["stable_rank"] <= head["effective_rank"] + 1e-9
        assert head["label"] in (None, "NOP-like", "broadcast-like", "mixed")
    assert summary["caption"].startswith("After block 0, ")
    assert set(summary["meanings"]) == {"NOP-like", "broadcast-like", "mixed"}


def test_people_read_a_table_with_the_caption_and_what_labels_mean(run):
    result = run("--n", "2")
    assert result.exit_code == 0, result.output
    assert "rho_out" in result.stdout
    assert "NOP-like: attention is parked where the head writes next to nothing (ratio at most 0.2)." in result.stdout


def test_a_part_that_does_not_exist_is_refused(run):
    result = run("--part", "tests")
    assert result.exit_code == 2
    assert "A part among train, val, test" in result.output
