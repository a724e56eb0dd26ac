"""What may stand where a command line ends."""

import pytest

from engramctl.cli import COMMANDS
from engramctl.completion.offers import offers
from tests.completion.programs import PROGRAM


@pytest.mark.parametrize(
    ("words", "beginning", "found"),
    [
        ("", "", list(COMMANDS)),
        ("", "ro", ["rows"]),
        ("", "--v", ["--version"]),
        ("--show-completion", "", ["bash", "zsh", "fish"]),
        ("bench", "--ti", ["--tier"]),
        ("bench x --tier", "", ["gpu", "host", "ssd", "gpu:", "host:"]),
        ("bench --tier", "gpu:2GiB,s", ["gpu:2GiB,ssd"]),
        ("bench --tier", "disk:2GiB,", []),
        ("bench -t", "s", ["ssd"]),
        ("bench", "--tier=h", ["--tier=host", "--tier=host:"]),
        ("bench --tier ssd", "--ti", ["--tier"]),
        ("bench --trace zipf", "--tr", []),
        ("bench --dry-run", "", []),
        ("bench --out", "", []),
        ("bench", "--nonsense=", []),
        ("bench", "s", []),
        ("bench --", "--ti", []),
        ("build --scheme", "qwen-", ["qwen-ple"]),
        ("rows --scheme", "dic", ["dictionary"]),
        ("export --scheme", "", []),
        ("inspect", "", []),
        ("inspect", "bl", ["blt"]),
        ("inspect -f", "", ["table", "json", "csv", "md"]),
        ("nonsense", "", []),
    ],
)
def test_offers(words: str, beginning: str, found: list[str]) -> None:
    assert list(offers(PROGRAM, words.split(), beginning)) == found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_every_command_is_offered(command: str) -> None:
    options = {word for one in PROGRAM.command(command).params for word in one.opts}
    found = offers(PROGRAM, [command], "--")
    assert set(found) == {one for one in options if one.startswith("--")} | {"--help"}
    assert all(found.values())
