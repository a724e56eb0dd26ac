"""What the command line costs before it does anything."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer.main

from engramctl.cli import app
from tests.benchmarks.harness import Row, interleave, row


def run(quick: bool) -> list[Row]:
    """`engramctl --help` against `import typer`; `bench --help` against a bare typer app."""
    rounds = 7 if quick else 25
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(bare_app())
        arms = {
            "help": words("-m", "engramctl", "--help"),
            "import typer": words("-c", "import typer"),
            "bench help": words("-m", "engramctl", "bench", "--help"),
            "bare app": words(str(bare), "--help"),
        }
        for arm in arms.values():
            arm()
        seconds = interleave(arms, rounds)
    bound = "starting Python and importing typer"
    return [
        row("engramctl --help", 'python -c "import typer"', seconds["help"],
            seconds["import typer"], target=1 / 1.5, bound=bound),
        row("engramctl bench --help", "the same options in a bare typer app",
            seconds["bench help"], seconds["bare app"], target=1 / 1.2, bound=bound),
    ]  # fmt: skip


def words(*arguments: str) -> Callable[[], object]:
    """Return a call that runs Python with these arguments."""
    return lambda: subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
    )


def bare_app() -> str:
    """Write a typer program with the options of `engramctl bench` and nothing else."""
    group: Any = typer.main.get_command(app)
    command = group.get_command(None, "bench")
    lines = ["import typer", "app = typer.Typer(rich_markup_mode=None, add_completion=False)"]
    lines += ["@app.command()", "def bench("]
    for param in command.params:
        if param.name == "help":
            continue
        kind = "bool" if getattr(param, "is_flag", False) else "str"
        made = "Argument(None" if param.param_type_name == "argument" else "Option(None"
        flags = "" if made.startswith("Arg") else "".join(f", {flag!r}" for flag in param.opts)
        text = getattr(param, "help", "") or ""
        lines.append(f"    {param.name}: {kind} = typer.{made}{flags}, help={text!r}),")
    return "\n".join([*lines, "): pass", "app()"]) + "\n"
