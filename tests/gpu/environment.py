"""What `engramctl env --json` says here."""

from typing import Any

from engramctl.machine.environment import capture


def run() -> dict[str, Any]:
    """Return the environment document."""
    return capture()
