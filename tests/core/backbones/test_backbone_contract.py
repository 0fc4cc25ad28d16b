"""Every combination of towers, and the embedded backbone, keeps the backbone contract."""

from __future__ import annotations

import copy

import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from core.backbones.contract import LayerTokens
from core.errors import InvalidInput
from tests.builders import TOWERS, embedded_backbone, tiny_backbone

KINDS = [*TOWERS, "timm-bert-mean", "timm-bert-pooler"]
TEXTS = ["a photo of a glioma tumor.", "x", "brain MRI of a normal brain, nothing abnormal seen in any slice"]


@pytest.fixture(params=[*KINDS, "embedded"])
def backbone(request):
    return embedded_backbone() if request.param == "embedded" else tiny_backbone(request.param)


@pytest.fixture(params=KINDS)
def tiny(request):
    return tiny_backbone(request.param)


def pixels_for(backbone, n=2, seed=0):
    size = backbone.preprocessing.size
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def vectors(backbone, tower, n=2, layers=None, batch=None, seed=1):
    width, depth = getattr(backbone, f"{tower}_width"), getattr(backbone, f"{tower}_layers")
    shape = (n, width) if batch is None else (batch, n, width)
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=generator) for _ in range(layers or depth))


def full_length(backbone, texts):
    """Ids as open_clip pads them: to the context length."""
    found = backbone.tokenize(texts)
    ids = torch.zeros(len(texts), backbone.context_length, dtype=torch.int64)
    ids[:, : found.ids.shape[1]] = found.ids
    return ids


def texts_in(backbone, texts=TEXTS):
    found = backbone.tokenize(texts)
    return backbone.embed_tokens(found.ids), found.mask


def test_image_features_equal_those_of_open_clip(backbone):
    pixels = pixels_for(backbone)
    with torch.no_grad():
        difference = backbone.encode_images(pixels) - backbone.model.encode_image(pixels)
    assert difference.abs().max() <= 1e-5


def test_trimmed_text_features_equal_those_of_open_clip_at_full_length(backbone):
    with torch.no_grad():
        full = backbone.model.encode_text(full_length(backbone, TEXTS))
    assert (backbone.encode_texts(TEXTS) - full).abs().max() <= 1e-5


def test_padding_that_is_not_masked_changes_every_text(backbone):
    ids, lengths = full_length(backbone, TEXTS), torch.tensor(backbone.count_tokens(TEXTS))
    embeds, mask = backbone.embed_tokens(ids), torch.arange(backbone.context_length) < lengths[:, None]
    cut = normalize(backbone.encode_texts(TEXTS), dim=-1)
    with torch.no_grad():
        padded, unmasked = (normalize(backbone.encode_text(embeds, m), dim=-1) for m in (mask, torch.ones_like(mask)))
    torch.testing.assert_close(padded, cut, atol=1e-5, rtol=0)
    assert float((unmasked - cut).abs().amax(dim=1).min()) > 1e-2


def test_padding_that_attention_may_see_changes_a_text_that_is_read_both_ways(tiny):
    embeds, mask = texts_in(tiny)
    shorter = mask.sum(dim=1) < mask.shape[1]
    with torch.no_grad():
        masked, seen = (
            normalize(tiny.project_text(tiny.pool_text(tiny.text_tokens(embeds, m), mask)), dim=-1)
            for m in (mask, torch.ones_like(mask))
        )
    change = (seen - masked).abs().amax(dim=1)
    assert shorter.tolist() == [True, True, False]
    assert float(change[~shorter].max()) == 0
    if tiny.text_kind == "bert":
        assert float(change[shorter].min()) > 1e-2
    else:
        # a causal tower stands at the end token before any padding
        assert float(change.max()) <= 1e-5


def test_the_features_of_a_text_do_not_depend_on_the_texts_beside_it(backbone):
    alone = torch.cat([backbone.encode_texts([text]) for text in TEXTS])
    assert (backbone.encode_texts(TEXTS) - alone).abs().max() <= 1e-5


def test_widths_and_grid_are_those_of_the_tensors(backbone):
    pixels = pixels_for(backbone, n=1)
    rows, columns = backbone.patch_grid
    with torch.no_grad():
        hidden = backbone.image_tokens(pixels)
        embeds, mask = texts_in(backbone)
        text_hidden = backbone.text_tokens(embeds, mask)
    assert hidden.shape == (1, 1 + rows * columns, backbone.image_width)
    assert text_hidden.shape == (*mask.shape, backbone.text_width)
    assert backbone.project_image(hidden).shape[-1] == backbone.joint_width
    assert backbone.project_text(text_hidden).shape[-1] == backbone.joint_width
    assert len(backbone.image_blocks()) == backbone.image_layers


