"""The one training loop: of one method, or of several of one recipe in step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from core.backbones.text_company import TextCompany
from core.errors import InvalidInput
from core.tuning.checkpoint import Checkpoint
from core.tuning.contract import LoopConfig, Method, MethodConfig
from core.tuning.progress import Progress, Report, unheard
from core.tuning.training_data import Batch, TrainingData, epoch_generator

OnStep = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class FitReport:
    """What the loop did: epochs, update steps in all, and seconds of this call: each one's share of `together`."""

    epochs: int
    steps: int
    seconds: float
    together: int = 1


@dataclass(frozen=True)
class Training:
    """One method on its data. on_step: called with (step, loss terms) before each update."""

    method: Method
    data: TrainingData
    seed: int
    report: Report = unheard
    checkpoint: Checkpoint | None = None
    on_step: OnStep | None = None


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
    the interruption. Raises InvalidInput when the loss is no longer finite.
    """
    return fit_together([Training(method, data, seed, report, checkpoint, on_step)])[0]


def fit_together(trainings: Sequence[Training]) -> list[FitReport]:
    """Train several methods of one recipe in step, each as `fit` would alone up to rounding, and report on each.

    Their texts pass the text tower together. Several must be `can_share_steps` and have equally many images. Seconds
    are each one's share.
    """
    started = time.monotonic()
    for each in trainings:
        each.method.prepare(each.data)
        each.method.train()
    if not trainings[0].method.trains_by_steps:
        return [_fit_directly(each) for each in trainings]
    config: LoopConfig = trainings[0].method.config
    work = [_Work(each, make_optimizer(each.method, config)) for each in trainings]
    with TextCompany(len(work)) as company:
        for epoch in range(min(each.first for each in work), config.epochs):
            _epoch([each for each in work if each.first <= epoch], epoch, company)
    for each in trainings:
        each.method.after_training()
        each.method.eval()
    steps = config.epochs * trainings[0].data.steps_per_epoch(config)
    return [FitReport(config.epochs, steps, (time.monotonic() - started) / len(work), len(work)) for _ in work]


def can_share_steps(method: Method) -> bool:
    """Whether several of this recipe may be trained in step.

    Not where gradients are changed on their way, where a step trains the image tower, or where dropout is active, which
    draws from one stream of random numbers.
    """
    return shares_steps(type(method), method.config)


def shares_steps(kind: type[Method], config: MethodConfig) -> bool:
    """`can_share_steps` of a method with these options."""
    drops = any(bool(value) for name, value in config.as_dict().items() if name.endswith("dropout"))
    plain = kind.backward is Method.backward
    return kind.trains_by_steps and plain and not drops and kind.image_path(config) != "trained"


def _fit_directly(training: Training) -> FitReport:
    started = time.monotonic()
    training.method.fit_directly(training.data)
    training.method.eval()
    return FitReport(0, 0, time.monotonic() - started)


class _Work:
    """A training under way: its optimiser, its pace, and from which epoch it goes on."""

    def __init__(self, training: Training, optimizer: Optimizer) -> None:
        self.training, self.optimizer, self.method = training, optimizer, training.method
        checkpoint = training.checkpoint
        self.first, self.reports = checkpoint.read(self.method, optimizer) if checkpoint else (0, [])
        for earlier in self.reports:
            training.report(earlier)
        self.pace = _Pace(training.method.config.epochs, self.first)
        self.sums: dict[str, Tensor] = {}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Count the loss terms of a step."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, torch.zeros((), device=value.device)) + value.detach()

    def _rate(self, epoch: int, steps: int) -> float:
        first, length = self.method.stage(epoch)
        return learning_rate(replace(self.method.config, epochs=length), epoch - first, 0, steps)

    def finish(self, epoch: int, steps: int) -> None:
        """Check the epoch's loss, keep the state, report. Raises InvalidInput for a loss that is not finite."""
        means = {name: float(value) / steps for name, value in self.sums.items()}
        self.sums = {}
        if not all(math.isfinite(value) for value in means.values()):
            raise InvalidInput(
                "The loss stays a finite number",
                f"in epoch {epoch + 1} it is {means}",
                "Choose a smaller learning rate or loss weight.",
            )
        self.method.after_epoch(epoch)
        self.reports.append(self.pace.progress(epoch, means, self._rate(epoch, steps)))
        if self.training.checkpoint:
            self.training.checkpoint.write(self.method, self.optimizer, epoch, self.reports)
        self.training.report(self.reports[-1])


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
    "tenths": r, a tenth of it from half of the epochs on, a hundredth from three quarters on.
    "cosine_swing": the first of these stepped by update while its period still counts epochs, so that the rate falls
    and rises again, as a published adapter trainer runs.
    """
    rate, epochs = config.learning_rate, config.epochs
    if config.schedule == "constant":
        return rate
    if config.schedule == "tenths":
        return rate * 0.1 ** ((epoch >= epochs / 2) + (epoch >= epochs * 3 / 4))
    done, low = epoch * steps + step, config.final_rate
    if config.schedule == "cosine_by_step":
        return low + (rate - low) / 2 * (1 + math.cos(math.pi * done / (epochs * steps)))
    if config.schedule == "cosine_swing":
        if config.warmup_epochs and done == 0:
            return config.warmup_rate
        done -= min(1, config.warmup_epochs)
        return low + (rate - low) / 2 * (1 + math.cos(math.pi * done / epochs))
    if epoch < config.warmup_epochs:
        return config.warmup_rate
    return rate / 2 * (1 + math.cos(math.pi * (epoch - config.warmup_epochs) / epochs))


def _epoch(work: Sequence[_Work], epoch: int, company: TextCompany) -> None:
    """One pass over the images of each training, step by step for all."""
    config: LoopConfig = work[0].method.config
    steps = work[0].training.data.steps_per_epoch(config)
    first, length = work[0].method.stage(epoch)
    paced = replace(config, epochs=length)
    for each in work:
        if epoch == first:
            each.optimizer.state.clear()
        each.method.before_epoch(epoch)
    # dropout draws from the global generator: seeded per epoch, and put back afterwards
    with torch.random.fork_rng():
        torch.manual_seed(epoch_generator(work[0].training.seed, epoch, "dropout").initial_seed())
        batches = zip(*(each.training.data.batches(epoch, config) for each in work), strict=True)
        for step, of_each in enumerate(batches):
            for each in work:
                _set_rate(each.optimizer, paced, epoch - first, step, steps)
                each.optimizer.zero_grad(set_to_none=True)
            found = _terms(work, of_each, company)
            for each, terms in zip(work, found, strict=True):
                if each.training.on_step:
                    shown = {name: float(value.detach()) for name, value in terms.items()}
                    each.training.on_step(epoch * steps + step, shown)
            if len(work) == 1:
                work[0].method.backward(found[0])
            else:
                # one way back for all: parameters of one training are in no other's loss
                torch.stack([value for terms in found for value in terms.values()]).sum().backward()
            for each, terms in zip(work, found, strict=True):
                each.optimizer.step()
                each.add(terms)
    for each in work:
        each.finish(epoch, steps)


def _terms(work: Sequence[_Work], batches: Sequence[Batch], company: TextCompany) -> list[dict[str, Tensor]]:
    """The loss terms of each training in one step."""
    with work[0].method.step_passes():
        if len(work) == 1:
            return [work[0].method.loss_terms(batches[0])]
        jobs = [partial(each.method.loss_terms, batch) for each, batch in zip(work, batches, strict=True)]
        return company.run(jobs)


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
