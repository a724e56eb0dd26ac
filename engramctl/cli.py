"""The Typer app, and the one place where an error becomes text and an exit code.

Exit codes: 0 done; 1 the work failed; 2 the command line or config was wrong; 3 a check said no;
4 every tier asked for by name is missing here; 70 a bug; 130 SIGINT; 143 SIGTERM.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import typer

import engramctl
from engramctl.commands.env import env
from engramctl.errors import EngramError

app = typer.Typer(
    name="engramctl",
    help="Mine, build, lay out and measure hashed n-gram memories.",
    epilog="Start with:  engramctl demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (env,):
    app.command()(command)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"engramctl {engramctl.__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Mine, build, lay out and measure hashed n-gram memories."""


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors become text on stderr.

    Args:
        arguments: the words after `engramctl` (default: those of this process).
    """
    try:
        app(arguments, prog_name="engramctl")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except EngramError as error:
        if os.environ.get("ENGRAMCTL_DEBUG") == "1":
            raise
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except Exception:
        import traceback

        traceback.print_exc()
        print("Error: this is a bug in engramctl; please report the lines above", file=sys.stderr)
        return 70
    return 0


def main() -> NoReturn:
    """Run this process's command line and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run())
