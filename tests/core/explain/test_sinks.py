"""Sink measures of heads: worked numbers, heads built to be of one kind, both towers, and the command's tables."""

import json

import numpy as np
import pytest
import torch

from core.backbones.contract import LayerTokens
from core.backbones.tower_pass import AttentionOutput
from core.explain.captured import capture
from core.explain.sink_tables import SinkSurvey, names_of_tokens, sink_table, sinks_of_pass, survey_sinks
from core.explain.sinks import kind_of_head, kind_of_sink, massive_activations, measure_heads
from tests.core.explain.little import little_classifier, little_pixels
from tests.core.explain.towers import head_classifier

EXACT = 6e-5
"""The numbers are written with four decimals."""


def test_worked_ratios_of_a_zero_vector():
    table = sink_table(capture(little_classifier(LayerTokens.zeros(1, 3, 2, "insert")), little_pixels()))
    assert [row["rho_vectors"][0] for row in table["heads"]] == pytest.approx([0.1222, 0.1209], abs=EXACT)


def test_worked_ranks_of_the_last_update():
    last = sink_table(capture(little_classifier(), little_pixels()))["heads"][1]
    assert last["stable_rank"] == pytest.approx(1.0162, abs=EXACT)
    assert last["effective_rank"] == pytest.approx(1.4227, abs=EXACT)


def test_worked_column_sums_follow_from_the_weights():
    found = capture(little_classifier(), little_pixels())
    weights = found.attention.weights[0, 0, 0].double().numpy()
    row = sink_table(found)["heads"][0]
    assert row["column_sum"] == pytest.approx(weights.sum(axis=0).max(), abs=1e-9)
    assert row["concentration"] == pytest.approx(weights.sum(axis=0).max() / np.median(weights.sum(axis=0)), abs=1e-9)
    assert row["mass"] == pytest.approx(row["column_sum"] / 3, abs=1e-9)


TOKENS, WIDTH, SINK = 20, 4, 7


def drawn_head(share, sink_length, queries=TOKENS):
    """One head (1, 1, tokens, ...): so many queries put `share` on one token, the rest evenly; values of length 1."""
    weights = torch.full((TOKENS, TOKENS), 1 / TOKENS, dtype=torch.float64)
    weights[:queries] = (1 - share) / (TOKENS - 1)
    weights[:queries, SINK] = share
    # four directions by turns, so that the mean of what is not the sink's is short
    value = torch.zeros(TOKENS, WIDTH, dtype=torch.float64)
    value[torch.arange(TOKENS), torch.arange(TOKENS) % WIDTH] = 1
    value[SINK] = 0
    value[SINK, 0] = sink_length
    return weights[None, None], value[None, None]


OUTPUT = AttentionOutput(torch.eye(WIDTH), torch.zeros(WIDTH), torch.ones(WIDTH))


@pytest.mark.parametrize(
    ("share", "sink_length", "kind"),
    [(0.95, 0.01, "NOP-like"), (0.95, 1.0, "broadcast-like"), (0.95, 0.35, "mixed"), (0.4, 0.01, None)],
)
def test_a_head_built_to_be_of_a_kind_is_called_so(share, sink_length, kind):
    found = measure_heads(*drawn_head(share, sink_length), OUTPUT)
    assert found.sink[0, 0] == SINK
    assert found.mass[0, 0] == pytest.approx(share)
    assert found.least[0, 0] == pytest.approx(share)
    assert found.rho_out[0, 0] == pytest.approx(sink_length)
    assert found.kind(0, 0) == kind


def test_a_sink_that_leaves_queries_their_own_directions_is_no_broadcast():
    weights, value = drawn_head(0.5, 0.6)
    own = torch.arange(TOKENS)
    weights[0, 0] = 0
    weights[0, 0, own, own] = 0.5
    weights[0, 0, own, SINK] += 0.5
    found = measure_heads(weights, value, OUTPUT)
    assert found.event[0, 0]
    assert found.rho_out[0, 0] == pytest.approx(0.6)
    assert found.stable_rank[0, 0] > 1.5
    assert found.kind(0, 0) == "mixed"
    assert kind_of_sink(0.6, 1.5) == "broadcast-like"


@pytest.mark.parametrize(("queries", "event"), [(18, True), (17, False)])
def test_nine_tenths_of_the_queries_make_an_event(queries, event):
    assert measure_heads(*drawn_head(0.95, 0.01, queries=queries), OUTPUT).event[0, 0] == event


def test_the_ratio_is_of_what_is_written_not_of_the_value():
    weights, value = drawn_head(0.95, 1.0)
    silent = AttentionOutput(torch.eye(WIDTH), torch.zeros(WIDTH), torch.tensor([0.05, 1.0, 1.0, 1.0]))
    found = measure_heads(weights, value, silent)
    assert found.rho_head[0, 0] == pytest.approx(1.0)
    # of the 19 others five point where the output is short
    assert found.rho_out[0, 0] == pytest.approx(0.05 / ((14 + 5 * 0.05) / 19))
    assert found.kind(0, 0) == "NOP-like"


