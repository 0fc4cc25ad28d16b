"""One file is a whole method: the example of the how-to page, found because it is there, keeps the contract."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.nn import functional

from core.descriptions.templates import template_descriptions
from core.tuning.contract import Task
from core.tuning.data import TensorData
from core.tuning.registry import get_method, method_names
from tests.builders import EXAMPLE_METHOD, example_method, tiny_backbone
from tests.core.tuning import test_every_method
from tests.core.tuning.test_every_method import trained  # noqa: F401  (a fixture that the checks ask for)

CONTRACT = [
    check
    for check in vars(test_every_method).values()
    if inspect.isfunction(check)
    and check.__name__.startswith("test_")
    and "name" in inspect.signature(check).parameters
]


@pytest.fixture
def example() -> Iterator[str]:
    with example_method() as name:
        yield name


def test_the_file_is_found_while_it_is_there() -> None:
    assert EXAMPLE_METHOD not in method_names()
    with example_method() as name:
        assert name in method_names()
        assert get_method(name).card()["title"] == "Class mean"
    assert EXAMPLE_METHOD not in method_names()


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__.removeprefix("test_"))
def test_the_example_keeps_the_contract(
    check: Callable[..., None], example: str, request: pytest.FixtureRequest
) -> None:
    given: dict[str, Any] = {"name": example, "towers": "clip-causal", "variant": "default"}
    wanted = inspect.signature(check).parameters
    check(**{name: given[name] if name in given else request.getfixturevalue(name) for name in wanted})


def test_the_contract_is_more_than_a_few_checks() -> None:
    assert len(CONTRACT) >= 10


def test_the_means_are_those_of_the_formula(example: str) -> None:
    backbone, classes = tiny_backbone(), ("round", "ragged")
    kind = get_method(example)
    built = kind(kind.Config.from_values({"text_share": 0.25}), Task(backbone, classes, template_descriptions(classes)))
    texts = built.class_features().clone()
    images = functional.normalize(torch.eye(backbone.joint_width)[:4], dim=-1)
    built.fit_directly(TensorData(torch.tensor([0, 0, 1, 1]), [[0, 1, 2, 3]], features=images))
    first = 0.75 * (images[0] + images[1]) / 2 + 0.25 * texts[0]
    torch.testing.assert_close(built.class_features()[0], first / first.norm())