def test_all_weights_are_frozen_and_in_eval_mode(backbone):
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())
    assert not any(module.training for module in backbone.model.modules())


def test_preprocess_gives_the_towers_input_in_its_own_normalisation(backbone):
    grey = Image.new("RGB", (300, 250), (128, 128, 128))
    tensor = backbone.preprocess(grey)
    mean, std = (torch.tensor(values) for values in (backbone.preprocessing.mean, backbone.preprocessing.std))
    assert tensor.shape == (3, backbone.preprocessing.size, backbone.preprocessing.size)
    assert torch.allclose(tensor[:, 3, 3], (128 / 255 - mean) / std, atol=1e-5)


def test_pixels_of_another_size_are_refused(backbone):
    size = backbone.preprocessing.size
    with pytest.raises(
        InvalidInput, match=rf"pixels of the shape \(batch, 3, {size}, {size}\); found \(1, 3, 30, 30\)"
    ):
        backbone.encode_images(torch.zeros(1, 3, 30, 30))


# extra tokens in the image tower ----------------------------------------------------------------------------------


def test_replacing_patches_at_every_layer_hides_what_they_showed(tiny):
    pixels = pixels_for(tiny, n=1)
    changed = pixels.clone()
    changed[:, :, :16, :32] += 3.0  # the first two patches
    zeros = LayerTokens.zeros(2, tiny.image_width, tiny.image_layers)
    with torch.no_grad():
        plain = (tiny.encode_images(pixels) - tiny.encode_images(changed)).abs().max()
        hidden = (tiny.encode_images(pixels, zeros) - tiny.encode_images(changed, zeros)).abs().max()
    assert plain > 1e-3
    assert hidden == 0


def test_replacing_only_once_lets_the_vectors_evolve(tiny):
    pixels = pixels_for(tiny)
    seen = {}

    def look(layer, hidden):
        seen[layer] = hidden[:, 1:3].clone()
        return hidden

    tokens = LayerTokens(vectors(tiny, "image", layers=1), mode="replace")
    with torch.no_grad():
        tiny.encode_images(pixels, tokens, look)
    assert not torch.allclose(seen[1], seen[0])
    assert len(seen) == tiny.image_layers


def test_every_layer_receives_its_own_vectors_in_both_modes(tiny):
    for mode in ("replace", "insert"):
        given = vectors(tiny, "image", batch=2)
        seen = []

        def look(layer, hidden, seen=seen):
            seen.append(hidden[:, 1:3].clone())
            return hidden

        with torch.no_grad():
            hidden = tiny.image_tokens(pixels_for(tiny), LayerTokens(given, mode=mode), look)
        grid = tiny.patch_grid[0] * tiny.patch_grid[1]
        assert hidden.shape[1] == 1 + grid + (2 if mode == "insert" else 0)
        for layer in range(1, tiny.image_layers):
            assert torch.equal(seen[layer], given[layer])


def test_layer_zero_of_the_image_tower_stands_before_the_first_norm():
    for kind, raw in (("timm-bert", True), ("clip-bert", False)):
        backbone, seen = tiny_backbone(kind), []
        given = vectors(backbone, "image", layers=1)

        def look(layer, hidden, seen=seen):
            seen.append(hidden[:, 1:3])
            return hidden

        with torch.no_grad():
            backbone.image_tokens(pixels_for(backbone), LayerTokens(given, mode="insert"), look)
            expected = given[0] if raw else backbone.model.visual.ln_pre(given[0])
        assert torch.allclose(seen[0][0], expected, atol=1e-6)


def test_tokens_inserted_at_a_later_layer_lengthen_the_sequence_there(tiny):
    lengths = []

    def look(layer, hidden):
        lengths.append(hidden.shape[1])
        return hidden

    tokens = LayerTokens((None, *vectors(tiny, "image", n=3, layers=2)), mode="insert", start=-1)
    with torch.no_grad():
        tiny.image_tokens(pixels_for(tiny), tokens, look)
    assert lengths == [17] + [20] * (tiny.image_layers - 1)


