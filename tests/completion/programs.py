"""engramctl as a shell sees it."""

from typing import Any

from typer.main import get_command

from engramctl.cli import COMMANDS, app
from engramctl.completion.offers import Program

_GROUP: Any = get_command(app)
PROGRAM = Program(COMMANDS, lambda name: _GROUP.get_command(None, name))
