"""What the files of a model folder may say. A folder is data: what is not listed here is refused, never obeyed.

The libraries that read such folders follow names to a hub, import Python files and take any option a file gives. Here
every option has a rule, names stand for the folder itself, and only what passed is handed on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidInput
from core.text import text_fault

CONFIG_BYTES = 4 * 1024**2
TOKENIZER_BYTES = 64 * 1024**2
DEEPEST = 64
"""Levels of objects and lists in a JSON file of a folder."""
FETCH_AGAIN = "Fetch or copy the folder again."

RUNS_CODE = frozenset({"auto_map", "trust_remote_code", "custom_pipelines", "custom_generate", "code_revision"})
"""Keys with which a file asks for code to be run, at whatever depth they stand."""
LEADS_AWAY = re.compile(r"(?i)\s*(hf[-_]hub:|local-dir:|[a-z][a-z0-9+.-]*://)")
"""Texts that name a place instead of holding something."""


@dataclass(frozen=True)
class Rule:
    """expected: what a value must be, after "must be". holds: whether one is."""

    expected: str
    holds: Callable[[Any], bool]


def whole(low: int, high: int) -> Rule:
    """A whole number between two bounds, both allowed."""
    return Rule(
        f"a whole number from {low} to {high}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
    )


def number(low: float, high: float) -> Rule:
    """A finite number between two bounds, both allowed."""
    return Rule(f"a number from {low:g} to {high:g}", lambda value: _is_number(value) and low <= value <= high)


def one_of(*choices: Any) -> Rule:
    """One of these values, of the same type."""
    shown = ", ".join(json.dumps(choice) for choice in choices)
    return Rule(
        f"one of {shown}" if len(choices) > 1 else shown,
        lambda value: any(type(value) is type(choice) and value == choice for choice in choices),
    )


def optional(rule: Rule) -> Rule:
    """The same, or null."""
    return Rule(f"{rule.expected}, or null", lambda value: value is None or rule.holds(value))


def part(rules: Mapping[str, Rule]) -> Rule:
    """An object with some of these options and no others."""
    return Rule(
        f"an object with the options {', '.join(rules)}",
        lambda value: (
            isinstance(value, dict) and all(key in rules and rules[key].holds(found) for key, found in value.items())
        ),
    )


FLAG = Rule("true or false", lambda value: isinstance(value, bool))
TEXT = Rule("a text that can be shown", lambda value: isinstance(value, str) and text_fault(value) is None)
OBJECT = Rule("an object", lambda value: isinstance(value, dict))
HUB_NAME = Rule(
    'the name of a model, such as "owner/name", or "." for the folder itself',
    lambda value: value == "." or (isinstance(value, str) and bool(re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", value))),
)
TIMM_NAME = Rule(
    "the plain name of an architecture of timm",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"[a-z0-9_]{1,80}(\.[a-z0-9_]{1,80})?", value)),
)
SIZE = whole(8, 4096)
IMAGE_SIZE = Rule(
    f"{SIZE.expected}, or two of them",
    lambda value: SIZE.holds(value) or (isinstance(value, list) and len(value) == 2 and all(map(SIZE.holds, value))),
)
WIDTH, LAYERS, HEADS = whole(1, 65536), whole(1, 256), whole(1, 1024)
RATIO, SHARE = number(1e-3, 64), number(0, 0.999)
BLOCK = {
    "mlp_ratio": RATIO,
    "ls_init_value": optional(number(-100, 100)),
    "act_kwargs": optional(part({"approximate": one_of("none", "tanh")})),
    "norm_kwargs": optional(part({"eps": number(1e-20, 1)})),
    "block_type": optional(one_of("default", "custom")),
    "qk_norm": FLAG,
    "scaled_cosine_attn": FLAG,
    "scale_heads": FLAG,
    "scale_attn_inner": FLAG,
    "scale_attn": FLAG,
    "scale_fc": FLAG,
    "final_ln_after_pool": FLAG,
    "output_tokens": one_of(False),
}
VISION = {
    **BLOCK,
    "layers": LAYERS,
    "width": WIDTH,
    "head_width": WIDTH,
    "patch_size": whole(1, 1024),
    "image_size": IMAGE_SIZE,
    "patch_dropout": SHARE,
    "attentional_pool": FLAG,
    "attn_pooler_queries": whole(1, 65536),
    "attn_pooler_heads": HEADS,
    "no_ln_pre": FLAG,
    "pos_embed_type": one_of("learnable", "sin_cos_2d"),
    "pool_type": one_of("tok", "avg", "none"),
    "timm_model_name": optional(TIMM_NAME),
    "timm_model_pretrained": FLAG,
    "timm_pool": one_of("", "token", "avg", "avgmax", "max", "map"),
    "timm_proj": optional(one_of("", "linear", "mlp", "none")),
    "timm_proj_bias": FLAG,
    "timm_drop": SHARE,
    "timm_drop_path": optional(SHARE),
}
TEXT_TOWER = {
    **BLOCK,
    "context_length": whole(2, 65536),
    "vocab_size": whole(1, 4_000_000),
    "width": WIDTH,
    "heads": HEADS,
    "layers": LAYERS,
    "embed_cls": FLAG,
    "pad_id": whole(0, 4_000_000),
    "eos_id": whole(0, 4_000_000),
    "no_causal_mask": FLAG,
    "pool_type": one_of("first", "last", "argmax", "eos", "none"),
    "proj_bias": FLAG,
    "proj_type": one_of("linear", "none"),
    "tokenizer_mode": optional(TEXT),
    "tokenizer_kwargs": optional(
        part({"clean": one_of("canonicalize", "lower", "whitespace"), "strip_sep_token": FLAG})
    ),
    "hf_tokenizer_name": optional(HUB_NAME),
    "hf_model_name": optional(HUB_NAME),
    "hf_model_pretrained": FLAG,
    "hf_proj_type": optional(one_of("linear", "mlp")),
    "hf_pooler_type": one_of("cls_pooler", "cls_last_hidden_state_pooler", "mean_pooler", "max_pooler"),
}
MODEL = {
    "embed_dim": WIDTH,
    "vision_cfg": OBJECT,
    "text_cfg": OBJECT,
    "quick_gelu": FLAG,
    "custom_text": FLAG,
    "init_logit_scale": number(-20, 20),
    "init_logit_bias": optional(number(-1000, 1000)),
    "nonscalar_logit_scale": FLAG,
    "output_dict": one_of(False),
}
THREE = Rule(
    "three numbers from -100 to 100",
    lambda value: isinstance(value, list) and len(value) == 3 and all(_is_number(v) and abs(v) <= 100 for v in value),
)
SPREADS = Rule(
    "three numbers from 0.000001 to 100",
    lambda value: THREE.holds(value) and all(v >= 1e-6 for v in value),
)
PREPROCESSING = {
    "mean": optional(THREE),
    "std": optional(SPREADS),
    "interpolation": optional(TEXT),
    "resize_mode": optional(TEXT),
    "size": optional(IMAGE_SIZE),
    "mode": optional(one_of("RGB")),
    "fill_color": optional(
        Rule("a number or three of them", lambda value: _is_number(value) or THREE.holds(value) or value == [])
    ),
}
BERT = {
    "vocab_size": whole(1, 4_000_000),
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": whole(1, 262_144),
    "hidden_act": one_of("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"),
    "hidden_dropout_prob": SHARE,
    "attention_probs_dropout_prob": SHARE,
    "max_position_embeddings": whole(2, 65536),
    "type_vocab_size": whole(1, 65536),
    "layer_norm_eps": number(1e-20, 1),
    "pad_token_id": optional(whole(0, 4_000_000)),
}
"""Options of a BERT that are taken from its config.json; all others there are left unread."""
NEEDED_OF_BERT = (
    *("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    "max_position_embeddings",
)
BERT_KIND = {
    "model_type": one_of("bert"),
    "is_decoder": one_of(False),
    "add_cross_attention": one_of(False),
    "position_embedding_type": optional(one_of("absolute")),
}
"""Options that would make it another model."""
TOKEN = Rule(
    "a token",
    lambda value: TEXT.holds(value) or (isinstance(value, dict) and TEXT.holds(value.get("content"))),
)
TOKENIZER = {
    "tokenizer_class": optional(
        one_of(
            *("BertTokenizer", "BertTokenizerFast", "CLIPTokenizer", "CLIPTokenizerFast"),
            *("PreTrainedTokenizerFast", "TokenizersBackend"),
        )
    ),
    "do_lower_case": FLAG,
    "tokenize_chinese_chars": FLAG,
    "strip_accents": optional(FLAG),
    "pad_token": optional(TOKEN),
    "sep_token": optional(TOKEN),
    "unk_token": optional(TOKEN),
    "cls_token": optional(TOKEN),
    "mask_token": optional(TOKEN),
}
"""Options of tokenizer_config.json that are read."""


def own_file(folder: Path, name: str) -> Path | None:
    """A file of the folder, or None where it has none of that name.

    Raises InvalidInput for a link that leads out of the folder; those of a hub's cache lead to its own store.
    """
    path = folder / name
    try:
        if not path.is_file():
            return None
        resolved, root = path.resolve(strict=True), folder.resolve(strict=True)
    except OSError as error:
        raise InvalidInput(f"{path} must be readable", f"it is not ({error.strerror})", FETCH_AGAIN) from error
    store = root.parent.parent / "blobs" if root.parent.name == "snapshots" else root
    if not (resolved.is_relative_to(root) or resolved.is_relative_to(store)):
        raise InvalidInput(
            f"{path} must lie in its own folder", "it is a link to a place outside", "Copy the file itself there."
        )
    return path


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """The JSON object of a file of the folder that asks for no code and names no other place.

    Raises InvalidInput naming the file and what is wrong with it.
    """
    found = read_plain_object(folder, name)
    check_harmless(folder / name, found)
    return found


def read_plain_object(folder: Path, name: str) -> dict[str, Any]:
    """The JSON object of a file of the folder, whatever it says. Only a file of the folder itself is opened: a pipe
    would be waited for, and a device read, for ever. Raises InvalidInput.
    """
    file = own_file(folder, name)
    if file is None:
        raise InvalidInput(f"The folder must hold the file {name}: {folder}", "found none", FETCH_AGAIN)
    try:
        if file.stat().st_size > CONFIG_BYTES:
            raise _bad(file, f"it has {file.stat().st_size} bytes, more than {CONFIG_BYTES}")
        content = file.read_text(encoding="utf-8-sig")
        found = json.loads(content, parse_constant=_no_number)
        _check_depth(found)
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(file, f"it could not be read ({_short(error)})") from error
    if not isinstance(found, dict):
        raise _bad(file, f"found a {type(found).__name__}")
    return found


def _check_depth(value: Any) -> None:
    """Raises ValueError for JSON that is nested deeper than what walks through it can follow."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        level = [
            inner for each in level if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]  # fmt: skip