def test_inserted_tokens_that_nobody_may_look_at_change_nothing(tiny):
    pixels = pixels_for(tiny)
    tokens = LayerTokens(vectors(tiny, "image", n=2), mode="insert")
    allowed = torch.ones(19, 19, dtype=torch.bool)
    allowed[:, 1:3] = False
    with torch.no_grad():
        masked = tiny.image_tokens(pixels, tokens, attention_mask=allowed)
        plain = tiny.image_tokens(pixels)
    assert torch.allclose(torch.cat([masked[:, :1], masked[:, 3:]], dim=1), plain, atol=1e-5)


def test_an_attention_mask_that_allows_all_changes_nothing(tiny):
    pixels = pixels_for(tiny)
    with torch.no_grad():
        masked = tiny.image_tokens(pixels, attention_mask=torch.ones(2, 1, 17, 17, dtype=torch.bool))
        assert torch.allclose(masked, tiny.image_tokens(pixels), atol=1e-5)


def test_hooks_before_a_layer_run_after_the_tokens_and_may_change_the_hidden_states(tiny):
    pixels = pixels_for(tiny)
    zeros = LayerTokens.zeros(2, tiny.image_width, tiny.image_layers)

    def zero(layer, hidden):
        if layer == 0 and tiny.image_tower.visual.__class__.__name__ != "TimmModel":
            return hidden  # there layer 0 of the tokens stands before a norm, the hook behind it
        return torch.cat([hidden[:, :1], torch.zeros_like(hidden[:, 1:3]), hidden[:, 3:]], dim=1)

    first_only = LayerTokens((zeros.vectors[0],), mode="replace")
    with torch.no_grad():
        by_tokens, by_hook = tiny.encode_images(pixels, zeros), tiny.encode_images(pixels, first_only, zero)
    assert torch.equal(by_tokens, by_hook)


def test_gradients_reach_pixels_tokens_and_texts(tiny):
    pixels = pixels_for(tiny).requires_grad_()
    tokens = LayerTokens(tuple(v.requires_grad_() for v in vectors(tiny, "image")), mode="insert")
    tiny.encode_images(pixels, tokens).square().sum().backward()
    assert pixels.grad.abs().sum() > 0
    assert all(vector.grad.abs().sum() > 0 for vector in tokens.vectors)

    embeds, mask = texts_in(tiny)
    embeds = embeds.clone().requires_grad_()
    prompts = LayerTokens(tuple(v.requires_grad_() for v in vectors(tiny, "text")), mode="insert")
    tiny.encode_text(embeds, mask, prompts).square().sum().backward()
    assert embeds.grad.abs().sum() > 0
    assert all(vector.grad.abs().sum() > 0 for vector in prompts.vectors)


