"""What a person orders to be written, as it is kept with the task, and the writer it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.descriptions.writing.address import completions_url
from core.descriptions.writing.budget import Budget, Caps, Prices
from core.descriptions.writing.endpoint import Endpoint, endpoint_of
from core.descriptions.writing.local_model import LocalModel
from core.descriptions.writing.messages import ClassRequest, class_request
from core.descriptions.writing.prompts import Prompt
from core.descriptions.writing.writer import Spent
from core.errors import InvalidInput
from core.settings import Settings

ANSWER_SHARE = 40
"""Tokens that a sentence takes in an answer, for estimates."""


@dataclass(frozen=True)
class Order:
    """Sentences about classes.

    classes: those to write about, all_classes: those of the set. n: sentences for each class. similar: {class: the one
    it is told from}. model: another model of the endpoint than the one of the settings. folder: a model on this
    machine instead. actor: who ordered it.
    """

    prompt: Prompt
    classes: tuple[str, ...]
    all_classes: tuple[str, ...]
    n: int
    actor: str
    modality: str | None = None
    instructions: str = ""
    similar: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    folder: str | None = None
    seed: int = 1

    def requests(self) -> list[ClassRequest]:
        """What is asked about each class. Raises InvalidInput."""
        return [
            class_request(
                self.prompt,
                name,
                self.all_classes,
                n=self.n,
                modality=self.modality,
                similar=self.similar.get(name),
                instructions=self.instructions,
            )
            for name in self.classes
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON form, as kept with the task; of the prompt its name and checksum, its words stand in the requests."""
        return {
            "prompt": {"name": self.prompt.name, "title": self.prompt.title, "sha256": self.prompt.sha256},
            "classes": list(self.classes),
            "n": self.n,
            "actor": self.actor,
            "modality": self.modality,
            "instructions": self.instructions,
            "similar": dict(self.similar),
            "model": self.model,
            "folder": self.folder,
            "seed": self.seed,
        }


def caps_of(settings: Settings, *, local: bool) -> Caps:
    """The caps of a task. local: a model on this machine costs nothing. Raises InvalidOption."""
    if local:
        return Caps(settings.llm_max_requests, settings.llm_max_tokens)
    prices = Prices(settings.llm_price_in, settings.llm_price_out)
    return Caps(settings.llm_max_requests, settings.llm_max_tokens, settings.llm_max_cost, prices)


def open_writer(
    settings: Settings,
    asked: Mapping[str, Any],
    spent: Spent,
    *,
    folders: bool,
    stopped: Callable[[], bool],
    told: Callable[[str], None],
) -> Endpoint | LocalModel:
    """The writer that an order (in its JSON form) asks for, with what is left of its budget. Raises as both do."""
    local = bool(asked.get("folder"))
    budget = Budget(caps_of(settings, local=local), spent)
    if local:
        seed = int(asked.get("seed") or 1)
        return LocalModel(str(asked["folder"]), settings, budget, folders=folders, seed=seed, stopped=stopped)
    return Endpoint(settings, budget, model=asked.get("model"), stopped=stopped, told=told)


def check_writer(settings: Settings, order: Order, *, folders: bool) -> str:
    """The model that would write, looked at without asking it. Raises as `open_writer`, InvalidInput for both kinds."""
    if order.model and order.folder:
        raise InvalidInput("A model of the endpoint or a folder", "found both", "Leave one out.")
    asked = {"folder": order.folder, "model": order.model}
    writer = open_writer(settings, asked, Spent(), folders=folders, stopped=lambda: False, told=lambda _: None)
    writer.close()
    return writer.model


def model_name(settings: Settings, order: Order) -> str | None:
    """The model an order names, whether it is there or not; None where none is configured."""
    if order.folder:
        return order.folder
    return (order.model or settings.llm_model or "").strip() or None


def address_of(settings: Settings, order: Order) -> str | None:
    """Where an order's questions go: the whole address, or the folder; None where no address can be called."""
    if order.folder:
        return order.folder
    try:
        return str(completions_url(settings.llm_base_url)) if settings.llm_base_url else None
    except InvalidInput:
        return None


def is_configured(settings: Settings) -> bool:
    """Whether settings name an endpoint and a model."""
    try:
        endpoint_of(settings)
    except InvalidInput:
        return False
    return True


def estimated(requests: Sequence[ClassRequest], settings: Settings, *, local: bool) -> dict[str, Any]:
    """What a task would take if each class is written at once: {requests, tokens_in, tokens_out, cost}.

    cost: None where no prices are set.
    """
    from core.descriptions.writing.budget import judged_tokens

    tokens_in = sum(judged_tokens([each["content"] for each in request.messages]) for request in requests)
    tokens_out = sum(min(ANSWER_SHARE * request.n, settings.llm_answer_tokens) for request in requests)
    prices = Prices(settings.llm_price_in, settings.llm_price_out)
    priced = not local and bool(prices.tokens_in or prices.tokens_out)
    cost = round(prices.of(tokens_in, tokens_out), 6) if priced else None
    return {"requests": len(requests), "tokens_in": tokens_in, "tokens_out": tokens_out, "cost": cost}
