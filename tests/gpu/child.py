"""One section in a process of its own: `python -m tests.gpu.child MODULE FILE`."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.gpu import Failed, Skipped


def main(module: str, target: Path) -> None:
    """Run a section and write its status, reason and result to a file."""
    target.write_text(json.dumps(outcome(module)))


def outcome(module: str) -> dict[str, Any]:
    """Run a section; what it raises beside `Skipped` and `Failed` ends the process."""
    try:
        result = import_module(module).run()
    except Skipped as reason:
        return {"status": "skipped", "reason": str(reason), "result": None}
    except Failed as failed:
        return {"status": "failed", "reason": str(failed), "result": failed.result}
    return {"status": "ok", "reason": None, "result": result}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
