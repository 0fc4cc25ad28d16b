"""A published table, run on those of its image sets that are here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.services import reproduction
from app.services.context import Context, open_context
from app.services.incoming_images import add_from_path
from core.errors import InvalidInput, InvalidOption, NotFound
from core.experiments.ablation_files import ablation_text
from core.experiments.reproduction import beside, get_published_table, published_tables, sets_of
from core.experiments.spec import parse_toml
from core.images.benchmarks import get_benchmark
from core.settings import Settings
from tests.builders import tiny_backbone_folder
from tests.core.experiments.conftest import SHADES, shaded_set

BUSI, BRAIN = get_benchmark("busi").classes, get_benchmark("btmri").classes


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds two sets of the tables and one that is none of them."""
    folder = tmp_path_factory.mktemp("sets")
    for seed, (name, classes) in enumerate({"BUSI": BUSI, "BTMRI": BRAIN, "other": BUSI}.items()):
        shades = tuple(SHADES)[: len(classes)]
        shaded_set(folder / name, shades, train=16, seed=seed)
        for part, (shade, called) in product(("train", "test"), zip(shades, classes, strict=True)):
            (folder / name / part / shade).rename(folder / name / part / called)
    return folder


@pytest.fixture
def ctx(migrated_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(migrated_home))
    monkeypatch.setenv("PROMPTOSCOPE_PRECISION", "fp32")
    monkeypatch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)
    context = open_context(Settings())
    yield context
    context.close()


