"""The messages that are sent for a class: made of a prompt, class names, the kind of image and a person's wishes.

Nothing else goes in: no image, no name of a file, no sentence that exists already.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.descriptions.writing.prompts import MOST_SENTENCES, PLACES, Prompt
from core.errors import InvalidInput
from core.text import fit_name, fit_text

MOST_CLASSES = 2000
LONGEST_INSTRUCTIONS = 4000
UNKNOWN_KIND = "medical image"
PLACE = re.compile(rf"\{{({'|'.join(PLACES)})\}}")


@dataclass(frozen=True)
class ClassRequest:
    """What is asked about one class.

    messages: [{role, content}], sent as they stand. similar: the class it is told from, where the prompt names one.
    """

    class_name: str
    similar: str | None
    n: int
    messages: tuple[dict[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON form, as kept with the part of a task."""
        return {"class": self.class_name, "similar": self.similar, "n": self.n, "messages": list(self.messages)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> ClassRequest:
        """The same read back from its JSON form."""
        messages = tuple({"role": each["role"], "content": each["content"]} for each in found["messages"])
        return cls(found["class"], found.get("similar"), int(found["n"]), messages)


def class_request(
    prompt: Prompt,
    class_name: str,
    classes: Sequence[str],
    *,
    n: int,
    modality: str | None = None,
    similar: str | None = None,
    instructions: str = "",
) -> ClassRequest:
    """The request about a class. Raises InvalidInput where a value cannot be used or the prompt needs a similar class.

    Places are filled once: braces inside class names and wishes stay what they are.
    """
    if not 1 <= n <= MOST_SENTENCES:
        raise InvalidInput(f"1 to {MOST_SENTENCES} sentences for each class", f"found {n}", "Choose a number between.")
    if prompt.needs_similar and not similar:
        raise InvalidInput(
            f"The prompt '{prompt.name}' speaks of the most similar class",
            f"none is known for '{class_name}'",
            "An image set needs two classes for it; or choose another prompt.",
        )
    wishes = checked_instructions(instructions)
    values = {
        "class": class_name,
        "classes": ", ".join(classes),
        "modality": (modality or "").strip() or UNKNOWN_KIND,
        "similar": similar or "",
        "instructions": wishes,
        "n": str(n),
    }
    # the example of an answer is JSON: a quotation mark in a class name must not end a string there
    in_json = {name: json.dumps(value, ensure_ascii=False)[1:-1] for name, value in values.items()}
    question = f"{_filled(prompt.text, values)}\n\n{_filled(prompt.answer, in_json)}"
    messages = (
        {"role": "system", "content": _filled(prompt.system, values)},
        {"role": "user", "content": question},
    )
    return ClassRequest(class_name, similar if prompt.needs_similar else None, n, messages)


def checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Class names fit to be asked about, each once. Raises InvalidInput."""
    found = tuple(dict.fromkeys(fit_name(name, "A class name") for name in classes))
    if not 1 <= len(found) <= MOST_CLASSES:
        raise InvalidInput(f"1 to {MOST_CLASSES} classes", f"found {len(found)}", "Choose some of them.")
    return found


def checked_instructions(text: str) -> str:
    """A person's wishes, fit to be sent. Raises InvalidInput."""
    return fit_text(text, "Instructions", longest=LONGEST_INSTRUCTIONS, may_be_empty=True, lines=True)


def _filled(text: str, values: dict[str, str]) -> str:
    lines = text.split("\n")
    if not values["instructions"]:
        lines = [line for line in lines if "{instructions}" not in line]
    return PLACE.sub(lambda found: values[found.group(1)], "\n".join(lines)).strip()