def check_harmless(file: Path, value: Any) -> None:
    """Raises InvalidInput where a file asks for code to be run or names another place, at any depth."""
    if isinstance(value, dict):
        asked = sorted(RUNS_CODE & value.keys())
        if asked:
            raise InvalidInput(
                f"{file} must hold data only",
                f"'{asked[0]}' asks for code to be run",
                "Code that comes with a model is never run here: choose another one.",
            )
    elif isinstance(value, str) and LEADS_AWAY.match(value):
        raise InvalidInput(
            f"{file} must not name another place", f"found {_shown(value)}", "Choose another one, or fetch it whole."
        )
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_harmless(file, inner)


def check_options(
    file: Path, values: Mapping[str, Any], rules: Mapping[str, Rule], within: str = "", *, closed: bool = True
) -> None:
    """Raises InvalidInput at the first option that breaks its rule, or that has none.

    within: the part of the file they stand in, with a dot at its end. closed: False leaves others alone, where they
    are not read.
    """
    for key, value in values.items():
        if key not in rules:
            if closed:
                raise InvalidInput(
                    f"{file} may hold options that are known here only",
                    f"found {_shown(within + key)}",
                    "Leave it out if it changes nothing, or choose another backbone.",
                )
        elif not rules[key].holds(value):
            raise InvalidInput(
                f"'{within}{key}' in {file} must be {rules[key].expected}", f"found {_shown(value)}", FETCH_AGAIN
            )


def check_needed(file: Path, values: Mapping[str, Any], names: tuple[str, ...], within: str = "") -> None:
    """Raises InvalidInput where one of these options is missing."""
    missing = [name for name in names if name not in values]
    if missing:
        raise InvalidInput(f"{file} must hold '{within}{missing[0]}'", "it is missing", FETCH_AGAIN)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _bad(file: Path, found: str) -> InvalidInput:
    return InvalidInput(f"{file} must hold a JSON object", found, FETCH_AGAIN)


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
