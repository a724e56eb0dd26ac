"""Options of `bench`: what the ssd tier keeps in memory, and in which state it is measured."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.options import number

Cache = Annotated[
    str,
    typer.Option(
        metavar="STATE",
        help="Of the ssd tier's memory, proved: cold, warm or both; or traffic: as the tokens "
        "before a sample left it.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory of the ssd tier, which then reads past the page cache.  [default: the page "
        "cache]",
    ),
]
RowCache = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Of --budget, what keeps rows that were read; given alone, the budget is 64 MiB "
        "more.  [default: three quarters, but 64 MiB are left]",
    ),
]
Warm = Annotated[
    Path | None,
    typer.Option(
        metavar="COUNTS",
        help="Fill the row cache first with the rows that a corpus reads most: a folder of mine "
        "--scheme.",
    ),
]
After = Annotated[
    int,
    number(
        "--after",
        "Tokens looked up before the first sample of --cache traffic.",
        metavar="TOKENS",
        least=0,
    ),
]
Fill = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A dictionary that the traffic fills with n-grams read twice; made if missing, gone "
        "on with if there. Needs --cache traffic.",
    ),
]
FillSize = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Of that file, at most.  [default: 4GiB]"),
]
WriteBudget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Most that is written to it, for each token looked up.  [default: 1500]",
    ),
]
Engine = Annotated[
    str,
    typer.Option(metavar="NAME", help="What reads on ssd: auto, io_uring, pread or willneed."),
]
