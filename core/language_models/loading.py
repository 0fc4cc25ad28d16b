"""A causal language model from its folder, and what is needed to put a text to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.backbones.loading import file_checksum
from core.language_models.folder import FILES, answering_options, check_tokenizer, model_files, unusable


def file_sums(folder: Path, home: Path) -> list[str]:
    """ "name=SHA-256" of each file that a model's answers depend on, sorted. home: where checksums are remembered."""
    files = {file for pattern in FILES for file in model_files(folder, pattern)}
    return sorted({f"{file.name}={file_checksum(file, home)}" for file in files})


def load_language_model(folder: Path, device: torch.device) -> tuple[Any, Any]:
    """Tokenizer and model, in the precision it was saved in. Code that comes with a model is never run.

    Raises InvalidInput for a model that is not whole: weights that a file lacks would be noise.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    check_tokenizer(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto",
            output_loading_info=True,
        )
    except Exception as error:  # whatever a damaged file makes the library raise
        raise unusable(folder, error) from error
    model, report = loaded
    absent = sorted(str(name) for kind in ("missing_keys", "mismatched_keys") for name in report.get(kind, ()))
    if absent:
        raise unusable(folder, ValueError(f"the weights do not hold {absent[0]} and {len(absent) - 1} more"))
    model.generation_config = answering_options(folder)
    return tokenizer, model.to(device).eval()


def encode_messages(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> Tensor:
    """Token ids (1, length), in the chat format where there is one, else of the contents one below the other."""
    if not tokenizer.chat_template:
        return tokenizer("\n\n".join(each["content"] for each in messages), return_tensors="pt").input_ids
    return tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
    ).input_ids


def end_tokens(tokenizer: Any, model: Any) -> list[int]:
    """Ids that end an answer, the tokenizer's own first."""
    own, others = tokenizer.eos_token_id, model.generation_config.eos_token_id
    others = others if isinstance(others, list) else [others]
    return [token for token in (own, *others) if token is not None]
