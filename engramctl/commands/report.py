"""`engramctl report`: pictures and tables of counts and results."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.inputs import keep_inputs
from engramctl.arguments.options import Config, Force, Json, Quiet, output_for


def report(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES", help="Results that bench -o wrote, and folders that mine made."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="PATH",
            help="File of html or md, folder of png or svg.  [default: report.html; md on stdout; "
            "./figures]",
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            "-f",
            "--format",
            metavar="FORMAT",
            help="html, one page; md, tables to paste; png or svg, a file a figure, for papers.",
        ),
    ] = "html",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Draw results and counts: one page, with what to conclude.

    Latency with every sample, overheads beside what the run could tell, waits,
    rows/s beside the device's ceiling, hit-rate curves, coverage, load of slots,
    Zipf, and the machine. Each figure has its numbers as a table. The page needs
    nothing but itself; pictures fit a column of 3.3 inches. All but md needs
    matplotlib: pip install 'engramctl[report]'.

      Example:  engramctl report counts host.json ssd.json -o report.html
    """
    from engramctl.errors import ConfigError, unknown
    from engramctl.output import Output, markdown
    from engramctl.report.contents import MARK, contents_of
    from engramctl.report.drawing.pictures import PICTURES
    from engramctl.report.page import page
    from engramctl.report.sources import read_sources
    from engramctl.report.view import report_tables
    from engramctl.report.written import (
        FORMATS,
        check_report,
        write_pictures,
        write_report,
    )

    sink = output_for(json=json, quiet=quiet)
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    keep_inputs(out, *files)
    if out is None and format != "md":
        out = Path("figures" if format in PICTURES else "report.html")
    pictures = format in PICTURES
    target = None if out is None or pictures else check_report(out, force=force)
    sources = read_sources(files)
    contents = contents_of(sources)
    if not contents.figures and format != "md":
        raise ConfigError(
            "nothing here can be drawn: no case has samples, and no n-grams were counted",
            hint="--format md shows what the files say",
        )
    written: list[Path] = []
    if pictures and out is not None:
        written = write_pictures(contents, out, format, force=force)
    elif target is not None and out is not None:
        title = f"Report: {', '.join(sources.paths)}"
        shown = [table.printable() for table in contents.as_tables()]
        text = page(contents, title) if format == "html" else f"{MARK}\n{markdown(shown)}\n"
        write_report(text, target)
        written = [out]
    document = {**contents.document(), "written": [str(path) for path in written]}
    if format == "md" and target is None:
        Output(format="json" if json else "md").result(document, contents.as_tables())
        return
    sink.result(document, report_tables(contents))
    for path in written[:1]:
        where = path.parent if pictures else path
        sink.note(f"wrote {where}" + (f": {len(written)} figures" if pictures else ""))
