"""Options that several commands share, how their values are read, and the config file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engramctl.arguments.words import takes_list
from engramctl.config import DEFAULT_FILE, command_defaults
from engramctl.numbers import whole_number
from engramctl.output import Output


def _load_config(ctx: typer.Context, value: Path | None) -> Path | None:
    path = value or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    if path is not None and not ctx.resilient_parsing:
        group: Any = ctx.parent.command if ctx.parent else ctx.command
        commands = group.list_commands(ctx)
        parameters: list[Any] = [
            one for one in ctx.command.params if one.name not in ("config", "help")
        ]
        ctx.default_map = command_defaults(
            path, ctx.info_name or "", commands, {one.name: takes_list(one) for one in parameters}
        )
    return path


def number(option: str, help: str, *, metavar: str = "N", least: int = 1) -> Any:
    """Return an option of a whole number, `1M` and `1e6` among the ways to write it.

    Args:
        option: its long name.
        help: its line in the help.
        metavar: what stands for the number there.
        least: the smallest that makes sense.
    """

    def read(value: object) -> int:
        return whole_number(value, option, least)

    return typer.Option(option, metavar=metavar, help=help, parser=read)


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=_load_config,
        help="Read options not given here from FILE.  [default: ./engramctl.toml if it exists]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Trace = Annotated[
    str,
    typer.Option(
        metavar="TRACE",
        help="Token ids to look up: uniform, zipf, Parquet files of token ids, or auto: text "
        "where some is at hand, else zipf.",
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "-f",
        "--format",
        metavar="FORMAT",
        help="table, json, csv or md, on stdout; --json is short for --format json.",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No notes and no progress.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing result.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print every file's exact size, write nothing.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")]

Source = Annotated[
    Path, typer.Argument(metavar="SRC", help="Tables, shards, or a model's checkpoint.")
]
Tokenizer = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="tokenizer.json that decides the token map.  [default: identity]"
    ),
]
ShardBytes = Annotated[
    str, typer.Option(metavar="SIZE", help="Records of one file, about; files are cut by rows.")
]
SchemeFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="scheme.json of a checkpoint whose own files do not say it.",
    ),
]
Slots = Annotated[
    int | None, number("--slots", "Smallest number of slots a head.  [default: scheme's]")
]
Orders = Annotated[
    str | None, typer.Option(metavar="N,N", help="N-gram orders.  [default: scheme's]")
]
Heads = Annotated[int | None, number("--heads", "Heads an order.  [default: scheme's]")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A size of the model other than its preset's, such as width=1024; repeat for more. "
        "Lists of layers count from 0.",
    ),
]
ModelDtype = Annotated[
    str | None,
    typer.Option(
        metavar="f32|bf16",
        help="Of weights, cache and rows.  [default: f32 on a CPU, bf16 on a GPU]",
    ),
]
EachHead = Annotated[
    bool,
    typer.Option("--each-head", help="Show every head, not an order's or a layer's as one line."),
]


def folder_to_make(metavar: str) -> Any:
    """Return -o/--out of a command that makes a folder, called `metavar` in its help."""
    return typer.Option("-o", "--out", metavar=metavar, help="Folder to make.")


def output_for(*, json: bool, quiet: bool) -> Output:
    """Return the sink of a command that offers only `--json`."""
    return Output(format="json" if json else "table", quiet=quiet)


# Of `bench`: when a step asks for rows, threads, somebody's engine.
Issue = Annotated[
    list[str] | None,
    typer.Option(
        "--issue",
        metavar="WHEN",
        help="When a step asks for its rows: before (as the last one ends), start, or layer (in "
        "it); repeat to compare.  [default: start]",
    ),
]
ModelThreads = Annotated[
    int | None, number("--threads", "CPU threads of the model.  [default: torch's]")
]
StoreThreads = Annotated[
    int | None,
    number("--store-threads", "CPU threads that gather rows.  [default: as many as --threads]"),
]
StepMs = Annotated[
    float | None,
    typer.Option(
        "--step-ms",
        metavar="MS",
        help="Of your engine's decode step: say which tier's rows come before their layer "
        "needs them.",
    ),
]
StepLayers = Annotated[
    int | None, number("--step-layers", "Layers of that engine.  [default: the preset's]")
]
Ranks = Annotated[
    int | None,
    number(
        "--ranks",
        "Deal the model and the table to N processes, and measure what they send each other.  "
        "[default: those that torchrun started, else none]",
    ),
]
Deal = Annotated[
    str | None,
    typer.Option(
        "--deal",
        metavar="heads|rows",
        help="What of the table is dealt to ranks.  [default: heads, where each gets one]",
    ),
]
