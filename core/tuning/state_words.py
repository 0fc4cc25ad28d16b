"""States of a language model as words of a class prompt, changed by each image on their way.

Source: CILMP (Du, Yu, Wang, 2025); official code usr922/cilmp, commit b6db230 (Apache-2.0).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.errors import InvalidInput
from core.tuning.contract import Task
from core.tuning.hidden_states import text_tower_states


class StatesToWords(nn.Module):
    """The states of a language model as words of one depth: changed at both ends by the image, then projected.

    width: of the states. joint: of image features. words: of the text tower. rank: of the subspace and the projection.
    """

    def __init__(self, width: int, joint: int, words: int, rank: int) -> None:
        super().__init__()
        self.prefix, self.suffix = Intervention(width, joint, rank), Intervention(width, joint, rank)
        # the start of nn.Linear is the published one: Kaiming-uniform with a = sqrt 5
        self.down, self.up = nn.Linear(width, rank, bias=False), nn.Linear(rank, words, bias=False)

    def forward(self, states: Tensor, images: Tensor, rows: int, dropout: float) -> Tensor:
        """Words (batch, classes, layers, words) of states (classes, layers, width) and images (batch, joint).

        The first `rows` layers go through the prefix, the last through the suffix, those between stay as they are.
        """
        last = states.shape[1] - rows
        first, late = self.prefix(states[:, :rows], images, dropout), self.suffix(states[:, last:], images, dropout)
        between = self._project(states[:, rows:last]).expand(len(images), -1, -1, -1)
        return torch.cat([self._project(first), between, self._project(late)], dim=2)

    def _project(self, states: Tensor) -> Tensor:
        return self.up(self.down(states))


class Intervention(nn.Module):
    """A change of states inside a small subspace, conditioned on the image.

    rho = W2 (W1 v + b1) + b2, r = rho * h, delta = Ws [h; r] + bs - h R, h' = dropout(h + R delta), where v is the
    unit-norm image feature and h a state. Dropout hits the whole state, not the change alone. Source: CILMP.
    """

    def __init__(self, width: int, joint: int, rank: int) -> None:
        super().__init__()
        self.subspace = nn.Parameter(nn.init.orthogonal_(torch.empty(width, rank)))
        self.source = nn.Linear(2 * width, rank)
        self.image_down, self.image_up = nn.Linear(joint, rank), nn.Linear(rank, width)

    def forward(self, states: Tensor, images: Tensor, dropout: float) -> Tensor:
        """Changed states (batch, classes, rows, width) of states (classes, rows, width), images (batch, joint)."""
        rho = self.image_up(self.image_down(images))[:, None, None, :]
        h = states.expand(len(images), -1, -1, -1)
        delta = self.source(torch.cat([h, rho * h], dim=-1)) - h @ self.subspace
        return functional.dropout(h + delta @ self.subspace.T, dropout, training=dropout > 0)


def class_states(task: Task) -> Tensor:
    """States (classes, layers, width) in label order: those of the task, or of the backbone's own text layers."""
    if not task.hidden_states:
        return text_tower_states(task.backbone, [task.descriptions.sentences[name] for name in task.classes])
    found = [task.hidden_states.get(name) for name in task.classes]
    shapes = {tuple(states.shape) for states in found if states is not None}
    if any(states is None for states in found) or len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise InvalidInput(
            "Each class needs hidden states (layers, width) of one language model",
            f"{sum(states is not None for states in found)} of {len(found)} classes have some, in shapes {shapes}",
            "Read them again for all classes.",
        )
    return torch.stack([states.float() for states in found if states is not None])
