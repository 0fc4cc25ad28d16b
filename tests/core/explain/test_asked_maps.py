"""Maps of explainers that are asked for stand among the others, with their values and a test."""

import numpy as np
import pytest

from core.errors import InvalidOption
from core.explain.asked_maps import draw_asked, explainer_of
from core.explain.captured import capture
from core.explain.explain import explain_image
from core.explain.registry import explainer_names, get_explainer
from tests.core.explain.towers import head_classifier

FEW = {"rise": "rise:masks=16,grid=3", "score_cam": "score_cam:channels=4"}


@pytest.mark.parametrize("name", explainer_names())
def test_any_explainer_draws_what_it_draws_by_itself(classifier, pixels, name):
    asked = FEW.get(name, name)
    (found,) = draw_asked(capture(classifier, pixels, "third"), 1, [asked])
    alone = explainer_of(asked).map_set(capture(classifier, pixels, "all"), [1]).maps[0]
    assert found.values == pytest.approx(alone, rel=1e-4, abs=1e-7, nan_ok=True)
    assert found.title.startswith(get_explainer(name).title)


def test_a_slow_map_is_painted_measured_and_tested_when_asked_for(backbone, picture, tmp_path):
    marked = np.zeros(picture.size[::-1], dtype=bool)
    marked[10:20, 12:30] = True
    steps = []
    found = explain_image(
        head_classifier(backbone, vectors=2),
        picture,
        out_dir=tmp_path,
        mask=marked,
        step=lambda: steps.append(1),
        also=["rise:masks=40,grid=3"],
    )
    kind = "asked_rise_masks_40_grid_3"
    entry = next(each for each in found.maps if each.kind == kind)
    assert entry.title.endswith("(masks=40,grid=3)")
    assert (tmp_path / f"{kind}.png").is_file()
    assert found.arrays[kind] == pytest.approx(np.maximum(found.arrays[f"{kind}_signed"], 0), nan_ok=True)
    assert 0 <= found.region["maps"][kind]["map_share"] <= 1
    tested = next(test for test in found.trust["others"] if test["kind"] == kind)
    assert 0 < tested["p"] <= 1
    assert tested["randomised"] == []


def test_an_unknown_explainer_is_refused_before_anything_is_drawn(classifier, picture):
    with pytest.raises(InvalidOption, match="'rize' is none"):
        explain_image(classifier, picture, also=["rize"])
