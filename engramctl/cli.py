"""The Typer app, and where an error becomes text and an exit code.

Exit codes: 0 done; 1 the work failed; 2 the command line or config was wrong; 3 a check said no;
4 every tier asked for by name is missing here; 70 a bug; 130 SIGINT; 143 SIGTERM.
"""

import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

import engramctl
from engramctl.errors import EngramError, printable
from engramctl.terminal.command_line import typed
from engramctl.terminal.streams import keep_streams, settle_streams, tell

if TYPE_CHECKING:
    from engramctl.storage.files.system_errors import SystemRefusal

# Each is the function of the same name in engramctl.commands.<name>, and the first line of its help
# (a test compares them), so that `engramctl --help` imports none.
COMMANDS = {
    "demo": "Run the whole pipeline once, on Python's own source.",
    "mine": "Count the n-grams of a corpus exactly.",
    "rows": "Turn token ids into row ids, one line a sequence.",
    "build": "Make tables for a scheme: seeded, composed or imported rows.",
    "layout": "Lay tables out for a tier, bit for bit the same rows.",
    "bench": "Measure gated-lookup latency, tier by tier.",
    "inspect": "Say what a folder, a scheme or a result is.",
    "verify": "Check a folder: manifest, sizes, headers and every checksum.",
    "export": "Write tables back as engines load them.",
    "env": "Show what this machine has: devices, disk, libraries.",
}
CommandLineError: Any = typer.BadParameter.__mro__[2]  # of click's own, which typer does not name
_PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
}


class LazyGroup(TyperGroup):
    """Commands that are imported when they are named.

    Its own absent `--help` is False, not None: typer would load its whole type machinery to turn
    that None into a bool, and more than double the cost of `engramctl COMMAND --help`.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Note the words as they were typed, for the command and what it writes."""
        words = ("engramctl", *args)
        context = super().make_context(info_name, args, parent, **extra)
        context.with_resource(typed(words))
        return context

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the pipeline."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command; None when there is no such name."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            module = importlib.import_module(f"engramctl.commands.{cmd_name}")
            single = typer.Typer(**_PLAIN)
            single.command(cmd_name)(getattr(module, cmd_name))
            self.commands[cmd_name] = get_command(single)
        return self.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option with a default that needs no conversion."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


app = typer.Typer(
    name="engramctl",
    cls=LazyGroup,
    help="Mine, build, lay out and measure hashed n-gram memories.",
    epilog="Start with:  engramctl demo        Which version:  engramctl --version",
    no_args_is_help=True,
    **_PLAIN,
)


@app.callback()
def _root() -> None:
    """Mine, build, lay out and measure hashed n-gram memories."""


def terminate(signum: int, frame: FrameType | None) -> NoReturn:
    """End as a signal asks: the exit code says which."""
    raise SystemExit(128 + signum)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors become text on stderr.

    Args:
        arguments: the words after `engramctl` (default: those of this process).
    """
    try:
        code = run_words(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    except CommandLineError as error:
        text = io.StringIO()
        error.show(text)
        tell("\n".join(printable(line) for line in text.getvalue().rstrip().split("\n")))
        code = error.exit_code
    except BrokenPipeError:
        code = 1  # the reader has seen enough: `| head`
    except (EngramError, OSError, MemoryError, UnicodeEncodeError, RuntimeError) as error:
        code = _failed(error)
    except Exception as error:
        signal_code = _code_of_signal(error)
        code = _bug() if signal_code is None else signal_code
    settle_streams()
    return code


def run_words(words: list[str]) -> int:
    """Run a command; its errors leave as they are.

    `--version` is answered here: as an option of the group, typer would load its whole type
    machinery for it before every command's help.
    """
    if words == ["--version"]:
        typer.echo(f"engramctl {engramctl.__version__}")
        return 0
    code = app(words, prog_name="engramctl", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _failed(error: "EngramError | SystemRefusal") -> int:
    """Say what failed and return the exit code."""
    if os.environ.get("ENGRAMCTL_DEBUG") == "1":
        raise error
    if not isinstance(error, EngramError):
        from engramctl.storage.files.system_errors import from_system

        known = from_system(error)
        if known is None:
            return _bug()
        error = known
    tell(error.render())
    return error.exit_code


def _code_of_signal(error: Exception) -> int | None:
    """Return the exit code of a signal that came while numba handed an array over.

    It makes a SystemError of what the signal's handler raised.
    """
    cause = error.__cause__ if isinstance(error, SystemError) else None
    if isinstance(cause, KeyboardInterrupt):
        return 130
    return cause.code if isinstance(cause, SystemExit) and isinstance(cause.code, int) else None


def _bug() -> int:
    import traceback

    lines = traceback.format_exc().split("\n")
    lines.append("Error: this is a bug in engramctl; please report the lines above")
    tell("\n".join(printable(line) for line in lines if line))
    return 70


def main() -> NoReturn:
    """Run this process's command line and exit."""
    keep_streams()
    signal.signal(signal.SIGTERM, terminate)
    sys.exit(run())
