"""Maps of heads for every number of zero vectors are those of passes that are run one by one."""

import numpy as np
import pytest
import torch

from core.backbones.contract import LayerTokens
from core.errors import InvalidOption
from core.explain.changed_pass import Change, observe, tower_of
from core.explain.head_maps import head_maps
from tests.builders import tiny_backbone
from tests.core.explain.towers import head_classifier

COUNTS = (0, 1, 3, 4)


@pytest.mark.parametrize("kind", ["timm-bert", "clip-bert"])
@pytest.mark.parametrize("mode", ["insert", "replace"])
def test_a_batched_pass_gives_what_single_passes_give(kind, mode):
    backbone = tiny_backbone(kind)
    tower = tower_of(backbone)
    size = tower.image_size[0]
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(3))
    found = head_maps(head_classifier(backbone), pixels, mode, COUNTS)
    assert found.counts == COUNTS
    assert found.attention.shape[1:] == (len(tower.blocks), found.vectors.shape[2], *tower.grid)
    for at, k in enumerate(COUNTS):
        start = -1 if mode == "insert" else tower.prefix
        zeros = LayerTokens.zeros(k, tower.width, len(tower.blocks), mode, start) if k else None
        seen = observe(backbone, pixels, Change(zeros), 0)
        cells = found.attention[at].reshape(-1, len(seen.cells))
        there = seen.cells.numpy()
        np.testing.assert_allclose(cells[:, there], seen.attention[0].numpy()[:, there], atol=1e-5)
        assert np.isnan(cells[:, ~there]).all()
        np.testing.assert_allclose(found.vectors[at].ravel(), seen.vectors[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(found.class_token[at].ravel(), seen.class_token[0].numpy(), atol=1e-5)


def test_another_mode_is_refused():
    with pytest.raises(InvalidOption, match="found 'beside'"):
        head_maps(head_classifier(tiny_backbone("timm-bert")), torch.zeros(1, 3, 8, 8), "beside")
