"""The Typer app, and where an error becomes text and an exit code.

Exit codes: 0 done; 1 the work failed; 2 the command line or config was wrong; 3 a check said no;
4 every tier asked for by name is missing here; 70 a bug; 130 SIGINT; 143 SIGTERM. What ends with
another code than 0 has said why on stderr, and where JSON was asked for, and no result was printed,
once more as a document on stdout.
"""

import contextlib
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
from engramctl.arguments.words import Asked, WatchedCommand, asks_for_json
from engramctl.errors import EngramError, error_document, near, printable
from engramctl.storage.io.bus_errors import catch_when_mapped
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
    "compare": "Say what became slower from one result of bench to another.",
    "report": "Draw results and counts: one page, with what to conclude.",
    "inspect": "Say what a folder, a scheme or a result is.",
    "verify": "Check a folder: manifest, sizes, headers and every checksum.",
    "export": "Write tables back as engines load them.",
    "env": "Show what this machine has: devices, disk, libraries.",
}
COMPLETE = "_ENGRAMCTL_COMPLETE"  # in the environment: a shell asks what fits at Tab
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

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; of a mistyped one, say which is near."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"No such command '{name}'; {near(name, COMMANDS)}".removesuffix("; "))
        return super().resolve_command(ctx, args)

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
            single.command(cmd_name, cls=WatchedCommand)(getattr(module, cmd_name))
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
    epilog="Start with:  engramctl demo        Which version:  engramctl --version\n\n"
    "Completion at Tab:  engramctl --show-completion bash (or zsh, fish)",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
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
    words = list(sys.argv[1:] if arguments is None else arguments)
    asked = Asked(json=asks_for_json(words))
    code = 0
    try:
        code = _stopped(run_words(words, asked), asked)  # of Ctrl-C typer makes a code
        sys.stdout.flush()
    except SystemExit as stop:
        code = _stopped(stop.code if isinstance(stop.code, int) else 1, asked)
    except KeyboardInterrupt:
        code = _stopped(130, asked)
    except CommandLineError as error:
        code = _misspoken(error, asked)
    except BrokenPipeError:
        code = 1  # the reader has seen enough: `| head`
    except (EngramError, OSError, MemoryError, UnicodeEncodeError, RuntimeError) as error:
        code = _failed(error, asked)
    except Exception as error:
        signal_code = _code_of_signal(error)
        code = _bug(error, asked) if signal_code is None else _stopped(signal_code, asked)
    settle_streams()
    return code


def run_words(words: list[str], asked: Asked | None = None) -> int:
    """Run a command; its errors leave as they are.

    `--version` and completion are answered here: as options of the group, typer would load its
    whole type machinery for them before every command's help.

    Args:
        words: after `engramctl`.
        asked: told how the words are to be answered, and whether they were.
    """
    if words == ["--version"]:
        typer.echo(f"engramctl {engramctl.__version__}")
        return 0
    if words[:1] == ["--show-completion"]:
        from engramctl.completion.shells import script

        typer.echo(script(words[1:]))
        return 0
    if instruction := os.environ.get(COMPLETE):
        from engramctl.completion.offers import Program
        from engramctl.completion.shells import answer

        group: Any = get_command(app)
        program = Program(COMMANDS, lambda name: group.get_command(None, name))
        if found := answer(instruction, os.environ, program):
            typer.echo(found)
        return 0
    code = app(words, prog_name="engramctl", standalone_mode=False, obj=asked)
    return code if isinstance(code, int) else 0


def _answer(document: dict[str, Any], asked: Asked) -> None:
    """Print why there is no result, where that is to be JSON and nothing else was printed."""
    if asked.json and not asked.answered:
        from engramctl.output import Output

        asked.answered = True
        with contextlib.suppress(OSError, ValueError):
            Output(format="json").result(document)


def _stopped(code: int, asked: Asked) -> int:
    """Answer for a signal, or for a command that ended by itself, and return the code."""
    if code:
        name = {130: "SIGINT", 143: "SIGTERM"}.get(code)
        message = "interrupted" if name else "ended early"
        _answer(error_document(message, code, {"signal": name} if name else None), asked)
    return code


def _misspoken(error: Any, asked: Asked) -> int:
    """Say what is wrong with the command line and return the exit code."""
    text = io.StringIO()
    error.show(text)
    tell("\n".join(printable(line) for line in text.getvalue().rstrip().split("\n")))
    path = "engramctl" if error.ctx is None else error.ctx.command_path
    code: int = error.exit_code
    _answer(error_document(error.format_message(), code, hint=f"run: {path} --help"), asked)
    return code


def _failed(error: "EngramError | SystemRefusal", asked: Asked) -> int:
    """Say what failed and return the exit code."""
    known: EngramError | None
    if isinstance(error, EngramError):
        known = error
    else:
        from engramctl.storage.files.system_errors import from_system

        known = from_system(error)
    debug = os.environ.get("ENGRAMCTL_DEBUG") == "1"
    if known is None and not debug:
        return _bug(error, asked)
    _answer(_bug_document(error) if known is None else known.document(), asked)
    if known is None or debug:
        raise error
    tell(known.render())
    return known.exit_code


def _code_of_signal(error: Exception) -> int | None:
    """Return the exit code of a signal that came while numba handed an array over.

    It makes a SystemError of what the signal's handler raised.
    """
    cause = error.__cause__ if isinstance(error, SystemError) else None
    if isinstance(cause, KeyboardInterrupt):
        return 130
    return cause.code if isinstance(cause, SystemExit) and isinstance(cause.code, int) else None


def _bug(error: Exception, asked: Asked) -> int:
    import traceback

    lines = traceback.format_exc().split("\n")
    lines.append("Error: this is a bug in engramctl; please report the lines above")
    tell("\n".join(printable(line) for line in lines if line))
    _answer(_bug_document(error), asked)
    return 70


def _bug_document(error: Exception) -> dict[str, Any]:
    return error_document(
        "this is a bug in engramctl",
        70,
        {"exception": f"{type(error).__name__}: {error}"},
        "please report it with the lines on stderr",
    )


def main() -> NoReturn:
    """Run this process's command line and exit."""
    keep_streams()
    signal.signal(signal.SIGTERM, terminate)
    catch_when_mapped()
    sys.exit(run())