def printed(*words: object) -> tuple[int, list[dict[str, Any]], str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr


def test_every_table_has_a_recipe_for_each_of_its_rows() -> None:
    assert set(published_tables()) == {
        f"{a}/{b}" for a in ("biomedcoop", "biomed_dpt") for b in ("few-shot", "base-to-novel")
    }
    for table in published_tables().values():
        for source in table.methods:
            assert len(sets_of(table, source)) == (10 if table.protocol == "base-to-novel" else 11), source
        assert all(0 < value < 100 for value in table.accuracy.values())


def test_a_difference_stands_only_where_every_set_was_measured() -> None:
    table = get_published_table("biomedcoop/few-shot")
    recipes = {name: {"coop/biomedcoop-2025": f"coop/biomedcoop-2025/{name}/few-shot"} for name in table.image_sets}

    def row(name: str, value: float) -> list[dict[str, Any]]:
        return [
            {"line": recipes[name]["coop/biomedcoop-2025"], "shots": 1, "metrics": {"accuracy": value}, "parts": {}}
        ]

    every = {name: row(name, 0.5 + 0.01 * place) for place, name in enumerate(table.image_sets)}
    (whole,) = beside(table, every, recipes)
    assert (whole["measured"], whole["published"], whole["difference"]) == (55.0, 50.16, 4.84)
    some = {name: every[name] for name in ("btmri", "busi")}
    (part,) = beside(table, some, recipes)
    assert (part["measured"], part["difference"], part["n_sets"], part["of_sets"]) == (50.5, None, 2, 11)
    assert part["image_sets"] == {"btmri": 50.0, "busi": 51.0}


def test_a_table_is_run_on_the_folders_that_are_here_and_goes_on_where_it_was(ctx: Context, folders: Path) -> None:
    words = ["experiment", "reproduce", "biomedcoop/few-shot", "--images", folders, "--method", "linear_probe"]
    words += ["--method", "tip_adapter", "--shots", 1, "--seeds", 1, "--backbone", tiny_backbone_folder(), "--json"]
    code, rows, told = printed(*words)
    assert code == 0, told
    assert [(row["method"], row["n_sets"], row["of_sets"]) for row in rows] == [
        ("tip_adapter", 2, 11),
        ("linear_probe", 2, 11),
    ]
    assert [row["published"] for row in rows] == [49.19, 47.25]
    for row in rows:
        assert row["measured"] == pytest.approx(sum(row["image_sets"].values()) / 2, abs=0.01)
        assert row["difference"] is None
        assert any(text.startswith("backbone ") for text in row["deviations"])
    assert printed(*words)[1] == rows
    names = {row["name"] for row in ctx_sets(ctx)}
    assert names == {"BTMRI", "BUSI"}, "a folder of no published name is left alone"


def ctx_sets(ctx: Context) -> list[dict[str, Any]]:
    from app.services.image_sets import list_image_sets

    return list_image_sets(ctx)


def test_base_and_novel_classes_stand_in_rows_of_their_own(ctx: Context, folders: Path) -> None:
    code, rows, told = printed(
        *("experiment", "reproduce", "biomedcoop/base-to-novel", "--method", "zero_shot"),
        *("--images", folders / "BTMRI"),
        *("--seeds", 1, "--backbone", tiny_backbone_folder(), "--json"),
    )
    assert code == 0, told
    assert [(row["part"], row["published"]) for row in rows] == [("base", 47.84), ("novel", 65.42), ("harmonic", 53.81)]
    base, novel, harmonic = (row["measured"] for row in rows)
    assert harmonic == pytest.approx(2 * base * novel / (base + novel), abs=0.02)


def test_an_ablation_is_run_on_images_that_are_named(
    ctx: Context, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = parse_toml(ablation_text("number-of-descriptions"))
    small |= {"methods": ["tip_adapter"], "shots": [1], "seeds": [1], "backbone": str(tiny_backbone_folder())}
    monkeypatch.setattr("core.experiments.spec.parse_toml", lambda text: dict(small))
    code, rows, told = printed(
        *("experiment", "run", "ablation:number-of-descriptions", "--images", folders / "BUSI"),
        *("--shots", 2, "--seeds", 3, "--json"),
    )
    assert code == 0, told
    ended = [row for row in rows if row["kind"] == "row" and row["line"].startswith("tip_adapter")]
    assert {(row["shots"], row["n_seeds"]) for row in ended} == {(2, 1)}
    assert [row["line"].split("first ")[1] for row in ended] == ["10)", "20)", "30)"]
    assert printed("experiment", "show", "number-of-descriptions on BUSI")[0] == 0
    code, _, told = printed("experiment", "run", "ablation:number-of-descriptions")
    assert (code, "Give --images SET" in told) == (2, True)
    small["descriptions"] = ["pack:busi, first 500"]
    code, _, told = printed("experiment", "run", "ablation:x", "--images", folders / "BUSI", "--name", "more")
    assert "'x' is none" in told
    code, _, told = printed("experiment", "run", "ablation:loss-terms", "--images", folders / "BUSI", "--name", "more")
    assert "At least 500 sentences about each class" in told


def test_what_cannot_be_run_is_told(ctx: Context, folders: Path) -> None:
    stored = add_from_path(ctx, folders / "other", "mine")["name"]
    add_from_path(ctx, folders / "other", "BTMRI")
    for images, error, told in (
        ([stored], InvalidOption, "'mine' is called like none of them"),
        (["BTMRI"], InvalidInput, "images add PATH --as btmri"),
        ([str(folders / "other")], NotFound, "one that holds such folders"),
        ([], InvalidInput, "none of them has a recipe"),
    ):
        with pytest.raises(error, match=told):
            reproduction.plan_table(ctx, "biomedcoop/few-shot", images)
    with pytest.raises(InvalidOption, match="Did you mean 'biomedcoop/few-shot'"):
        reproduction.plan_table(ctx, "biomedcoop/few-shots", [])
    with pytest.raises(InvalidOption, match="found 'cilmp'"):
        reproduction.plan_table(ctx, "biomedcoop/few-shot", [], methods=["cilmp"])
    with pytest.raises(InvalidOption, match="found 3"):
        reproduction.plan_table(ctx, "biomedcoop/few-shot", [], shots=[3])
    listed = printed("experiment", "reproduce", "--json")[1]
    assert {row["name"] for row in listed} == set(published_tables())
