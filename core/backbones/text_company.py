"""Text passes of several trainings as one.

A prompt method sends a handful of short texts through the text tower in each step, and the tower's matrices are read
from memory for every step anew. Trainings that differ in their seed only ask for passes of one shape at one
moment; side by side these cost little more than one alone and give the same up to rounding.
"""

from __future__ import annotations

import contextvars
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
TextPass = Callable[[Tensor, Tensor], Tensor]
"""Word embeddings (texts, length, width) and mask (texts, length) to features (texts, joint_width)."""


@dataclass
class _Request:
    """A pass that a member waits for. kind: what has to be equal for passes to be made together."""

    run: TextPass
    kind: tuple[Any, ...]
    embeds: Tensor
    mask: Tensor
    found: Future[Tensor] = field(default_factory=Future)


class TextCompany:
    """Members that run side by side and make their text passes together; `with TextCompany(members) as company`.

    Each member runs in a thread of its own, but all of them only ever work while the others wait: passes are made by
    the thread that called `run`, so that there is one team of processor threads, and gradients flow through it.
    """

    def __init__(self, members: int) -> None:
        self._pool = ThreadPoolExecutor(members, thread_name_prefix="member")
        self._changed = Condition()
        self._waiting: list[_Request] = []
        self._active = 0

    def __enter__(self) -> TextCompany:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """What the jobs give, in order; raises what the first failing one raised, after all have ended."""
        self._active = len(jobs)
        with _in(self):
            # each member sees what is set here, such as the fast precision
            futures = [self._pool.submit(contextvars.copy_context().run, self._member, job) for job in jobs]
        while requests := self._next():
            self._serve(requests)
        return [future.result() for future in futures]

    def encode(self, run: TextPass, kind: tuple[Any, ...], embeds: Tensor, mask: Tensor) -> Tensor:
        """A member's pass, made when all others that still run wait as well. kind: see `_Request`."""
        request = _Request(run, (*kind, torch.is_grad_enabled(), embeds.shape[1:], embeds.dtype), embeds, mask)
        with self._changed:
            self._waiting.append(request)
            self._changed.notify_all()
        return request.found.result()

    def _member(self, job: Callable[[], T]) -> T:
        try:
            return job()
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _next(self) -> list[_Request]:
        """The passes that all running members wait for; none once every member has ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) == self._active)
            requests, self._waiting = self._waiting, []
            return requests

    def _serve(self, requests: Sequence[_Request]) -> None:
        alike: dict[tuple[Any, ...], list[_Request]] = defaultdict(list)
        for request in requests:
            alike[request.kind].append(request)
        for together in alike.values():
            try:
                embeds, mask = (torch.cat([getattr(r, name) for r in together]) for name in ("embeds", "mask"))
                with torch.set_grad_enabled(together[0].kind[-3]):
                    found = together[0].run(embeds, mask).split([len(r.embeds) for r in together])
            except BaseException as error:  # the members raise it, so that none waits for ever
                for request in together:
                    request.found.set_exception(error)
            else:
                for request, features in zip(together, found, strict=True):
                    request.found.set_result(features)


_company: contextvars.ContextVar[TextCompany | None] = contextvars.ContextVar("text_company", default=None)


def text_company() -> TextCompany | None:
    """The company whose member asks; None outside of one."""
    return _company.get()


@contextmanager
def _in(company: TextCompany) -> Iterator[None]:
    token = _company.set(company)
    try:
        yield
    finally:
        _company.reset(token)
