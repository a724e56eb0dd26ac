"""`engramctl compare`: did it become slower?"""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.options import Config, Format, Json, Quiet
from engramctl.output import Output


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Result that bench -o wrote.")],
    new: Annotated[
        list[Path],
        typer.Argument(metavar="NEW", help="Others; each is compared with OLD."),
    ],
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="PERCENTILE:SHARE%",
            help="End with 3 when a case is slower by more, and seen to be slower: p50:5%, "
            "p90:8%, p99:10%; repeat for more.",
        ),
    ] = None,
    allow_different: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-different",
            metavar="NAME",
            help="Judge although machine, table, threads, preset or another option differ; repeat "
            "for more.",
        ),
    ] = None,
    paired: Annotated[
        bool,
        typer.Option(
            "--paired",
            help="The results were interleaved: sample i of both is of one round.",
        ),
    ] = False,
    format: Format = "table",
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what became slower from one result of bench to another.

    Cases are matched by name, phase, tier, cache, issue, batch and what else was
    swept. Each ratio has an interval, of the samples themselves and of how much
    the runs show that two runs differ anyway; where it holds 1 there is "no
    difference seen", and --fail-if lets it pass. What else is not the same in
    both runs stands first.

      Example:  engramctl compare old.json new.json --fail-if p50:5%
    """
    from engramctl.comparison.differences import NAMES
    from engramctl.comparison.document import compared
    from engramctl.comparison.limits import read_limits, refuse_slower
    from engramctl.comparison.view import compared_tables, told
    from engramctl.errors import unknown

    sink = Output(format="json" if json else format, quiet=quiet)
    for name in allow_different or ():
        if name not in NAMES:
            raise unknown("--allow-different", name, NAMES)
    limits = read_limits(fail_if or ())
    document = compared(old, new, limits, tuple(allow_different or ()), paired=paired)
    sink.result(document, compared_tables(document, raw=sink.format == "csv"))
    for text in told(document):
        sink.note(text)
    refuse_slower(document)
