"""How many tokens texts have on a backbone, from its tokenizer's files alone: no weights, and no PyTorch where it has
a tokenizer.json or vocab.txt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from core.backbones.catalogue import CONFIG_FILE, default_home, find_folder
from core.errors import InvalidInput

_CLIP_LENGTH = 77


class TextLengths:
    """Token counts of one backbone. context_length: the longest text its tower reads, start and end included.

    Raises NotFound or Unavailable for a backbone that is not there, InvalidInput for a folder whose files do not parse.
    """

    def __init__(self, name: str = "embedded", home: Path | None = None) -> None:
        self.name, self._folder = find_folder(name, default_home(home))
        self._text = _read_json(self._folder / CONFIG_FILE).get("model_cfg", {}).get("text_cfg", {})
        self.context_length = self._read_limit()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included; may exceed `context_length`."""
        if self._fast is None:
            return self._slow_count(texts)
        cleaned = [" ".join(text.split()) for text in texts]
        found = [encoded.ids for encoded in self._fast.encode_batch(cleaned)]
        end = self._fast.token_to_id("[SEP]") if self._options.get("strip_sep_token") else None
        return [len([i for i in ids if i != end]) for ids in found]

    @property
    def _options(self) -> dict[str, Any]:
        return dict(self._text.get("tokenizer_kwargs") or {})

    def _read_limit(self) -> int:
        limit = int(self._text.get("context_length", _CLIP_LENGTH))
        tower = self._folder / "config.json"
        if self._text.get("hf_tokenizer_name") and tower.is_file():
            limit = min(limit, int(_read_json(tower).get("max_position_embeddings", limit)))
        return limit

    @cached_property
    def _fast(self) -> Any:
        """The tokenizer's files opened without PyTorch, or None where that cannot be."""
        if not self._text.get("hf_tokenizer_name"):
            return None
        from tokenizers import Tokenizer
        from tokenizers.implementations import BertWordPieceTokenizer

        whole, words = self._folder / "tokenizer.json", self._folder / "vocab.txt"
        try:
            found: Any = Tokenizer.from_file(str(whole)) if whole.is_file() else None
            if found is None and words.is_file():
                found = BertWordPieceTokenizer(str(words))
        except Exception as error:  # the library raises plain Exception for damaged files
            raise InvalidInput(
                "A tokenizer that can be read", f"the files in {self._folder} are damaged", "Fetch the backbone again."
            ) from error
        if found is not None:
            found.no_truncation()
            found.no_padding()
        return found

    def _slow_count(self, texts: Sequence[str]) -> list[int]:
        from core.backbones.tokenizer import Tokenizer

        return Tokenizer(self._folder, self._text).count(texts)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"A readable {path.name}", f"the one in {path.parent} is damaged", "Fetch it again."
        ) from error
    return found if isinstance(found, dict) else {}