def test_vectors_do_not_replace_registers_in_the_place_of_patches(monkeypatch):
    backbone = tiny_backbone("timm-bert")
    monkeypatch.setattr(backbone.image_tower, "prefix", 5)
    tokens = LayerTokens(vectors(backbone, "image"), mode="replace")
    with pytest.raises(
        InvalidInput, match="this tower has 5 tokens before its first patch, and the vectors start at 1"
    ):
        backbone.encode_images(pixels_for(backbone), tokens)


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (lambda b: LayerTokens((*vectors(b, "image"), None)), "at most 6 layers of this tower; found 7"),
        (lambda b: LayerTokens((torch.zeros(2, 7),)), r"must have the shape \(2, 64\)"),
        (lambda b: LayerTokens(vectors(b, "image", n=4, layers=1), mode="replace", start=14), "between 0 and 13"),
        (lambda b: LayerTokens(vectors(b, "image", layers=1), mode="replace", start=-1), "the start is -1"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(tokens, sentence):
    backbone = tiny_backbone("timm-bert")
    with pytest.raises(InvalidInput, match=sentence):
        backbone.encode_images(pixels_for(backbone), tokens(backbone))


def test_tokens_without_any_vector_are_no_tokens(tiny):
    pixels = pixels_for(tiny)
    with torch.no_grad():
        assert torch.equal(tiny.encode_images(pixels, LayerTokens((None, None))), tiny.encode_images(pixels))


# attention and hooks ----------------------------------------------------------------------------------------------


def test_capturing_attention_leaves_the_result_as_it_is(backbone):
    pixels, captured = pixels_for(backbone), []
    with torch.no_grad():
        with_capture = backbone.image_tokens(pixels, attention=captured)
        features = backbone.project_image(backbone.pool_image(with_capture))
        assert torch.allclose(features, backbone.encode_images(pixels), atol=1e-5)
    assert len(captured) == backbone.image_layers


@pytest.mark.parametrize("mode", ["plain", "insert", "append", "replace", "late"])
def test_attention_rows_sum_to_one_and_positions_are_named(tiny, mode):
    grid = tiny.patch_grid[0] * tiny.patch_grid[1]
    given = vectors(tiny, "image", n=2)
    tokens = {
        "plain": None,
        "insert": LayerTokens(given, mode="insert"),
        "append": LayerTokens(given, mode="insert", start=-1),
        "replace": LayerTokens(given, mode="replace", start=3),
        "late": LayerTokens((None, None, *given[2:]), mode="insert"),
    }[mode]
    found = tiny.image_attention(pixels_for(tiny), tokens)
    total = 1 + grid + (2 if mode in ("insert", "append", "late") else 0)
    assert found.weights.shape[:2] == (tiny.image_layers, 2)
    assert found.weights.shape[3:] == (total, total)
    assert torch.allclose(found.weights.sum(dim=-1), torch.ones(()), atol=1e-5)
    assert not found.weights.is_inference()
    assert found.class_token == 0
    expected = {
        "plain": ((), tuple(range(1, 17)), tuple(range(16))),
        "insert": ((1, 2), tuple(range(3, 19)), tuple(range(16))),
        "append": ((17, 18), tuple(range(1, 17)), tuple(range(16))),
        "replace": ((3, 4), (1, 2, *range(5, 17)), (0, 1, *range(4, 16))),
        "late": ((1, 2), tuple(range(3, 19)), tuple(range(16))),
    }[mode]
    assert (found.extra, found.patches, found.patch_index) == expected
    assert found.grid == tiny.patch_grid


def test_before_they_are_inserted_tokens_are_seen_by_nobody():
    backbone = tiny_backbone("timm-bert")
    tokens = LayerTokens((None, *vectors(backbone, "image", n=2, layers=1)), mode="insert")
    first = backbone.image_attention(pixels_for(backbone), tokens).weights[0]
    plain = backbone.image_attention(pixels_for(backbone)).weights[0]
    assert first[:, :, 0, 1:3].abs().max() == 0
    assert torch.equal(first[:, :, 1, 1], torch.ones(2, backbone.image_blocks()[0].attn.num_heads))
    assert torch.allclose(first[:, :, 0, 3:], plain[:, :, 0, 1:])


def test_blocks_and_their_first_norm_are_called_as_modules_in_a_plain_pass(backbone):
    last = backbone.image_blocks()[-1]
    shapes = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
        for module in (getattr(last, "norm1", None) or last.ln_1, *backbone.image_blocks())
    ]
    pixels = pixels_for(backbone, n=1).requires_grad_()
    backbone.encode_images(pixels)
    for hook in hooks:
        hook.remove()
    rows, columns = backbone.patch_grid
    assert shapes == [(1, 1 + rows * columns, backbone.image_width)] * (backbone.image_layers + 1)


def test_frozen_encoding_gives_plain_float32_tensors(backbone):
    pixels = pixels_for(backbone)
    features = backbone.encode_images_frozen(pixels)
    assert features.dtype == torch.float32
    assert not features.is_inference()
    assert not features.requires_grad
    with torch.no_grad():
        assert torch.allclose(features, backbone.encode_images(pixels), atol=1e-5)


# texts ------------------------------------------------------------------------------------------------------------


def test_tokens_are_cut_to_the_longest_text(backbone):
    found = backbone.tokenize(TEXTS)
    assert found.ids.shape[1] == max(backbone.count_tokens(TEXTS)) < backbone.context_length
    assert found.mask.sum(dim=1).tolist() == backbone.count_tokens(TEXTS)


def test_a_text_that_is_too_long_is_refused_with_its_length(backbone):
    text = "tumor " * backbone.context_length
    count = backbone.count_tokens([text])[0]
    sentence = rf"A text may have {backbone.context_length} tokens on this backbone; .* has {count}\. Shorten it"
    with pytest.raises(InvalidInput, match=sentence):
        backbone.tokenize(["fine", text])


def test_a_text_of_exactly_the_context_length_equals_open_clip(tiny):
    special = tiny.count_tokens([""])[0]
    text = " ".join(["brain"] * (tiny.context_length - special))
    with torch.no_grad():
        full = tiny.model.encode_text(full_length(tiny, [text]))
    assert tiny.tokenize([text]).ids.shape[1] == tiny.context_length
    assert (tiny.encode_texts([text]) - full).abs().max() <= 1e-5


