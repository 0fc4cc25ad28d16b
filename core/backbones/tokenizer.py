"""From texts to token ids, offline, in the backbone's own way and never longer than the longest text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

from core.backbones.contract import Tokens
from core.errors import InvalidInput


class Tokenizer:
    """The tokenizer that open_clip would use for a model, without its padding and silent cutting.

    context_length: longest text in tokens, start and end included.
    """

    def __init__(self, folder: Path, text_config: dict[str, Any]) -> None:
        self.context_length = int(text_config.get("context_length", 77))
        options = dict(text_config.get("tokenizer_kwargs") or {})
        self._simple: SimpleTokenizer | None = None
        if text_config.get("hf_tokenizer_name"):
            self._hf = _open_hf_tokenizer(folder, text_config, options)
            self.pad_id = int(self._hf.tokenizer.pad_token_id or 0)
        else:
            self._simple = SimpleTokenizer(context_length=self.context_length, **options)
            self.pad_id = 0

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text at its full length, start and end included."""
        if self._simple is not None:
            start, end = self._simple.sot_token_id, self._simple.eot_token_id
            return [[start, *self._simple.encode(text), end] for text in texts]
        cleaned = [self._hf.clean_fn(text) for text in texts]
        found = self._hf.tokenizer(cleaned, padding=False, truncation=False, verbose=False).input_ids
        if self._hf.strip_sep_token:
            found = [[i for i in ids if i != self._hf.tokenizer.sep_token_id] for ids in found]
        return [list(ids) for ids in found]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, start and end left out."""
        if self._simple is not None:
            return self._simple.decode(list(ids)[1:-1]).strip()
        return str(self._hf.tokenizer.decode(list(ids), skip_special_tokens=True))

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included; may exceed `context_length`."""
        return [len(ids) for ids in self.encode(texts)]

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Ids and mask, cut to the longest text.

        Raises InvalidInput for no text at all and for a text that is longer than the backbone reads.
        """
        if isinstance(texts, str):
            texts = [texts]
        if not texts:
            raise InvalidInput("At least one text is needed", "found none", "Give each class a name or a sentence.")
        found = self.encode(texts)
        self._check_lengths(texts, found)
        length = max(len(ids) for ids in found)
        ids = torch.full((len(found), length), self.pad_id, dtype=torch.int64)
        mask = torch.zeros(len(found), length, dtype=torch.bool)
        for row, text_ids in enumerate(found):
            ids[row, : len(text_ids)] = torch.tensor(text_ids)
            mask[row, : len(text_ids)] = True
        return Tokens(ids, mask)

    def _check_lengths(self, texts: Sequence[str], found: list[list[int]]) -> None:
        for text, ids in zip(texts, found, strict=True):
            if len(ids) > self.context_length:
                shown = text if len(text) <= 60 else f"{text[:57]}..."
                raise InvalidInput(
                    f"A text may have {self.context_length} tokens on this backbone",
                    f"'{shown}' has {len(ids)}",
                    "Shorten it or split it into two sentences.",
                )


def _open_hf_tokenizer(folder: Path, text_config: dict[str, Any], options: dict[str, Any]) -> HFTokenizer:
    """The tokenizer whose files lie in the folder, whatever hub name the configuration gives."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise InvalidInput(
            f"The backbone folder must hold its tokenizer (tokenizer.json or vocab.txt): {folder}",
            "found neither",
            "Fetch the backbone again or copy the tokenizer's files into the folder.",
        )
    if text_config.get("tokenizer_mode"):
        raise InvalidInput(
            "Texts must be tokenised in the tokenizer's standard way",
            f"the configuration asks for '{text_config['tokenizer_mode']}'",
            "Choose another backbone.",
        )
    return HFTokenizer(
        str(folder), context_length=text_config.get("context_length", 77), local_files_only=True, **options
    )
