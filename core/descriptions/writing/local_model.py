"""A causal language model on this machine as a writer: the folder is judged before it is read, nothing is fetched."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.descriptions.writing.budget import Budget
from core.descriptions.writing.messages import ClassRequest
from core.descriptions.writing.writer import Reply, Spent, Stopped, WriterAway
from core.errors import InvalidInput
from core.language_models.folder import find_language_model
from core.settings import Settings
from core.text import shown


class LocalModel:
    """A model folder, loaded when it is first asked; close it after use to have its memory back.

    name: a folder, or a hub name whose files are in the hub's local cache. folders: whether a folder may be named. The
    first answer about a class is greedy where the temperature is 0; else, and for further ones, words are drawn from a
    seed. Raises NotFound, Unavailable, NotAllowed or InvalidInput; loads no weights.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        budget: Budget,
        *,
        folders: bool = True,
        seed: int = 1,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._folder: Path = find_language_model(name, folders=folders)
        self.model = shown(self._folder.name if self._folder.is_dir() and folders else name, 200)
        self._settings, self._budget, self._seed, self._stopped = settings, budget, seed, stopped
        self._loaded: tuple[Any, Any] | None = None
        self._checksum: str | None = None

    def close(self) -> None:
        """Let the model go."""
        self._loaded = None
        # its parts name each other
        gc.collect()

    @property
    def settings(self) -> dict[str, Any]:
        """How it is asked, for the record. sha256: of names and checksums of the model's files, once it is loaded."""
        return {
            "local": True,
            "sha256": self._checksum,
            "temperature": self._settings.llm_temperature,
            "answer_tokens": self._settings.llm_answer_tokens,
            "seed": self._seed,
        }

    def ask(self, request: ClassRequest, attempt: int, spent: Spent) -> Reply:
        """See `Writer`. attempt: further ones draw other words."""
        import torch
        from transformers import StoppingCriteriaList

        from core.language_models.loading import encode_messages, end_tokens

        def stop(ids: Any, _: Any) -> Any:
            return torch.full((len(ids),), self._stopped(), device=ids.device)

        tokenizer, model = self._load()
        prompt = self._encoded(encode_messages, tokenizer, request).to(model.device)
        room = self._room(model, int(prompt.shape[1]))
        ends = end_tokens(tokenizer, model)
        draws = self._settings.llm_temperature > 0 or attempt > 0
        options = {"temperature": self._settings.llm_temperature or 1.0, "top_k": 0} if draws else {}
        with (
            self._budget.room(int(prompt.shape[1]), room, spent) as taken,
            torch.inference_mode(),
            torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []),
        ):
            torch.manual_seed(self._seed + attempt)
            whole = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=room,
                do_sample=draws,
                num_beams=1,
                pad_token_id=ends[0] if ends else 0,
                stopping_criteria=StoppingCriteriaList([stop]),
                **options,
            )
            answer = whole[0, prompt.shape[1] :]
            taken.tokens_out = len(answer)
        if self._stopped():
            raise Stopped
        ended = "stop" if len(answer) < room or int(answer[-1]) in ends else "length"
        return Reply(tokenizer.decode(answer, skip_special_tokens=True), ended)

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from core.backbones.device import choose_device
            from core.language_models.loading import file_sums, load_language_model

            sums = file_sums(self._folder, self._settings.home)
            self._checksum = hashlib.sha256("\n".join(sums).encode()).hexdigest()
            self._loaded = load_language_model(self._folder, choose_device(self._settings.device))
        return self._loaded

    def _encoded(self, encode: Callable[..., Any], tokenizer: Any, request: ClassRequest) -> Any:
        try:
            return encode(tokenizer, request.messages)
        except Exception as first:  # a chat format is a program of the model's maker, and may refuse a system message
            together = "\n\n".join(each["content"] for each in request.messages)
            try:
                return encode(tokenizer, [{"role": "user", "content": together}])
            except Exception:
                raise InvalidInput(
                    "A chat format that takes a question",
                    f"that of '{self.model}' fails with {type(first).__name__}",
                    "Choose another model.",
                ) from first

    def _room(self, model: Any, asked: int) -> int:
        """How many tokens an answer may have: as set, and as the model's positions allow."""
        most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        room = self._settings.llm_answer_tokens
        if isinstance(most, int) and most > 0:
            room = min(room, most - asked)
        if room < 1:
            raise WriterAway(
                "A language model that can read the whole question",
                f"it has {asked} tokens, and '{self.model}' reads {most}",
                "Choose another model, shorter instructions or fewer classes.",
                stop=True,
            )
        return room