def test_every_text_layer_receives_its_own_vectors_in_both_modes(tiny):
    embeds, mask = texts_in(tiny)
    for mode in ("replace", "insert"):
        given, seen = vectors(tiny, "text"), []

        def look(layer, hidden, seen=seen):
            seen.append(hidden[:, 1:3].clone())
            return hidden

        tokens = LayerTokens(given, mode=mode)
        with torch.no_grad():
            hidden = tiny.text_tokens(embeds, mask, tokens, look)
        assert hidden.shape[1] == mask.shape[1] + (2 if mode == "insert" else 0)
        assert tiny.text_pool_mask(mask, tokens).shape[1] == hidden.shape[1]
        for layer in range(tiny.text_layers):
            assert torch.equal(seen[layer][0], given[layer])


@pytest.mark.parametrize("start", [1, -1])
def test_text_with_inserted_tokens_does_not_depend_on_padding(tiny, start):
    tokens = LayerTokens(vectors(tiny, "text"), mode="insert", start=start)
    if start == 1:
        together, alone = texts_in(tiny, TEXTS), [texts_in(tiny, [text]) for text in TEXTS]
    else:
        together, alone = texts_in(tiny, TEXTS), [texts_in(tiny, [text]) for text in TEXTS]
    with torch.no_grad():
        expected = torch.cat([tiny.encode_text(*text, tokens) for text in alone])
        assert torch.allclose(tiny.encode_text(*together, tokens), expected, atol=1e-5)


def test_inserted_text_tokens_that_nobody_may_look_at_change_nothing():
    for kind in ("timm-bert", "clip-causal"):
        backbone = tiny_backbone(kind)
        embeds, mask = texts_in(backbone)
        tokens = LayerTokens(vectors(backbone, "text"), mode="insert")
        length = mask.shape[1] + 2
        allowed = torch.ones(length, length, dtype=torch.bool)
        allowed[:, 1:3] = False
        allowed |= torch.eye(length, dtype=torch.bool)
        with torch.no_grad():
            hidden = backbone.text_tokens(embeds, mask, tokens, attention_mask=allowed)
            pooled = backbone.pool_text(hidden, backbone.text_pool_mask(mask, tokens))
            plain = backbone.pool_text(backbone.text_tokens(embeds, mask), mask)
        assert torch.allclose(pooled, plain, atol=1e-5)


def test_the_end_token_is_found_behind_and_before_inserted_tokens():
    backbone = tiny_backbone("clip-causal")
    embeds, mask = texts_in(backbone)
    ends = mask.sum(dim=1) - 1
    for start, shift in ((1, 2), (-1, 0)):
        tokens = LayerTokens(vectors(backbone, "text"), mode="insert", start=start)
        with torch.no_grad():
            hidden = backbone.text_tokens(embeds, mask, tokens)
        pooled = backbone.pool_text(hidden, backbone.text_pool_mask(mask, tokens))
        assert torch.equal(pooled, hidden[torch.arange(3), ends + shift])


