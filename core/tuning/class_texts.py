"""Where the class features of a method come from: plain sentences, or sentences with learned words."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from core.tuning.contract import Method, Task
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
    renames_classes = True

    context: TextContext

    @property
    def drops_text(self) -> bool:
        """Whether the text tower's own dropout is active now."""
        return self.training and self.config.text_dropout

    def class_features(self) -> Tensor:
        return self.context.features(dropout=self.drops_text)
