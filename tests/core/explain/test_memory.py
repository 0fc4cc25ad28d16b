"""A long loop of explanations keeps memory flat."""

import pytest

from benchmarks.explain_memory import picture, resident
from core.explain.explain import explain_image
from tests.builders import tiny_backbone
from tests.core.explain.towers import head_classifier


@pytest.mark.slow
def test_a_thousand_maps_keep_memory_flat():
    rows = list(resident(head_classifier(tiny_backbone("timm-bert"), vectors=2), 150))
    assert [row["images"] for row in rows] == [15, 20, 150]
    assert rows[-1]["maps"] >= 1000
    assert rows[-1]["mb"] - rows[0]["mb"] < 30


def test_an_explanation_keeps_no_open_pass(monkeypatch):
    import gc
    import weakref

    from core.explain import first_answer

    seen, real = [], first_answer.capture

    def watched(*words):
        captured = real(*words)
        seen.append(weakref.ref(captured))
        return captured

    monkeypatch.setattr(first_answer, "capture", watched)
    found = explain_image(head_classifier(tiny_backbone("timm-bert"), vectors=2), picture(1))
    gc.collect()
    assert found.maps
    assert [ref() for ref in seen] == [None]
