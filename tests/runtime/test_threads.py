"""What is renewed in a forked child: everything, in the order in which it was made."""

import sys

import pytest

from engramctl.runtime.threads import renew_in_children
from tests.helpers.forked import in_child


class Noted:
    def __init__(self, name: str, told: list[str], error: BaseException | None = None) -> None:
        self.name, self.told, self.error = name, told, error
        renew_in_children(self)

    def renew(self) -> None:
        self.told.append(self.name)
        if self.error is not None:
            raise self.error


def test_whole_things_are_renewed_after_their_parts() -> None:
    told: list[str] = []
    held = [Noted(f"{k}", told) for k in range(50)]
    assert in_child(lambda: told == [one.name for one in held]) == 0
    assert told == []


def test_what_cannot_be_renewed_keeps_nothing_else_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    errors = [MemoryError("first"), None, SystemExit("second"), OSError("third"), None]
    held = [Noted(f"{k}", told, error) for k, error in enumerate(errors)]
    printed: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: printed.append(repr(one.exc_value)))

    def job() -> bool:
        return told == [one.name for one in held] and printed == ["MemoryError('first')"]

    assert in_child(job) == 0


def test_what_nobody_has_any_more_is_not_renewed() -> None:
    told: list[str] = []
    dropped = Noted("dropped", told)
    del dropped
    assert in_child(lambda: told == []) == 0
