"""From texts to token ids, offline, in the backbone's own way and never longer than the longest text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch
from open_clip.tokenizer import SimpleTokenizer, get_clean_fn
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from core.backbones.contract import Tokens
from core.backbones.folder_rules import FETCH_AGAIN, TOKENIZER, TOKENIZER_BYTES, check_options, own_file, read_object
from core.backbones.tokenizer_growth import check_growth
from core.errors import InvalidInput

TOKENIZER_FILE, VOCABULARY_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "vocab.txt", "tokenizer_config.json"
BERT_CLASSES = ("BertTokenizer", "BertTokenizerFast")
SPECIAL = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
"""Special tokens of a BERT where the folder names no others."""
PROBE = "a photo of a normal chest x-ray."


class Tokenizer:
    """The tokenizer that open_clip would use for a model, without its padding and silent cutting.

    context_length: longest text in tokens, start and end included. Raises InvalidInput for a damaged tokenizer.
    """

    def __init__(self, folder: Path, text_config: dict[str, Any]) -> None:
        self.context_length = int(text_config.get("context_length", 77))
        options = dict(text_config.get("tokenizer_kwargs") or {})
        self._simple: SimpleTokenizer | None = None
        if text_config.get("tokenizer_mode"):
            raise InvalidInput(
                "Texts must be tokenised in the tokenizer's standard way",
                f"the configuration asks for '{text_config['tokenizer_mode']}'",
                "Choose another backbone.",
            )
        if text_config.get("hf_tokenizer_name"):
            self._open(folder, options)
        else:
            self._simple = SimpleTokenizer(context_length=self.context_length, clean=str(options.get("clean", "lower")))
            self.pad_id, self.largest_id = 0, self._simple.vocab_size - 1

    def _open(self, folder: Path, options: dict[str, Any]) -> None:
        named = _read_options(folder)
        self._file, self._backend = _open_backend(folder, named)
        self._clean: Callable[[str], str] = get_clean_fn(str(options.get("clean", "whitespace")))
        ids = {name: self._backend.token_to_id(named[name]) for name in ("pad_token", "sep_token")}
        self.pad_id = int(ids["pad_token"] or 0)
        self._left_out = {ids["sep_token"]} if options.get("strip_sep_token") else set()
        self.largest_id = max(self._backend.get_vocab().values(), default=0)
        # start and end are put in by number, which the vocabulary need not have
        self.largest_id = max(self.largest_id, *self._check_round_trip())

    def _check_round_trip(self) -> list[int]:
        """Refuse at once what would otherwise read every text wrongly. Gives the ids of the text it tried."""
        ids = self.encode([PROBE])[0]
        found = self.decode(ids)
        if _letters(found) != _letters(PROBE):
            raise InvalidInput(
                f"'{PROBE}' must come back from the tokenizer in {self._file}", f"found '{found[:80]}'", FETCH_AGAIN
            )
        return ids

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text at its full length, start and end included."""
        if self._simple is not None:
            start, end = self._simple.sot_token_id, self._simple.eot_token_id
            return [[start, *self._simple.encode(text), end] for text in texts]
        found = _guarded(self._file, lambda: self._backend.encode_batch([self._clean(text) for text in texts]))
        return [[token for token in each.ids if token not in self._left_out] for each in found]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, start and end left out."""
        if self._simple is not None:
            return self._simple.decode(list(ids)[1:-1]).strip()
        return str(_guarded(self._file, lambda: self._backend.decode(list(ids), skip_special_tokens=True)))

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


def _read_options(folder: Path) -> dict[str, Any]:
    """What tokenizer_config.json says that matters here, with the tokens a BERT has where it is silent.

    Anything else in it, a chat template too, is never looked at.
    """
    found: dict[str, Any] = {}
    if own_file(folder, TOKENIZER_CONFIG_FILE):
        found = read_object(folder, TOKENIZER_CONFIG_FILE)
        check_options(folder / TOKENIZER_CONFIG_FILE, found, TOKENIZER, closed=False)
    tokens = {name: _content(found.get(name)) or usual for name, usual in SPECIAL.items()}
    return {name: value for name, value in found.items() if name in TOKENIZER} | tokens


def _content(token: Any) -> str | None:
    return token["content"] if isinstance(token, dict) else token


def _open_backend(folder: Path, named: dict[str, Any]) -> tuple[Path, tokenizers.Tokenizer]:
    """The file that the tokenizer is read from, and the tokenizer. Both kinds of file are data alone."""
    file = own_file(folder, TOKENIZER_FILE)
    read = tokenizers.Tokenizer.from_file
    if file is None:
        file = own_file(folder, VOCABULARY_FILE)
        read = lambda path: _from_vocabulary(path, named)  # noqa: E731
    if file is None:
        raise InvalidInput(
            f"The backbone folder must hold its tokenizer (tokenizer.json or vocab.txt): {folder}",
            "found neither",
            "Fetch the backbone again or copy the tokenizer's files into the folder.",
        )
    if file.stat().st_size > TOKENIZER_BYTES:
        raise InvalidInput(f"{file} may have {TOKENIZER_BYTES} bytes", f"it has {file.stat().st_size}", FETCH_AGAIN)
    path = str(file)
    if file.name == TOKENIZER_FILE:
        _guarded(file, lambda: check_growth(Path(path)))
    backend = _guarded(file, lambda: read(path))
    backend.no_truncation()
    backend.no_padding()
    if named.get("tokenizer_class") in BERT_CLASSES:
        backend.normalizer = _bert_normalizer(named)
    return file, backend


def _from_vocabulary(path: str, named: dict[str, Any]) -> tokenizers.Tokenizer:
    """A BERT's tokenizer from the list of its tokens, one a line."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    vocabulary = {token.rstrip("\r"): place for place, token in enumerate(lines) if token.rstrip("\r")}
    missing = [named[name] for name in ("unk_token", "cls_token", "sep_token") if named[name] not in vocabulary]
    if missing:
        raise ValueError(f"the token {missing[0]} is missing")
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=named["unk_token"]))
    backend.normalizer = _bert_normalizer(named)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    start, end = named["cls_token"], named["sep_token"]
    backend.post_processor = processors.BertProcessing((end, vocabulary[end]), (start, vocabulary[start]))
    backend.add_special_tokens([named[name] for name in SPECIAL if named[name] in vocabulary])
    return backend


def _bert_normalizer(named: dict[str, Any]) -> Any:
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=named.get("tokenize_chinese_chars", True),
        strip_accents=named.get("strip_accents"),
        lowercase=named.get("do_lower_case", True),
    )


def _guarded(file: Path, work: Callable[[], Any]) -> Any:
    """What `work` gives. Whatever the library below raises for a damaged file, its panics too, becomes a sentence."""
    try:
        return work()
    except (KeyboardInterrupt, SystemExit, MemoryError, InvalidInput):
        raise
    except BaseException as error:
        lines = str(error).strip().splitlines()
        found = lines[0][:160] if lines else type(error).__name__
        raise InvalidInput(f"{file} must hold the backbone's tokenizer", found, FETCH_AGAIN) from error


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
