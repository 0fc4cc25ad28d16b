"""Two models are held against each other on the same images, pair by pair."""

import numpy as np
import pytest

from core.explain.batch import BatchSettings
from core.explain.batch_summary import summarise
from core.explain.model_pairs import against_model, pair_sentence
from core.explain.paired_change import paired_change

SETTINGS = BatchSettings(vectors=(4,), margin=0.01)
NAMES = ("written_share", "raw_lesion_share", "raw_difference", "enrichment", "hit_half", "hit_chance", "units_term")
MORE = ("within_term", "entropy", "effective_patches", "class_token_share", "patches_share")
PLAIN = dict.fromkeys((*NAMES, *MORE), 0.5)


def rows(shares, key="C0:0", right=1.0, group=None):
    condition, k = key.split(":")
    return [
        PLAIN
        | {"image": f"{at}.png", "class": "a", "group": group and f"{group}{at // 2}", "key": key, "draws": 1}
        | {"condition": condition, "vectors": int(k), "title": f"with {k}", "lesion_share": share, "hit": 1.0}
        | {"difference": share - 0.1, "background_share": 1 - share, "vectors_share": 0.0, "lesion_patches": 3.0}
        | {"right": right if at else 0.0, "answer_changed": 0.0, "log_odds_change": None, "difference_sd": None}
        for at, share in enumerate(shares)
    ]


def test_a_pair_is_this_model_minus_the_first_image_by_image():
    draw = np.random.default_rng(0)
    first, second = draw.random(24) / 10, draw.random(24) / 10 + 0.02
    ours = rows(second) + rows(second + 0.01, "C1:4")
    theirs = [*reversed(rows(first, right=0.0)), *rows(first, "C1:4")]
    found = against_model(summarise(ours, SETTINGS), ours, theirs, SETTINGS, "the first")
    plain, inserted = (each["against_model"] for each in found)
    assert plain["share"] == paired_change(list(second - first), None, 0.01).as_dict()
    assert plain["change"] is None
    assert inserted["change"]["mean"] == pytest.approx((second + 0.01 - first).mean())
    assert plain["right"] == {"n": 24, "lost": 0.0, "won": 23.0, "p": pytest.approx(2**-22)}
    assert plain["p_holm"] >= plain["share"]["p"]
    assert plain["notes"] == []
    assert pair_sentence(found[0]).startswith(f"with 0: {(second - first).mean():+.4f} of the lesion's share against")
    assert "answers right here alone 23, there alone 0" in pair_sentence(found[0])


def test_images_that_one_model_leaves_out_and_lesions_out_of_view_count_in_no_pair():
    ours, theirs = rows([0.1, 0.2, 0.3, 0.4]), rows([0.1, 0.1, 0.1, 0.1])
    ours[0]["lesion_share"] = None
    theirs[1] |= {"left_out": "unreadable", "key": ""}
    found = against_model(summarise(ours, SETTINGS), ours, theirs, SETTINGS, "other")[0]["against_model"]
    assert found["n"] == 2
    assert found["share"]["mean"] == pytest.approx(0.25)
    assert found["right"]["n"] == 3


def test_patients_are_drawn_whole_and_other_patches_are_told():
    ours, theirs = rows(np.linspace(0.1, 0.3, 8), group="p"), rows([0.1] * 8, group="p")
    for row in theirs:
        row["lesion_patches"] = 9.0
    found = against_model(summarise(ours, SETTINGS), ours, theirs, SETTINGS, "other")[0]["against_model"]
    assert found["share"]["groups"] == 4
    assert found["notes"][0].startswith("The two models cut the picture into other patches")


def test_without_common_lesions_there_is_no_pair():
    ours = rows([0.1, 0.2])
    found = against_model(summarise(ours, SETTINGS), ours, [], SETTINGS, "other")
    assert [each["against_model"] for each in found] == [None]
    assert pair_sentence(found[0]) is None
