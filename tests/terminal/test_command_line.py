"""What is written says by which words it was made: those of the command that wrote it."""

from typing import Any

import pytest

from engramctl.cli import LazyGroup
from engramctl.terminal.command_line import typed, typed_words
from tests.conftest import RunCli


def test_outside_of_a_command_there_are_none() -> None:
    assert typed_words() is None


def test_a_command_inside_a_command_has_its_own() -> None:
    with typed(["engramctl", "demo"]):
        with typed(["engramctl", "bench"]):
            assert typed_words() == ["engramctl", "bench"]
        assert typed_words() == ["engramctl", "demo"]


def test_a_command_line_is_noted_as_typed_and_forgotten_at_its_end(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    honest = LazyGroup.invoke

    def watched(self: LazyGroup, ctx: Any) -> Any:
        seen.append(typed_words())
        return honest(self, ctx)

    monkeypatch.setattr(LazyGroup, "invoke", watched)
    run_cli("env", "--json", "-q")
    run_cli("inspect", "no such file", "-f", "md")
    assert seen == [
        ["engramctl", "env", "--json", "-q"],
        ["engramctl", "inspect", "no such file", "-f", "md"],
    ]
    assert typed_words() is None
