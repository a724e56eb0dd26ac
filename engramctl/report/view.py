"""What a terminal shows of a report that was written."""

from engramctl.output import Table
from engramctl.report.contents import Contents


def report_tables(contents: Contents) -> list[Table]:
    """Return one line a figure: its name, and the first sentence of what it says."""
    rows = [
        {"figure": one.key, "says": one.says.split(". ")[0].removesuffix(".")}
        for one in contents.figures
    ]
    return [Table("report", rows)]
