"""Methods that read pictures with an encoder of their own, or start from one: trained, kept, loaded and refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from core import load_model, train
from core.backbones.encoder_loading import load_image_encoder
from core.backbones.image_encoder import EncoderReader
from core.errors import BackboneMismatch, InvalidInput, InvalidOption, Unavailable
from core.explain.batch import BatchSettings, plan_batch
from core.explain.captured import capture
from core.images.image_set import ImageSet
from core.tuning.feature_store import FeatureStore
from core.tuning.features import image_features
from tests.builders import timm_folder, tiny_backbone, tiny_encoder_folder
from tests.core.tuning.test_every_method import quick_train

CPU = torch.device("cpu")


def test_two_encoders_share_no_kept_feature(disc_set: ImageSet, tmp_path: Path) -> None:
    store, images = FeatureStore(), disc_set.part("test")[:2]
    other = timm_folder(tmp_path / "other", "test_vit2", img_size=64)
    found = [
        image_features(EncoderReader(load_image_encoder(str(f), device=CPU, home=tmp_path)), images, store)
        for f in (tiny_encoder_folder(), other)
    ]
    assert not torch.allclose(found[0][..., :8], found[1][..., :8])
    assert store.computed.pictures == 4


def test_training_says_what_was_read_and_answers_after_loading(disc_set: ImageSet, tmp_path: Path) -> None:
    options = {"encoder": str(tiny_encoder_folder())}
    run = train(disc_set, "image_probe", backbone=tiny_backbone(), shots=3, home=tmp_path, options=options)
    said = " ".join(run.record["notes"])
    assert "the backbone and texts play no part" in said
    assert "parameters, weights not stated, licence not stated" in said
    model = load_model(run.record["model"], backbone=tiny_backbone())
    paths = [image.path for image in disc_set.part("test")]
    assert [row["label"] for row in model.predict(paths)] == [row["predicted"] for row in run.predictions]
    for explained in (lambda: capture(model, torch.zeros(1, 3, 64, 64)), lambda: plan_batch(model, BatchSettings())):
        with pytest.raises(Unavailable, match="Image-encoder probe reads them with an encoder of its own"):
            explained()


def test_another_encoder_under_the_same_name_is_told(disc_set: ImageSet, tmp_path: Path) -> None:
    folder = timm_folder(tmp_path / "m", img_size=64)
    run = train(
        disc_set,
        "image_probe",
        backbone=tiny_backbone(),
        shots=2,
        home=tmp_path,
        options={"encoder": str(folder)},
    )
    timm_folder(folder, "test_vit2", img_size=64)
    with pytest.raises(BackboneMismatch, match="The image encoder with the checksum"):
        load_model(run.record["model"], backbone=tiny_backbone(), home=tmp_path)


def test_without_an_encoder_it_is_refused(disc_set: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="Image-encoder probe needs an image encoder; 'encoder' is empty"):
        train(disc_set, "image_probe", backbone=tiny_backbone(), shots=2, home=tmp_path)


def test_a_network_says_what_it_started_from_and_needs_it_no_more(disc_set: ImageSet, tmp_path: Path) -> None:
    folder = timm_folder(tmp_path / "net", "resnet18")
    begun = quick_train(disc_set, "resnet18", tmp_path, options={"encoder": str(folder)})
    said = begun.record["notes"]
    assert f"Starts from the weights in '{folder}'; backbone and texts play no part." in said
    assert any(
        note.startswith(f"Image encoder 'local-dir:{folder}': resnet18, 11,176,512 parameters, ") for note in said
    )
    shutil.rmtree(folder)
    model = load_model(begun.record["model"], backbone=tiny_backbone())
    paths = [image.path for image in disc_set.part("test")]
    assert [row["label"] for row in model.predict(paths)] == [row["predicted"] for row in begun.predictions]
    alone = quick_train(disc_set, "resnet18", tmp_path)
    assert any("Starts from random weights" in note for note in alone.record["notes"])
    assert "Starts from random weights" in (Path(alone.record["model"]) / "README.md").read_text("utf-8")


def test_a_network_starts_from_its_own_architecture_only(disc_set: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"A folder of timm's architecture 'resnet18'; .* holds 'test_vit'"):
        quick_train(disc_set, "resnet18", tmp_path, options={"encoder": str(tiny_encoder_folder())})
