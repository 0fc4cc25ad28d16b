"""The one training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from core.errors import InvalidInput
from core.tuning.checkpoint import Checkpoint
from core.tuning.contract import LoopConfig, Method
from core.tuning.progress import Progress, Report, unheard
from core.tuning.training_data import TrainingData, epoch_generator

OnStep = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class FitReport:
    """What the loop did: epochs, update steps in all, and seconds of this call."""

    epochs: int
    steps: int
    seconds: float


def fit(
    method: Method,
    data: TrainingData,
    *,
    seed: int,
    report: Report = unheard,
    checkpoint: Checkpoint | None = None,
    on_step: OnStep | None = None,
) -> FitReport:
    """Train a method on data and leave it ready for use.

    With a checkpoint, goes on after the last finished epoch; on a CPU the result is the same to the bit as without
    the interruption. on_step: called with (step, loss terms) before each update. Raises InvalidInput when the loss
    is no longer finite.
    """
    started = time.monotonic()
    method.prepare(data)
    method.train()
    if not method.trains_by_steps:
        method.fit_directly(data)
        method.eval()
        return FitReport(0, 0, time.monotonic() - started)
    config: LoopConfig = method.config
    optimizer = make_optimizer(method, config)
    first, reports = checkpoint.read(method, optimizer) if checkpoint else (0, [])
    for earlier in reports:
        report(earlier)
    pace = _Pace(config.epochs, first)
    for epoch in range(first, config.epochs):
        method.before_epoch(epoch)
        terms = _epoch(method, data, optimizer, epoch, seed, on_step)
        method.after_epoch(epoch)
        rate = learning_rate(config, epoch, 0, data.steps_per_epoch(config))
        reports.append(pace.progress(epoch, terms, rate))
        if checkpoint:
            checkpoint.write(method, optimizer, epoch, reports)
        report(reports[-1])
    method.after_training()
    method.eval()
    steps = config.epochs * data.steps_per_epoch(config)
    return FitReport(config.epochs, steps, time.monotonic() - started)


def make_optimizer(method: Method, config: LoopConfig) -> Optimizer:
    """The optimiser of a method's parameter groups; each group keeps its "multiplier" of the learning rate."""
    groups = [{"multiplier": 1.0, **group} for group in method.parameter_groups()]
    decay, rate = config.weight_decay, config.learning_rate
    if config.optimizer == "sgd":
        return SGD(groups, lr=rate, momentum=config.momentum, weight_decay=decay)
    kind = Adam if config.optimizer == "adam" else AdamW
    return kind(groups, lr=rate, eps=config.epsilon, weight_decay=decay)


def learning_rate(config: LoopConfig, epoch: int, step: int, steps: int) -> float:
    """The rate of one update before group multipliers.

    "cosine": constant warm-up, then by epoch r/2 (1 + cos(pi (e - W) / E)), the count restarting after W warm-up
    epochs while the period stays E (the schedule of the Dassl toolbox). "cosine_by_step": from r to 0 over all steps.
    "cosine_swing": the first of these stepped by update while its period still counts epochs, so that the rate falls
    and rises again, as a published adapter trainer runs.
    """
    rate, epochs = config.learning_rate, config.epochs
    if config.schedule == "constant":
        return rate
    done = epoch * steps + step
    if config.schedule == "cosine_by_step":
        return rate / 2 * (1 + math.cos(math.pi * done / (epochs * steps)))
    if config.schedule == "cosine_swing":
        return config.warmup_rate if done == 0 else rate / 2 * (1 + math.cos(math.pi * (done - 1) / epochs))
    if epoch < config.warmup_epochs:
        return config.warmup_rate
    return rate / 2 * (1 + math.cos(math.pi * (epoch - config.warmup_epochs) / epochs))


def _epoch(
    method: Method, data: TrainingData, optimizer: Optimizer, epoch: int, seed: int, on_step: OnStep | None
) -> dict[str, float]:
    """One pass; returns the mean of each loss term over its steps."""
    config: LoopConfig = method.config
    steps = data.steps_per_epoch(config)
    sums: dict[str, Tensor] = {}
    # dropout draws from the global generator: seeded per epoch, and put back afterwards
    with torch.random.fork_rng():
        torch.manual_seed(epoch_generator(seed, epoch, "dropout").initial_seed())
        for step, batch in enumerate(data.batches(epoch, config)):
            _set_rate(optimizer, config, epoch, step, steps)
            optimizer.zero_grad(set_to_none=True)
            with method.step_passes():
                terms = method.loss_terms(batch)
            if on_step:
                on_step(epoch * steps + step, {name: float(value.detach()) for name, value in terms.items()})
            method.backward(terms)
            optimizer.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value.detach()
    means = {name: float(value) / steps for name, value in sums.items()}
    if not all(math.isfinite(value) for value in means.values()):
        raise InvalidInput(
            "The loss stays a finite number",
            f"in epoch {epoch + 1} it is {means}",
            "Choose a smaller learning rate or loss weight.",
        )
    return means


def _set_rate(optimizer: Optimizer, config: LoopConfig, epoch: int, step: int, steps: int) -> None:
    rate = learning_rate(config, epoch, step, steps)
    warming = config.schedule == "cosine" and epoch < config.warmup_epochs
    for group in optimizer.param_groups:
        # the published warm-up sets the same constant in all groups, whatever their multipliers
        group["lr"] = rate if warming else rate * group["multiplier"]


class _Pace:
    """Seconds per epoch and left, from the epochs this call has finished."""

    def __init__(self, epochs: int, first: int) -> None:
        self._epochs, self._first, self._start = epochs, first, time.monotonic()

    def progress(self, epoch: int, terms: dict[str, float], rate: float) -> Progress:
        each = (time.monotonic() - self._start) / (epoch + 1 - self._first)
        return Progress(
            "training",
            done=epoch + 1,
            total=self._epochs,
            epoch=epoch + 1,
            epochs=self._epochs,
            loss=sum(terms.values()),
            terms=terms,
            learning_rate=rate,
            seconds_per_epoch=each,
            seconds_left=each * (self._epochs - epoch - 1),
        )
