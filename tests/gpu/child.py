"""One section in a process of its own: `python -m tests.gpu.child MODULE FILE`."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from engramctl.storage.files.atomic import write_json
from tests.gpu import Failed, Skipped


def main(module: str, target: Path) -> None:
    """Run a section and write its status, reason and result to a file; rows as they come."""
    rows: list[Any] = []

    def kept(row: Any) -> None:
        rows.append(row)
        write_json(target, {"status": "failed", "reason": "it did not end", "result": rows})

    write_json(target, outcome(module, kept))


def outcome(module: str, kept: Callable[[Any], None] = lambda row: None) -> dict[str, Any]:
    """Run a section; what it raises beside `Skipped` and `Failed` ends the process.

    Args:
        module: the section's.
        kept: called with each row of a section that yields some.
    """
    try:
        result = import_module(module).run()
        if isinstance(result, Iterator):
            rows = result
            result = []
            for row in rows:
                result.append(row)
                kept(row)
    except Skipped as reason:
        return {"status": "skipped", "reason": str(reason), "result": None}
    except Failed as failed:
        return {"status": "failed", "reason": str(failed), "result": failed.result}
    return {"status": "ok", "reason": None, "result": result}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
