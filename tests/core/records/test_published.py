"""Published numbers in SQL: once each, tied to a test part, found by method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import Conflict, InvalidInput, NotFound
from core.evaluation.published_file import PublishedResult
from core.images.labelled_image import digest
from core.records import published
from core.records.session import Database
from tests.core.records.samples import add_sample_set, image_set

RESULT = PublishedResult("coop", "BTMRI", 0.821, 1, "authors", "P", "T3", shots=16, seeds=3)


def test_a_number_is_kept_once(database: Database) -> None:
    with database.writing() as session:
        made, again = published.add_published(session, [RESULT, replace(RESULT, shots=None), RESULT])
        assert (len(made), again) == (2, 1)
        assert published.add_published(session, [RESULT]) == ([], 1)
    with database.reading() as session:
        first, second = published.list_published(session)
        assert (first["value"], first["shots"], first["seeds"], second["shots"]) == (0.821, 16, 3, None)
        assert published.count_published(session) == 2
        assert published.list_published(session, method="maple") == []
        assert published.count_published(session, data_set="BTMRI") == 2
        assert [row["id"] for row in published.published_of_methods(session, ["coop", "maple"])] == made


def test_another_value_of_the_same_number_is_refused_and_nothing_kept(database: Database) -> None:
    with database.writing() as session:
        published.add_published(session, [RESULT])
    with (
        pytest.raises(Conflict, match=r"coop on 'BTMRI' \(T3\) has one published value; 0\.8210 is kept, 0\.9000 is"),
        database.writing() as session,
    ):
        published.add_published(session, [replace(RESULT, data_set="new"), replace(RESULT, value=0.9)])
    with database.reading() as session:
        assert published.count_published(session) == 1


def test_it_is_tied_to_exactly_the_test_part_or_to_other_images_of_the_set(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        ((made,), _) = published.add_published(session, [RESULT])
        found = published.match_published(session, made, "phantoms")
        test = sorted(image.sha256 for image in image_set(tmp_path).images if image.part == "test")
        assert (found["fingerprint"], found["n_test"], found["image_set"]) == (digest(test), 6, "phantoms")
        assert published.images_of_test_part(session, set_id) == (digest(test), 6)
        found = published.match_published(session, made, set_id, 100)
        assert (found["fingerprint"], found["n_test"], found["image_set"]) == (None, 100, "phantoms")
        with pytest.raises(NotFound, match="The id of a published number; 'x' is none"):
            published.match_published(session, "x", set_id)
        with pytest.raises(InvalidInput, match="this image set has none"):
            published.images_of_test_part(session, "nowhere")


def test_one_can_be_deleted(database: Database) -> None:
    with database.writing() as session:
        ((made,), _) = published.add_published(session, [RESULT])
        assert published.delete_published(session, made) == made
        with pytest.raises(NotFound):
            published.delete_published(session, made)
        with pytest.raises(NotFound):
            published.published_dict(session, made)
