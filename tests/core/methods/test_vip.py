"""ViP's worked numbers."""

from __future__ import annotations

import pytest
import torch

from core.descriptions.description_set import DescriptionSet
from core.methods.vip import merge_findings
from core.tuning.contract import Task
from core.tuning.data import TensorData
from core.tuning.loop import fit
from core.tuning.registry import get_method
from tests.builders import tiny_backbone
from tests.core.methods.wide_tower import wide_task
from tests.core.tuning.test_every_method import CLASSES, build, clustered_data

FINDINGS = {"bright disc": ("white spot.", "sharp edge"), "dark disc": ("black spot",), "no disc": ("grey noise.",)}


def with_findings(**options: object) -> torch.nn.Module:
    kind = get_method("vip")
    return kind(kind.Config(**options), Task(tiny_backbone(), CLASSES, DescriptionSet(FINDINGS, "test")))


def test_the_attention_of_the_worked_example() -> None:
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = merge_findings(torch.tensor([1.0, 0.0]), torch.tensor([[1.0, 1.0], [0.0, 2.0]]), torch.eye(2), swap)
    assert found.tolist() == pytest.approx([1.330238, 1.669762], abs=1e-6)


def test_without_a_query_all_findings_count_alike() -> None:
    findings = torch.tensor([[1.0, 1.0], [0.0, 2.0]])
    found = merge_findings(torch.tensor([3.0, 0.0]), findings, torch.zeros(2, 2), torch.eye(2))
    assert found.tolist() == [3.5, 1.5]


def test_one_finding_is_added_to_the_class_vector_whatever_the_attention() -> None:
    found = merge_findings(torch.tensor([1.0, 2.0]), torch.tensor([[5.0, 7.0]]), torch.rand(2, 2), torch.rand(2, 2))
    assert found.tolist() == [6.0, 9.0]


@pytest.mark.parametrize(("text_width", "words"), [(512, 2048), (768, 3072)])
def test_the_published_widths_give_the_published_size(text_width: int, words: int) -> None:
    kind = get_method("vip")
    method = kind(kind.Config(), wide_task(text_width=text_width, joint_width=512))
    assert sum(p.numel() for p in method.parameters()) == words + 512 * 512 * 2 + 512 * 3


def test_classes_may_have_different_numbers_of_findings() -> None:
    method = with_findings()
    assert method._counts == [2, 1, 1]
    assert with_findings(findings=1)._counts == [1, 1, 1]
    with torch.no_grad():
        found = method.class_features()
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3))


def test_a_full_stop_is_not_doubled() -> None:
    # start, four learned tokens, two words, a full stop, end
    assert with_findings(findings=1).context._mask.sum(dim=1).tolist() == [9, 9, 9]


def test_the_best_epoch_on_validation_images_is_kept() -> None:
    data, method = clustered_data(), build("vip", keep="best", epochs=4, learning_rate=0.05)
    hits: list[int] = []
    given = TensorData(
        data.labels,
        data._batches,
        features=data._features,
        validation_features=data._features,
        validation_labels=data.labels,
    )
    plain = method.after_epoch

    def watched(epoch: int) -> None:
        plain(epoch)
        hits.append(given.validation_hits(method.logits))

    method.after_epoch = watched  # type: ignore[method-assign]
    fit(method, given, seed=0)
    assert given.validation_hits(method.logits) == max(hits)
