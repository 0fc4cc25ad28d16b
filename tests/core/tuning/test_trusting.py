"""Which images calibrate sets, what is refused, and what a loaded model says of new images."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core import load_model
from core.errors import UnreadableSource
from core.evaluation.conformal import lac_scores, measured_sets
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage
from core.tuning.judge import FITS_NONE, NOT_KEPT, UNLIKE, Judge
from core.tuning.model_folder import CARD, SEEN
from core.tuning.train import TrainedRun, train
from core.tuning.trusting import _doubt, one_a_group, trust_sentence
from tests.builders import tiny_backbone

QUICK = {"epochs": 1}
METHODS = {
    "split": ("coop", 3, QUICK),
    "unused": ("zero_shot", 3, {}),
    "left out": ("ss_text", None, {}),
    "folds": ("linear_probe", 3, {}),
    "chose": ("tip_adapter_f", 3, QUICK),
    "few": ("coop", 1, QUICK),
}


@pytest.fixture(scope="module")
def runs(disc_set: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainedRun]:
    """One small training of each way to calibrate. 3 shots leave 9 images over, 1 shot leaves 3, all leave none."""
    home = tmp_path_factory.mktemp("trusting")
    return {
        name: train(disc_set, method, backbone=tiny_backbone(), shots=shots, options=options, home=home)
        for name, (method, shots, options) in METHODS.items()
    }


def copied(run: TrainedRun, to: Path) -> Path:
    return Path(shutil.copytree(run.record["model"], to / "model"))


def record(run: TrainedRun) -> dict:
    return run.record["calibration"]["sets"]


@pytest.mark.parametrize(
    ("name", "how", "n"),
    [("split", "split", 9), ("unused", "unused shots", 18), ("left out", "leave-one-out", 24), ("folds", "folds", 9)],
)
def test_who_calibrates(runs: dict[str, TrainedRun], name: str, how: str, n: int) -> None:
    found = record(runs[name])
    assert (found["how"], found["n"], found["reason"]) == (how, n, None)
    assert (found["highest_level"], found["smallest_alpha"]) == (n / (n + 1), 1 / (n + 1))
    assert found["measured"]["sets"]["n"] == 18
    refits = {"left out": 24, "folds": 3}.get(name, 0)
    assert len(runs[name].model.seen.refits) == refits
    assert found["guarantee"].startswith(f"at least {80 if refits else 90} % of such sets")
    assert (found["unlucky"] is None) == bool(refits)


def test_images_that_chose_anything_but_the_temperature_calibrate_no_set(runs: dict[str, TrainedRun]) -> None:
    found = record(runs["chose"])
    assert found["reason"].startswith("no set: the 9 images left over also chose ")
    assert "the epoch that is kept" in found["reason"]
    assert runs["chose"].model.seen.scores == ()
    assert found["measured"]["sets"] is None


def test_too_few_images_give_no_set_and_the_highest_level_is_told(runs: dict[str, TrainedRun]) -> None:
    assert record(runs["few"])["reason"] == (
        "no set: 3 calibration images, 90 % needs 9 (75 % is the highest level with them)"
    )


def test_the_scores_of_a_fold_are_those_of_a_model_that_never_saw_it(runs: dict[str, TrainedRun]) -> None:
    model = runs["folds"].model
    drawn = [image["sha256"] for image in model.seen.images]
    assert len(drawn) == 9
    own = lac_scores(model._probabilities(model.seen.features).numpy())
    told = np.array([model.classes.index(image["class"]) for image in model.seen.images])
    # on images it learned from a model is surer than the refits that did not see them
    assert own[np.arange(9), told].mean() < np.concatenate(model.seen.scores).mean()


@pytest.mark.parametrize("name", ["split", "left out", "folds", "few"])
def test_a_loaded_model_gives_the_sets_that_were_measured(
    runs: dict[str, TrainedRun], disc_set: ImageSet, name: str
) -> None:
    run, images = runs[name], disc_set.part("test")
    loaded = load_model(run.record["model"], backbone=tiny_backbone())
    rows = loaded.predict([image.path for image in images])
    if name == "few":
        assert {row["set"] for row in rows} == {None}
        assert {row["set_reason"] for row in rows} == {record(run)["reason"]}
        return
    inside = np.array([[one in row["set"] for one in disc_set.classes] for row in rows])
    found = measured_sets(inside, np.array([image.label for image in images]), disc_set.classes)
    assert found == record(run)["measured"]["sets"]
    for row in rows:
        outside = row["outside"]["p"] is not None and row["outside"]["p"] <= 0.05
        words = {0: FITS_NONE, 1: None}.get(len(row["set"]), f"{len(row['set'])} classes remain at 90 %")
        assert row["abstain"] == (UNLIKE if outside else words)


def test_a_training_image_is_its_own_nearest_and_a_far_one_is_called_unlike(
    runs: dict[str, TrainedRun], disc_set: ImageSet
) -> None:
    model = runs["left out"].model
    image = disc_set.part("train")[5]
    (row,) = model.predict([image.path])
    nearest = row["outside"]["nearest"]
    assert len(nearest) == 3
    assert nearest[0]["sha256"] == image.sha256
    assert nearest[0]["class"] == disc_set.classes[image.label]
    assert nearest[0]["distance"] == pytest.approx(0, abs=1e-5)
    assert row["outside"]["p"] == 1.0
    # the other way round there is nothing: 24 images kept aside give p = 1/25
    (far,) = model.answers(-model.seen.features.mean(dim=0, keepdim=True))
    assert far["outside"]["p"] == pytest.approx(1 / 25)
    assert far["abstain"] == UNLIKE


def test_a_model_folder_without_what_it_has_seen_answers_and_says_so(
    runs: dict[str, TrainedRun], disc_set: ImageSet, tmp_path: Path
) -> None:
    folder = copied(runs["split"], tmp_path)
    before = load_model(folder, backbone=tiny_backbone()).predict([disc_set.part("test")[0].path])[0]
    (folder / SEEN).unlink()
    (row,) = load_model(folder, backbone=tiny_backbone()).predict([disc_set.part("test")[0].path])
    assert row["probabilities"] == before["probabilities"]
    assert (row["set"], row["set_reason"], row["abstain"], row["outside"]) == (None, NOT_KEPT, NOT_KEPT, None)


def test_damaged_remains_of_what_was_seen_are_refused(runs: dict[str, TrainedRun], tmp_path: Path) -> None:
    folder = copied(runs["split"], tmp_path)
    tensors = load_file(folder / SEEN)
    tensors["features"][0, 0] = torch.nan
    save_file(tensors, folder / SEEN, metadata={"images": "[]"})
    with pytest.raises(UnreadableSource, match=f"is damaged \\({SEEN}"):
        load_model(folder, backbone=tiny_backbone())


def test_the_card_for_people_shows_measured_coverage_by_class(runs: dict[str, TrainedRun]) -> None:
    card = (Path(runs["split"].record["model"]) / CARD).read_text("utf-8")
    assert "Sets of 90 % from 9 calibration images: at least 90 % of such sets hold the true class" in card
    assert "In 1 of 20 draws of these images the true coverage is below 72 %." in card
    assert "| class | test images | sets with the true class | 95 % (Wilson) | classes in a set |" in card
    assert "| dark disc | 6 | " in card


def test_one_image_of_each_patient_calibrates(disc_set: ImageSet) -> None:
    images: list[LabelledImage] = [
        replace(image, group=group) for image, group in zip(disc_set.part("train"), "aaab", strict=False)
    ]
    found = one_a_group([*images, replace(disc_set.part("train")[4], group=None)], seed=1)
    assert [image.group for image in found] in (["a", "b", None],)
    assert {one_a_group(images, seed)[0].sha256 for seed in range(12)} == {i.sha256 for i in images if i.group == "a"}


def test_a_judge_without_anything_kept_has_one_reason() -> None:
    class Nothing:
        pass

    assert Judge(Nothing(), 1.0, None, None).reason == NOT_KEPT  # type: ignore[arg-type]


def test_an_encoder_that_has_learned_the_classes_puts_the_promise_in_doubt(runs: dict[str, TrainedRun]) -> None:
    method = runs["split"].model.method
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method.backbone, "known_classes", ("dark disc",), raising=False)
        doubt = _doubt(method)
    assert doubt == (
        "The encoder's text side has learned dark disc from labelled images, perhaps from these: the promise may not "
        "hold."
    )
    found = record(runs["split"])
    assert found["doubt"] is None
    assert trust_sentence(found | {"doubt": doubt}) == f"{found['sentence']} {doubt}"
