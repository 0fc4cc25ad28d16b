"""An open pass holds what independent hooks see, for every kind of image path, and only in its own thread."""

import threading

import pytest
import torch
from torch.nn import functional

from core.backbones.contract import LayerTokens
from core.backbones.tower_pass import TowerPass
from core.errors import Unavailable
from core.explain.captured import Captured, capture, first_block
from tests.core.explain.tasks import method_classifier
from tests.core.explain.towers import ClosedBackbone, head_classifier

METHODS = {
    "frozen": ("coop", {}),
    "zeros replace": ("biomed_dpt", {}),
    "zeros insert": ("biomed_dpt", {"zero_vector_mode": "insert"}),
    "vectors of the first layer": ("vpt", {"visual_mode": "insert"}),
    "vectors behind the patches": ("maple", {"depth": 2, "visual_mode": "append"}),
    "modules inside the tower": ("biomedap", {"fusion_layers": "1"}),
    "texts made per image": ("cocoop", {}),
}


@pytest.fixture(params=list(METHODS))
def tuned(request, backbone):
    name, options = METHODS[request.param]
    return method_classifier(backbone, name, **options)


def parts_of(tower, block):
    """The modules of a block as timm and open_clip call them: first norm, output projection, heads."""
    if hasattr(block, "norm1"):
        return block.norm1, block.attn.proj, block.attn.num_heads
    return block.ln_1, block.attn.out_proj, block.attn.num_heads


def hooked(classifier, pixels):
    """Logits and the graph's own tensors of a plain pass, taken by hooks on the block's modules: (y, block output)."""
    block, kept = classifier.backbone.image_blocks()[-1], {}
    norm = parts_of(classifier.backbone, block)[0]
    handles = [
        norm.register_forward_hook(lambda m, i, out: kept.update(normed=out)),
        block.register_forward_hook(lambda m, i, out: kept.update(leaves=out)),
        block.register_forward_pre_hook(lambda m, i: kept.update(enters=i[0])),
    ]
    try:
        scores = classifier.logits_from_pixels(pixels.clone().requires_grad_())[0]
    finally:
        for handle in handles:
            handle.remove()
    return scores, kept


