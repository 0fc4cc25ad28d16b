"""Masks of a stored image set are found again by whoever loads it."""

from app.services.image_sets import load_image_set
from app.services.incoming_images import add_demo
from core.explain.batch_images import images_of_part
from core.images.decode import opened_picture
from core.images.phantoms import make_phantoms


def test_a_stored_set_brings_its_masks(context, monkeypatch):
    small = lambda folder, seed: make_phantoms(folder, seed=seed, per_class=(1, 1), size_px=64)  # noqa: E731
    monkeypatch.setattr("app.services.incoming_images.make_phantoms", small)
    made = add_demo(context)
    images = images_of_part(load_image_set(context, made["id"]), "test")
    lesions = [image for image in images if image.class_name != "no lesion"]
    assert lesions
    assert {image.mask is not None for image in lesions} == {True}
    assert {image.mask for image in images if image.class_name == "no lesion"} == {None}
    with opened_picture(lesions[0].mask) as picture:
        assert picture.marked().getbbox() is not None
