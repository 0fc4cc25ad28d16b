"""What the layers of a language model say about each class; where none is given, the backbone's own text layers.

Only class names go in, never an image. Nothing is fetched: a model is a folder, or lies in the local cache of the hub.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.backbones.contract import Backbone
from core.errors import InvalidInput
from core.language_models.folder import find_language_model, read_model_config
from core.language_models.loading import encode_messages, end_tokens, file_sums, load_language_model
from core.tuning.feature_store import FeatureStore, address

QUESTION = "In an image, describe the distinctive visual features of {}."
ANSWER_TOKENS = 128
TEXTS_PER_PASS = 64


class LanguageModel:
    """A causal language model on this machine, loaded when a text is asked about that is not in the store.

    name: a folder in the format of `transformers`, or a hub name whose files are in the hub's local cache. home: where
    checksums are remembered. Raises NotFound, Unavailable, or InvalidInput for one that cannot be used.
    """

    def __init__(self, name: str, home: Path, device: torch.device) -> None:
        self.name, self._folder, self._device = name, find_language_model(name), device
        self.checksum = address(*file_sums(self._folder, home))
        self._layers = int(read_model_config(self._folder).get_text_config().num_hidden_layers)

    def states(
        self, classes: Sequence[str], store: FeatureStore, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, Tensor]:
        """For each class the states (layers, width) of the last token of the question about it and its answer, fp32.

        The model answers greedily, in its chat format where its tokenizer has one; then question, answer and end token
        are read once. The embedding layer is left out. progress: called with (done, total) classes.
        Source: CILMP's side information.
        """
        addresses = {name: self._address(name) for name in classes}
        known = store.get(addresses.values())
        missing = [name for name in classes if addresses[name] not in known]
        loaded = load_language_model(self._folder, self._device) if missing else None
        for done, name in enumerate(missing):
            if progress:
                progress(len(classes) - len(missing) + done, len(classes))
            assert loaded is not None, "the model is loaded where a class is missing"
            found = {addresses[name]: _last_states(*loaded, QUESTION.format(name)).flatten()}
            store.put(found)
            known |= found
        del loaded
        # its parts name each other, and its memory is needed for the training that follows
        gc.collect()
        return {name: known[key].view(self._layers, -1) for name, key in addresses.items()}

    def _address(self, name: str) -> str:
        return address(self.checksum, "hidden states", ANSWER_TOKENS, QUESTION.format(name))


def text_tower_states(backbone: Backbone, groups: Sequence[Sequence[str]]) -> Tensor:
    """States (groups, text_layers, text_width) of a backbone's own text layers, the mean over each group's sentences.

    Read where the tower itself gathers a text: at the first token of a BERT, at the end token of a causal tower.
    Without gradient.
    """
    texts = [text for group in groups for text in group]
    chunks = [texts[start : start + TEXTS_PER_PASS] for start in range(0, len(texts), TEXTS_PER_PASS)]
    found = torch.cat([_tower_states(backbone, chunk) for chunk in chunks])
    return torch.stack([part.mean(dim=0) for part in found.split([len(group) for group in groups])])


def _tower_states(backbone: Backbone, texts: Sequence[str]) -> Tensor:
    tokens = backbone.tokenize(texts)
    inputs: list[Tensor] = []

    def keep(layer: int, hidden: Tensor) -> Tensor:
        inputs.append(hidden)
        return hidden

    with torch.inference_mode():
        last = backbone.text_tokens(backbone.embed_tokens(tokens.ids), tokens.mask, before_layer=keep)
        # the input of a layer is the output of the one before; that of the first is the embedding
        states = torch.stack([*inputs[1:], last], dim=1)
    ends = tokens.mask.sum(dim=1) - 1
    place = torch.zeros_like(ends) if backbone.text_kind == "bert" else ends
    return states[torch.arange(len(texts), device=states.device), :, place].clone()


def _last_states(tokenizer: Any, model: Any, question: str) -> Tensor:
    """States (layers, width) of one question, as `LanguageModel.states` says."""
    prompt = encode_messages(tokenizer, [{"role": "user", "content": question}]).to(model.device)
    ends = end_tokens(tokenizer, model)
    with torch.inference_mode():
        whole = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=ANSWER_TOKENS,
            do_sample=False,
            num_beams=1,
            pad_token_id=ends[0] if ends else 0,
        )
        if ends and int(whole[0, -1]) not in ends:
            whole = torch.cat([whole, whole.new_tensor([[ends[0]]])], dim=1)
        layers = model(whole, output_hidden_states=True).hidden_states
    found = torch.stack([layer[0, -1] for layer in layers[1:]]).float().cpu().clone()
    if not bool(found.isfinite().all()):
        raise InvalidInput(
            "A language model's states must be finite numbers",
            f"those of '{question}' are not",
            "Its weights are damaged: copy it again, or choose another one.",
        )
    return found