def weights_by_hand(block, normed):
    """Attention of one block by its stored matrices: (heads, tokens, tokens)."""
    attention, heads = block.attn, parts_of(None, block)[2]
    weight, bias = (
        (attention.qkv.weight, attention.qkv.bias)
        if hasattr(attention, "qkv")
        else (attention.in_proj_weight, attention.in_proj_bias)
    )
    width = normed.shape[-1]
    joint = normed[0] @ weight.T + bias
    query, key = (joint[:, i * width : (i + 1) * width].reshape(len(joint), heads, -1) for i in (0, 1))
    scores = torch.einsum("ihd,jhd->hij", query, key) / (width // heads) ** 0.5
    return scores.softmax(dim=-1)


def test_scores_and_parts_equal_what_independent_hooks_see(tuned, pixels):
    found = capture(tuned, pixels)
    scores, kept = hooked(tuned, pixels)
    torch.testing.assert_close(found.logits, scores.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.last.enters, kept["enters"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.last.normed, kept["normed"], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.last.leaves[:, 0], kept["leaves"][:, 0], atol=1e-5, rtol=0)
    expected = weights_by_hand(tuned.backbone.image_blocks()[-1], kept["normed"])
    torch.testing.assert_close(found.last.weights[0], expected, atol=1e-5, rtol=0)
    assert len(found.tower.blocks) == tuned.backbone.image_layers


def test_gradients_of_all_classes_equal_one_backward_pass_a_class(tuned, pixels):
    found = capture(tuned, pixels).last_gradients(range(3))
    scores, kept = hooked(tuned, pixels)
    for index in range(3):
        (expected,) = torch.autograd.grad(scores[index], kept["normed"], retain_graph=True)
        assert float(expected.abs().max()) > 0
        torch.testing.assert_close(found.normed[index], expected[0], atol=1e-5, rtol=1e-4)


def test_a_graph_through_all_blocks_gives_the_same_gradients(tuned, pixels):
    short, whole = capture(tuned, pixels), capture(tuned, pixels, "all")
    row = short.last_gradients([1]).weights[0]
    full = whole.attention_gradients([0, 1])
    last = tuned.backbone.image_layers - 1
    torch.testing.assert_close(full[last][1][:, short.layout.class_token], row, atol=1e-6, rtol=1e-4)
    assert list(full) == list(range(tuned.backbone.image_layers))
    assert all(float(layer[1].abs().max()) > 0 for layer in full.values())
    shorter = short.attention_gradients([1], "third")
    assert list(shorter) == list(range(first_block("third", last + 1), last + 1))
    assert all(torch.allclose(found[0], full[block][1], atol=1e-5, rtol=1e-3) for block, found in shorter.items())


def test_the_last_third_of_a_tower_is_at_least_its_last_block():
    assert [first_block("third", n) for n in (1, 2, 3, 4, 12, 24)] == [0, 1, 2, 3, 8, 16]


def test_the_attention_is_that_of_the_tuned_tower(tuned, pixels):
    found = capture(tuned, pixels).attention
    assert torch.allclose(found.weights.sum(dim=-1), torch.ones(()), atol=1e-5)
    expected = tuned.backbone.image_attention(pixels, tuned.visual_tokens())
    assert (found.class_token, found.extra, found.patches) == (expected.class_token, expected.extra, expected.patches)
    same = torch.allclose(found.weights, expected.weights, atol=1e-5)
    assert same == (type(tuned.method).__name__ != "BiomedAP")


def test_no_parameter_and_no_weight_gets_a_gradient(tuned, pixels):
    found = capture(tuned, pixels, "all")
    found.last_gradients([0, 1])
    found.attention_gradients([0])
    assert all(parameter.grad is None for parameter in tuned.method.parameters())
    assert all(parameter.grad is None for parameter in tuned.backbone.model.parameters())


def test_blocks_before_the_last_hold_no_graph(tuned, pixels):
    blocks = capture(tuned, pixels).tower.blocks
    assert not any(block.weights.requires_grad for block in blocks[:-1])
    assert blocks[-1].weights.requires_grad
    assert blocks[-1].enters.is_leaf


def test_targets_are_those_combinations_of_class_scores(tuned, pixels):
    found = capture(tuned, pixels)
    scores = found.logits.double()
    assert found.scalar(1, "centred") == pytest.approx(float(scores[1] - scores.mean()), abs=1e-6)
    assert found.scalar(1, "margin") == pytest.approx(float(scores[1] - max(scores[0], scores[2])), abs=1e-6)
    plain = found.last_gradients(range(3)).normed
    torch.testing.assert_close(
        found.last_gradients([1], "centred").normed[0], plain[1] - plain.mean(dim=0), atol=1e-5, rtol=1e-3
    )
    rival = 0 if scores[0] > scores[2] else 2
    torch.testing.assert_close(
        found.last_gradients([1], "margin").normed[0], plain[1] - plain[rival], atol=1e-5, rtol=1e-3
    )


def test_a_pass_is_seen_by_its_own_thread_only(backbone, pixels):
    mine: list[TowerPass] = []
    theirs: list[TowerPass] = []

    def other(listen: bool) -> None:
        if listen:
            with backbone.capturing(theirs):
                backbone.encode_images(pixels)
        else:
            backbone.encode_images(pixels)

    with backbone.capturing(mine):
        for listen in (True, False):
            thread = threading.Thread(target=other, args=(listen,))
            thread.start()
            thread.join()
        assert not mine
        backbone.encode_images(pixels)
    backbone.encode_images(pixels)
    assert (len(mine), len(theirs)) == (1, 1)


def test_fast_passes_are_captured_in_float32(backbone, pixels):
    passes: list[TowerPass] = []
    with torch.no_grad(), backbone.fast_passes(), backbone.capturing(passes):
        fast = backbone.encode_images(pixels)
    torch.testing.assert_close(fast, backbone.encode_images(pixels), atol=1e-5, rtol=0)
    assert passes[0].blocks[0].weights.dtype == torch.float32


def test_a_block_alone_gives_its_parts_again_and_read_out_the_feature(backbone, pixels):
    with torch.no_grad():
        passes: list[TowerPass] = []
        with backbone.capturing(passes):
            feature = backbone.encode_images(pixels)
        blocks = passes[0].blocks
        again = backbone.open_block(1, blocks[1].enters)
        torch.testing.assert_close(again.leaves, blocks[2].enters, atol=1e-5, rtol=0)
        torch.testing.assert_close(backbone.read_out(blocks[-1].leaves), feature, atol=1e-5, rtol=0)


def test_the_output_projection_writes_what_attention_mixed(backbone, pixels):
    block = backbone.image_blocks()[1]
    projection, kept = parts_of(backbone, block)[1], {}
    if hasattr(block, "norm1"):
        handle = projection.register_forward_hook(lambda m, i, out: kept.update(given=i[0], written=out))
        with torch.no_grad():
            backbone.encode_images(pixels)
        handle.remove()
    else:
        kept["given"] = torch.randn(1, 5, backbone.image_width)
        kept["written"] = functional.linear(kept["given"], projection.weight, projection.bias)
    output = backbone.attention_output(1)
    found = output.scale * (kept["given"] @ output.weight.T + output.bias)
    torch.testing.assert_close(found, kept["written"], atol=1e-5, rtol=0)


def test_rows_are_reset_only_where_a_layer_lists_vectors(backbone, pixels):
    width, layers = backbone.image_width, backbone.image_layers
    shallow = LayerTokens((torch.zeros(2, width),), "insert")
    passes: list[TowerPass] = []
    with torch.no_grad(), backbone.capturing(passes):
        backbone.image_tokens(pixels, shallow)
        backbone.image_tokens(pixels, LayerTokens.zeros(2, width, layers, "insert"))
        backbone.image_tokens(pixels)
    assert [passes[0].reset_at(layer) for layer in range(3)] == [(1, 2), (), ()]
    assert [passes[1].reset_at(layer) for layer in range(3)] == [(1, 2)] * 3
    assert passes[2].reset_at(0) == ()


def test_a_backbone_that_stays_closed_says_so():
    with pytest.raises(Unavailable, match="does not open them"):
        capture(head_classifier(ClosedBackbone()), torch.zeros(1, 3, 64, 64))


def test_repeated_captures_leave_no_tensor_behind(backbone, pixels):
    import gc

    classifier = head_classifier(backbone)

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    def once() -> Captured:
        found = capture(classifier, pixels)
        found.last_gradients([0, 1])
        return found

    once()
    before = tensors()
    for _ in range(10):
        once()
    assert tensors() == before