def test_causal_text_never_looks_ahead():
    backbone = tiny_backbone("timm-causal")
    embeds, mask = texts_in(backbone)
    changed = embeds.clone()
    changed[:, 5:] += torch.randn(embeds[:, 5:].shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        difference = backbone.text_tokens(embeds, mask) - backbone.text_tokens(changed, mask)
    assert difference[:, :5].abs().max() == 0
    assert difference[0, 5:].abs().max() > 1e-3


def test_dropout_is_active_only_when_asked_for():
    backbone = tiny_backbone("timm-bert")
    embeds, mask = texts_in(backbone)
    with torch.no_grad():
        plain = backbone.encode_text(embeds, mask)
        torch.manual_seed(3)
        first = backbone.encode_text(embeds, mask, dropout=True)
        torch.manual_seed(3)
        again = backbone.encode_text(embeds, mask, dropout=True)
        assert torch.equal(backbone.encode_text(embeds, mask), plain)
    assert torch.equal(first, again)
    assert (first - plain).abs().max() > 1e-3


def test_many_texts_are_encoded_in_pieces_with_the_same_result():
    backbone = tiny_backbone("timm-bert")
    texts = [f"finding number {i}" for i in range(150)]
    assert (backbone.encode_texts(texts)[149] - backbone.encode_texts(texts[149:])[0]).abs().max() <= 1e-5


def test_no_text_at_all_is_refused():
    with pytest.raises(InvalidInput, match="At least one text is needed; found none"):
        tiny_backbone("timm-bert").encode_texts([])


# fast passes ------------------------------------------------------------------------------------------------------


def learned_prompts(backbone) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A learned start vector, and the embeddings (with it at position 1) and mask of texts of unlike length."""
    found = backbone.tokenize(TEXTS)
    embeds = backbone.embed_tokens(found.ids)
    word = embeds[0, 1].clone().requires_grad_()
    return word, torch.cat([embeds[:, :1], word.expand(len(TEXTS), 1, -1), embeds[:, 2:]], dim=1), found.mask


def test_texts_on_the_shortest_way_equal_the_padded_pass_in_value_and_gradient(backbone):
    word, embeds, mask = learned_prompts(backbone)
    short = backbone.encode_text(embeds, mask)
    padded = backbone.project_text(backbone.pool_text(backbone.text_tokens(embeds, mask), mask))
    torch.testing.assert_close(short, padded, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(found.square().sum(), word, retain_graph=True)[0] for found in (short, padded)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_pictures_on_the_shortest_way_equal_the_full_pass_in_value_and_gradient(backbone):
    pixels = pixels_for(backbone)
    for mode in ("replace", "insert"):
        vector = torch.randn(2, backbone.image_width, requires_grad=True)
        tokens = LayerTokens((vector, vector), mode)
        full = backbone.encode_images(pixels, tokens)
        with backbone.fast_passes():
            short = backbone.encode_images(pixels, tokens)
        torch.testing.assert_close(short, full, atol=1e-5, rtol=1e-5)
        gradients = [torch.autograd.grad(found.square().sum(), vector)[0] for found in (short, full)]
        torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", ["replace", "insert"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_pass_that_was_broken_off_goes_on_as_if_it_had_not_been(backbone, mode, layer):
    pixels, width = pixels_for(backbone), backbone.image_width
    tokens = LayerTokens(tuple(torch.randn(3, 2, width)), mode)
    part = backbone.encode_part(pixels, layer, tokens)
    assert (len(part), part.layer) == (len(pixels), layer)
    with backbone.fast_passes():
        torch.testing.assert_close(
            backbone.encode_images(part, tokens), backbone.encode_images(pixels, tokens), atol=1e-5, rtol=1e-5
        )
        alone = backbone.encode_images(part[1:2], tokens)
    torch.testing.assert_close(alone, backbone.encode_images(pixels[1:2], tokens), atol=1e-5, rtol=1e-5)


def test_fast_passes_in_bf16_stay_near_float32_and_leave_the_weights_alone(backbone, monkeypatch):
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    monkeypatch.setattr(backbone, "precision", "bf16")
    monkeypatch.setattr(backbone, "_shortened", {})
    word, embeds, mask = learned_prompts(backbone)
    pixels, prompt = pixels_for(backbone), LayerTokens((None, torch.zeros(1, backbone.text_width)), "replace")

    def encode() -> list[torch.Tensor]:
        texts = [backbone.encode_text(embeds, mask, tokens) for tokens in (None, prompt)]
        return [torch.nn.functional.normalize(x, dim=-1) for x in (backbone.encode_images(pixels), *texts)]

    exact = encode()
    with backbone.fast_passes():
        rounded = encode()
    for near, far in zip(rounded, exact, strict=True):
        assert near.dtype == torch.float32
        assert 0 < (near - far).abs().max() < 0.02
    gradients = [torch.autograd.grad(texts[1].sum(), word)[0] for texts in (rounded, exact)]
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99
    assert all(torch.equal(value, before[name]) for name, value in backbone.model.state_dict().items())
    # outside, everything is exact again
    assert all(torch.equal(now, then) for now, then in zip(encode(), exact, strict=True))


def test_other_image_blocks_change_a_copy_and_leave_the_backbone_alone(backbone):
    pixels = pixels_for(backbone, n=2)
    before = [backbone.encode_images(pixels), backbone.encode_images_frozen(pixels)]
    *blocks, last = backbone.image_blocks()
    changed = copy.deepcopy(last)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.zero_()
    other = backbone.with_image_blocks([*blocks, changed])
    assert not torch.allclose(other.encode_images(pixels), before[0])
    assert not torch.allclose(other.encode_images_frozen(pixels), before[1])
    assert torch.equal(backbone.encode_images(pixels), before[0])
    assert torch.equal(backbone.encode_images_frozen(pixels), before[1])
    assert torch.equal(other.embed_tokens(torch.tensor([[1]])), backbone.embed_tokens(torch.tensor([[1]])))
