"""One family of errors: what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """What to do about a name that is none: the nearest known one, or `otherwise` where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean '{near[0]}'?" if near else otherwise


class PromptoscopeError(Exception):
    """A mistake a person can mend.

    expected, found, remedy: three short texts, shown as "expected; found. remedy". `code` is a stable word for
    programs and `status` the HTTP status the API answers with.
    """

    code = "error"
    status = 400

    def __init__(self, expected: str, found: str = "", remedy: str = "") -> None:
        self.expected, self.found, self.remedy = expected, found, remedy
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The three parts as one line of text."""
        start = f"{self.expected}; {self.found}" if self.found else self.expected
        start = start if start.endswith((".", "!", "?")) else f"{start}."
        return f"{start} {self.remedy}".strip()

    def as_dict(self) -> dict[str, str]:
        """The one JSON shape of an error."""
        return {
            "code": self.code,
            "message": self.sentence,
            "expected": self.expected,
            "found": self.found,
            "remedy": self.remedy,
        }


class InvalidInput(PromptoscopeError):
    """A value or file that cannot be used as it is."""

    code = "invalid_input"
    status = 422


class InvalidOption(InvalidInput):
    """An option that does not exist or lies outside its bounds."""

    code = "invalid_option"


class UnreadableImage(InvalidInput):
    """A file that is not an image we can decode."""

    code = "unreadable_image"


class UnreadableSource(InvalidInput):
    """A folder, archive or manifest that holds no usable image set."""

    code = "unreadable_source"


class TooFewImages(InvalidInput):
    """Fewer images than the requested number of shots or parts needs."""

    code = "too_few_images"


class Leakage(InvalidInput):
    """The same image or patient stands in the training and the test part."""

    code = "leakage"


class ClassMismatch(InvalidInput):
    """Two lists of classes that must be equal are not."""

    code = "class_mismatch"


class BackboneMismatch(InvalidInput):
    """A model made on one backbone meets another."""

    code = "backbone_mismatch"


class FlatMap(InvalidInput):
    """A map that marks nothing: all its values are zero or equal."""

    code = "flat_map"


class NotFound(PromptoscopeError):
    """Something asked for by name or id does not exist."""

    code = "not_found"
    status = 404


class NotAllowed(PromptoscopeError):
    """The asker may not see or do this."""

    code = "not_allowed"
    status = 403


class Conflict(PromptoscopeError):
    """The request contradicts the present state."""

    code = "conflict"
    status = 409


class Unavailable(PromptoscopeError):
    """A part that is needed (weights, database, another service) is not there now.

    retry_after_s: when asking again may help.
    """

    code = "unavailable"
    status = 503
    retry_after_s = 5


class DatabaseAway(Unavailable):
    """The database does not answer now, or somebody else keeps it locked: waiting mends it."""


class DiskFull(Unavailable):
    """There is no room left to write."""

    code = "disk_full"
    status = 507