def test_an_even_head_has_sums_of_one_and_full_rank_counts_directions():
    found = measure_heads(torch.eye(WIDTH)[None, None], torch.eye(WIDTH)[None, None], OUTPUT)
    assert found.column_sums[0, 0].tolist() == [1.0] * WIDTH
    assert found.stable_rank[0, 0] == pytest.approx(WIDTH)
    assert found.effective_rank[0, 0] == pytest.approx(WIDTH)
    nothing = measure_heads(torch.eye(WIDTH)[None, None], torch.zeros(1, 1, WIDTH, WIDTH), OUTPUT)
    assert (nothing.stable_rank[0, 0], nothing.effective_rank[0, 0]) == (0.0, 0.0)


def test_measures_are_those_of_the_whole_written_vectors(backbone, pixels):
    classifier = head_classifier(backbone, vectors=2, mode="insert")
    found = capture(classifier, pixels)
    measured = sinks_of_pass(backbone, found.tower)
    for layer, block in enumerate(found.tower.blocks):
        output, heads = backbone.attention_output(layer), block.value.shape[1]
        whole = (output.scale[:, None] * output.weight).detach().double().unflatten(1, (heads, -1))
        for head in range(heads):
            written = block.value[0, head].detach().double() @ whole[:, head].T
            lengths, place = written.norm(dim=1), int(measured.heads[layer].sink[0, head])
            others = torch.cat([lengths[:place], lengths[place + 1 :]]).mean()
            sizes = torch.linalg.svdvals(block.weights[0, head].detach().double() @ written)
            assert measured.heads[layer].rho_out[0, head] == pytest.approx(float(lengths[place] / others), rel=1e-9)
            stable = float((sizes**2).sum() / sizes[0] ** 2)
            assert measured.heads[layer].stable_rank[0, head] == pytest.approx(stable, rel=1e-9)
            entropy = torch.special.entr(sizes / sizes.sum()).sum()
            assert measured.heads[layer].effective_rank[0, head] == pytest.approx(float(entropy.exp()), rel=1e-5)


def test_norms_of_patches_are_those_of_every_block_and_of_the_last(backbone, pixels):
    found = capture(head_classifier(backbone), pixels)
    measured, kept = sinks_of_pass(backbone, found.tower), []
    handles = [
        block.register_forward_hook(lambda module, given, out: kept.append(out)) for block in backbone.image_blocks()
    ]
    with torch.no_grad():
        backbone.image_tokens(pixels)
    for handle in handles:
        handle.remove()
    patches = list(found.layout.patches)
    expected = np.stack([out[:, patches].norm(dim=-1).double().numpy() for out in kept])
    assert measured.norms == pytest.approx(expected, rel=1e-4)


def test_tokens_have_names_before_and_after_vectors_enter(backbone, pixels):
    tokens = capture(head_classifier(backbone, vectors=2, mode="insert"), pixels).layout
    total = len(tokens.patches) + 3
    names = names_of_tokens(tokens, total)
    assert names[:4] == ["class token", "vector 0", "vector 1", "patch 0, 0"]
    assert names_of_tokens(tokens, total - 2) == ["class token", *names[3:]]


def test_many_images_are_summed_up_head_by_head_as_one_by_one(backbone):
    classifier = head_classifier(backbone)
    size = backbone.preprocessing.size
    batch = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    together = survey_sinks(classifier, [batch[:2], batch[2:]])
    rows = together.head_rows()
    single = [sink_table(capture(classifier, each[None]))["heads"] for each in batch]
    assert together.n == 3
    assert len(rows) == len(single[0])
    for place, row in enumerate(rows):
        assert row["rho_out"] == pytest.approx(np.median([each[place]["rho_out"] for each in single]), rel=1e-4)
        assert row["events"] == pytest.approx(np.mean([each[place]["event"] for each in single]))
    summary = together.summary(rows)
    assert summary["heads"] == sum(row["layer"] > 0 for row in rows)
    assert summary["caption"].startswith(
        f"After block 0, {sum(summary['labels'].values())} of {summary['heads']} heads"
    )
    json.dumps([rows, together.layer_rows(), summary], allow_nan=False)


def test_a_survey_of_nothing_has_no_rows():
    assert SinkSurvey().head_rows() == []


@pytest.mark.parametrize(
    ("kinds", "label"),
    [
        (["NOP-like", "NOP-like", None], "NOP-like"),
        (["NOP-like", None], None),
        (["NOP-like", "broadcast-like"], "mixed"),
        (["broadcast-like"] * 3 + ["mixed"], "broadcast-like"),
    ],
)
def test_a_head_is_called_what_most_of_its_events_are(kinds, label):
    assert kind_of_head(kinds) == label


def test_massive_activations_need_both_limits():
    quiet = torch.full((1, 10, 30), 0.1)
    quiet[0, 3, 5] = 101.0
    assert massive_activations(quiet)["massive"]
    assert massive_activations(quiet)["largest"][0] == 101.0
    quiet[0, 3, 5] = 99.0
    assert not massive_activations(quiet)["massive"]
    assert not massive_activations(quiet * 0 + 101.0)["massive"]
