"""`engramctl verify`: is every byte right?"""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.commands.options import Config, Json, Quiet, output_format
from engramctl.output import Output, Table


def verify(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Tables, shards or counts.")],
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Check a folder: manifest, sizes, headers and every checksum.

    Ends with 0 when every byte is right and with 3 at the first that is not,
    naming the file, the offset and the command that makes it again.

      Example:  engramctl verify shards
    """
    from engramctl.tables import row_data_bytes, verify_path

    sink = Output(format=output_format(json), quiet=quiet)
    with sink.progress("verify", row_data_bytes(path), "B") as advance:
        report = verify_path(path, advance)
    document = {
        "path": str(path),
        "ok": True,
        "files": report.num_files,
        "checksums": report.num_extents,
        "data_bytes": report.num_bytes,
    }
    rows = [{key: value for key, value in document.items() if key != "ok"}]
    sink.result(document, [Table("every byte is right", rows)])
