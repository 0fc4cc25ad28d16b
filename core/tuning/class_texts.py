"""Where the class features of a method come from: plain sentences, or sentences with learned words."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from core.descriptions.templates import template_ensemble
from core.tuning.contract import Batch, Method, Task
from core.tuning.losses import knowledge_distance
from core.tuning.text_context import TextContext


class PlainTexts(Method):
    """Base of methods that leave the texts alone: a class's feature is that of the template with its name."""

    needs = frozenset({"template"})

    _classes: Tensor

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        self.register_buffer("_classes", task.template_features(config.template), persistent=False)

    def class_features(self) -> Tensor:
        return self._classes


class LearnedWords(Method):
    """Base of methods that learn the words around the class name; the words serve other class names too.

    context: set by the method. Its options are those of `PromptConfig`.
    """

    needs = frozenset({"template"})
    learns_words = True
    renames_classes = True

    context: TextContext

    @property
    def drops_text(self) -> bool:
        """Whether the text tower's own dropout is active now."""
        return self.training and self.config.text_dropout

    def class_features(self) -> Tensor:
        return self.context.features(dropout=self.drops_text)


class HeldWords(LearnedWords):
    """Base of methods whose learned words look back at a plain sentence: the template, unless another is given.

    Their options have `teacher_template`.
    """

    _teacher: Tensor
    """Unit-norm features (classes, joint_width) of that sentence."""

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        sentence = config.teacher_template or config.template
        self.register_buffer("_teacher", task.template_features(sentence), persistent=False)


class NearPlainWords(HeldWords):
    """Cross-entropy + weight x (1 - mean cosine of the class features with that sentence's): KgCoOp's loss.

    Their options have `knowledge_weight`.
    """

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        texts = self.class_features()
        logits = self.backbone.logit_scale * self.image_features(batch) @ texts.T
        return {
            "cross_entropy": functional.cross_entropy(logits, batch.labels),
            "knowledge": self.config.knowledge_weight * knowledge_distance(texts, self._teacher),
        }


def learned_context(config: Any, task: Task, **more: Any) -> TextContext:
    """Context words by the options that most methods have: context_length and random_start. more: see `TextContext`."""
    return TextContext(
        task.backbone,
        task.classes,
        config.template,
        n=config.context_length,
        random=config.random_start,
        generator=task.generator(),
        **more,
    )


def ensemble_bank(task: Task) -> Tensor:
    """Unit-norm features (sentences, classes, joint_width) of the built-in sentences for this kind of picture."""
    sentences = template_ensemble(task.modality)
    found = task.text_features([sentence.format(name) for sentence in sentences for name in task.classes])
    return found.view(len(sentences), len(task.classes), -1)


def ensemble_mean(task: Task) -> Tensor:
    """Unit-norm mean (classes, joint_width) of the features of these sentences, averaged before they are normalised.

    Longer features count more. Source: PromptSRC, its text teacher.
    """
    sentences = template_ensemble(task.modality)
    found = task.backbone.encode_texts([sentence.format(name) for sentence in sentences for name in task.classes])
    return functional.normalize(found.view(len(sentences), len(task.classes), -1).mean(dim=0), dim=-1)
