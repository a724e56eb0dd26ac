"""The scripts are sound, and the answers are what they read, in a process as a shell starts it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engramctl.completion.shells import SCRIPTS, answer
from engramctl.errors import ConfigError
from tests.completion.programs import PROGRAM
from tests.conftest import ROOT, RunCli

TIERS = ["gpu", "host", "ssd", "gpu:", "host:"]


def asked(shell: str, line: str, number: int | None = None) -> list[str]:
    environment = {"COMP_WORDS": line}
    if number is not None:
        environment["COMP_CWORD"] = str(number)
    return answer(f"complete_{shell}", environment, PROGRAM).splitlines()


@pytest.mark.parametrize(
    ("line", "number", "found"),
    [
        ("engramctl ro", 1, ["rows"]),
        ("engramctl bench --tier ", 3, TIERS),
        ("engramctl\nbench\n--tier\n=\nss", 4, ["ssd"]),
        ("engramctl\nbench\n--tier\n=", 3, TIERS),
        ("engramctl\nbench\nmy shards\n--tier\n", 4, TIERS),
        ("engramctl\nbench\n--tier\nhost\n:", 4, ["1GiB,ssd", "4GiB,ssd", "16GiB,ssd"]),
        ("engramctl\nbench\n--tier\nhost\n:\n3GiB", 5, ["3GiB,ssd"]),
        ("engramctl\nbench\n--tier\n=\nhost\n:\n3GiB,", 6, ["3GiB,ssd"]),
        ("engramctl\nbench\n--tier\ngpu\n:\n2GiB,host\n:\n7G", 7, ["7G,ssd"]),
        ("engramctl\nbench\n--tier\ngpu\n:\n2GiB,h", 5, ["2GiB,host", "2GiB,host:"]),
        ("engramctl\nbench\n--tier\nssd\n:", 4, []),
        ("engramctl bench --tier ssd --ca", 3, ["ssd"]),
        ("engramctl bench 'my sh", 2, []),
        ("engramctl mine", 3, []),
    ],
)
def test_bash_reads_words(line: str, number: int, found: list[str]) -> None:
    assert asked("bash", line, number) == found


def test_zsh_and_fish_read_what_a_word_means_as_well() -> None:
    meaning = "Turn token ids into row ids, one line a sequence"
    assert asked("zsh", "engramctl\nbench\n--tier\nhost:3", 3) == [r"host\:3,ssd"]
    assert asked("zsh", "engramctl\nro", 1) == [f"rows:{meaning}"]
    assert asked("fish", "engramctl ro") == [f"rows\t{meaning}"]
    assert asked("fish", "engramctl bench --case ") == [
        "gather\t", "lookup\t", "step\t", "ranks\t"
    ]  # fmt: skip
    assert asked("zsh", "engramctl\nbench\n--case\n", 3) == [
        "gather", "lookup", "step", "ranks"
    ]  # fmt: skip


@pytest.mark.parametrize("instruction", ["1", "complete_", "source_bash", "complete_ksh"])
def test_another_instruction_is_refused(instruction: str) -> None:
    with pytest.raises(ConfigError, match="unknown completion"):
        answer(instruction, {}, PROGRAM)


def test_a_shell_gets_its_script_and_no_other_does(run_cli: RunCli) -> None:
    assert "complete -o default -F" in run_cli("--show-completion", "bash").stdout
    for words in ((), ("bash", "zsh"), ("ksh",)):
        refused = run_cli("--show-completion", *words)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "bash, zsh, fish" in refused.stderr
    assert "engramctl --show-completion bash" in run_cli("--help").stdout


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_scripts_are_sound(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, "-n"], input=SCRIPTS[shell], text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def program(folder: Path) -> dict[str, str]:
    """An environment whose `engramctl` is this checkout's."""
    file = folder / "engramctl"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -m engramctl "$@"\n')
    file.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def test_a_process_answers_bash_and_loads_nothing_heavy(tmp_path: Path) -> None:
    variables = {"_ENGRAMCTL_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    words = {"COMP_WORDS": "engramctl build --scheme qwen"}
    code = (
        "import sys; sys.argv[1:] = []\nfrom engramctl.cli import run\nassert run() == 0\n"
        "print([one for one in ('numpy', 'torch', 'pydantic', 'rich') if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**program(tmp_path), **variables, **words},
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["qwen-ple", "qwen3.8-flash-next", "[]"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_fish_completes_with_the_script(tmp_path: Path) -> None:
    code = (
        "engramctl --show-completion fish | source\n"
        'complete -C "engramctl bench --tier "; complete -C "engramctl verify engramct"'
    )
    done = subprocess.run(
        ["fish", "-c", code], env=program(tmp_path), text=True, capture_output=True,
        check=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.split() == [*TIERS, "engramctl"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    code = (
        'eval "$(engramctl --show-completion bash)"\n'
        "COMP_WORDS=(engramctl bench --tier '') COMP_CWORD=3\n"
        '_engramctl_completion engramctl\nprintf "%s," "${COMPREPLY[@]}"\ncomplete -p engramctl'
    )
    done = subprocess.run(
        ["bash", "-c", code], env=program(tmp_path), text=True, capture_output=True, check=True
    )
    assert done.stdout == (
        "gpu,host,ssd,gpu:,host:,complete -o default -F _engramctl_completion engramctl\n"
    )
