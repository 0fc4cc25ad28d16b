"""What every explainer keeps, on both towers and for every kind of image path. Found, not listed: new ones too."""

import inspect
import json
import threading

import numpy as np
import pytest
import torch

from core.errors import FlatMap, InvalidOption
from core.explain.captured import TARGETS, capture
from core.explain.explainer import Explainer, flat_reason
from core.explain.registry import explainer_names, get_explainer
from tests.core.explain.tasks import method_classifier
from tests.core.explain.test_captured import METHODS, hooked

QUICK = {"rise": {"masks": 24, "grid": 3}, "score_cam": {"channels": 3}}


@pytest.fixture(params=explainer_names())
def explainer(request):
    return get_explainer(request.param).with_options(QUICK.get(request.param, {}))


@pytest.fixture(params=list(METHODS))
def found(request, backbone, pixels):
    name, options = METHODS[request.param]
    return capture(method_classifier(backbone, name, **options), pixels)


def test_maps_have_one_cell_a_patch_and_none_where_a_vector_stands(explainer, found):
    drawn = explainer.map_set(found, [2, 0]).maps
    assert drawn.shape == (2, *found.backbone.patch_grid)
    assert drawn.dtype == np.float64
    missing = set(range(drawn[0].size)) - set(found.layout.patch_index)
    assert set(np.flatnonzero(np.isnan(drawn[0])).tolist()) == missing
    if not explainer.signed:
        assert np.nanmin(drawn) >= 0


def test_a_class_gets_the_same_map_whoever_is_asked_for_beside_it(explainer, found):
    together, alone = explainer.map_set(found, [0, 1, 2]).maps[1], explainer.map_set(found, [1]).maps[0]
    scale = float(np.nanmax(np.abs(alone)))
    assert together == pytest.approx(alone, abs=1e-5 * scale + 1e-12, rel=1e-3, nan_ok=True)


def test_only_maps_of_a_class_differ_between_classes(explainer, found):
    first, second = explainer.map_set(found, [0, 1]).maps
    assert np.array_equal(first, second, equal_nan=True) != explainer.per_class


def test_nothing_gets_a_gradient(explainer, found):
    explainer.map_set(found, [0])
    learned = [*found.classifier.method.parameters(), *found.backbone.model.parameters()]
    assert all(parameter.grad is None for parameter in learned)


@pytest.mark.parametrize("target", TARGETS)
def test_a_map_linear_in_the_gradient_follows_its_target(found, target):
    for name in ("hires_cam", "grad_cam", "grad_eclip"):
        plain = get_explainer(name)().map_set(found, [0, 1, 2]).maps
        drawn = get_explainer(name).with_options({"target": target}).map_set(found, [1]).maps[0]
        rival = 0 if found.logits[0] > found.logits[2] else 2
        expected = {"logit": plain[1], "centred": plain[1] - plain.mean(axis=0), "margin": plain[1] - plain[rival]}
        assert drawn == pytest.approx(expected[target], abs=1e-4 * np.nanmax(np.abs(plain)), nan_ok=True)


def test_hires_cam_and_relevance_equal_those_of_independent_hooks(found, pixels):
    scores, kept = hooked(found.classifier, pixels)
    (gradient,) = torch.autograd.grad(scores[1], kept["normed"])
    cells = (gradient * kept["normed"])[0].sum(dim=-1).detach().double().numpy()
    drawn = get_explainer("hires_cam")().map_set(found, [1]).maps[0].ravel()
    expected = cells[list(found.layout.patches)]
    assert drawn[list(found.layout.patch_index)] == pytest.approx(expected, abs=1e-5, rel=1e-3)


def test_two_threads_draw_what_one_draws(explainer, backbone, pixels):
    classifier = method_classifier(backbone, "coop")
    other = pixels.flip(-1)
    expected = [explainer.map_set(capture(classifier, p), [0]).maps for p in (pixels, other)]
    drawn: dict[int, np.ndarray] = {}

    def draw(index: int, given: torch.Tensor) -> None:
        for _ in range(2):
            drawn[index] = explainer.map_set(capture(classifier, given), [0]).maps

    threads = [threading.Thread(target=draw, args=(i, p)) for i, p in enumerate((pixels, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(2):
        assert drawn[index] == pytest.approx(expected[index], rel=1e-4, abs=1e-6)


def test_it_says_what_it_is(explainer):
    card = explainer.card()
    assert card["name"] == explainer.name()
    for part in ("title", "summary", "source", "scalar", "unit"):
        assert card[part].strip()
    assert inspect.getdoc(inspect.getmodule(type(explainer)))
    json.dumps(card)
    assert [option["name"] for option in card["options"]].count("target") == (
        explainer.per_class and explainer.name() != "rise"
    )


def test_facts_can_be_written_as_json(explainer, backbone, pixels):
    json.dumps(explainer.map_set(capture(method_classifier(backbone, "coop"), pixels), [0]).facts)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([[0.0, 0.0]], "its largest value is 0.0e+00"),
        ([[1e-13, -1e-13]], "its largest value is 1.0e-13"),
        ([[0.5, 0.5]], "all its values are 0.5"),
        ([[np.nan, np.nan]], "no cell holds a number"),
        ([[1.7e-6, 0.0]], None),
    ],
)
def test_a_map_that_marks_nothing_is_told_apart(cells, reason):
    assert flat_reason(np.array(cells)) == reason


def test_an_empty_map_is_an_error_with_the_names_of_map_and_class():
    with pytest.raises(FlatMap, match="HiResCAM for 'glioma' has none; its largest value is 0"):
        get_explainer("hires_cam")().check(np.zeros((2, 2)), "glioma")
    with pytest.raises(FlatMap, match="and Attention has none"):
        get_explainer("attention")().check(np.ones((2, 2)), "glioma")


def test_an_unknown_explainer_or_option_names_the_nearest():
    with pytest.raises(InvalidOption, match="Did you mean 'hires_cam'"):
        get_explainer("hirescam")
    with pytest.raises(InvalidOption, match="Did you mean 'target'"):
        get_explainer("hires_cam").with_options({"targt": "logit"})


def test_two_hundred_maps_leave_no_tensor_behind(pixels, backbone):
    import gc

    classifier = method_classifier(backbone, "biomed_dpt")
    explainers: list[Explainer] = [get_explainer(name)() for name in ("hires_cam", "relevance", "legrad", "attention")]

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    def four_maps() -> None:
        found = capture(classifier, pixels)
        for one in explainers:
            one.map_set(found, [0])

    four_maps()
    before = tensors()
    for _ in range(50):
        four_maps()
    assert tensors() == before
