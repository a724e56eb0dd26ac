"""engramctl.toml: options not given on the command line.

One section a command, keys spelled as the options: `[build]` `slots = 1000`. A given option beats
the file, the file beats the default, an unknown section or key is an error. The values reach the
command through typer's own `default_map`, so each option is parsed and checked once, in one place.
"""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, near

DEFAULT_FILE = Path("engramctl.toml")
MAX_CONFIG_BYTES = 1 << 16
MAX_DOTS = 200  # of a line: tomllib takes quadratic time and memory over a key of many dots


def read_config(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        ConfigError: the file is missing, unreadable or not TOML.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):  # it may have no writer, ever
                raise ConfigError(f"config {path} is a pipe", hint="name a file with --config")
            text = file.read(MAX_CONFIG_BYTES + 1)
        if len(text) > MAX_CONFIG_BYTES:
            raise ConfigError(
                f"config {path} is too large",
                facts={"expected": f"at most {MAX_CONFIG_BYTES:,} bytes"},
            )
        if any(line.count(b".") > MAX_DOTS for line in text.splitlines()):
            raise ConfigError(
                f"config {path} has a line with too many dots",
                facts={"expected": f"at most {MAX_DOTS}"},
            )
        import tomllib  # of no use to most command lines, and 7 ms

        return tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigError(
            f"cannot read config {path}: {error.strerror}",
            hint="name another file with --config, or leave the option out",
        ) from error
    except (ValueError, RecursionError) as error:  # bad UTF-8 and too many digits are ValueErrors
        raise ConfigError(f"config {path} is not valid TOML: {error}") from error


def several_values(option: str, values: Sequence[object]) -> ConfigError:
    """Return the error of an option that takes one value and was given a list or several.

    Args:
        option: as the user wrote it.
        values: all that were given.
    """
    found = ", ".join(map(str, values)) or "an empty list"
    return ConfigError(
        f"{option} takes one value: {found}",
        facts={"expected": "one value", "found": f"{len(values)}: {found}"},
        hint="give one of them; to measure or make several, run the command once for each",
    )


def command_defaults(
    path: Path, command: str, commands: Iterable[str], options: Mapping[str, bool]
) -> dict[str, Any]:
    """Return the section of `command` with keys as parameter names (`min_count`).

    One value of an option that takes a list is a list of one.

    Args:
        path: the TOML file.
        command: the running command's name.
        commands: every command's name, to tell an unknown section.
        options: parameter names of `command`, to tell an unknown key, and which take a list.

    Raises:
        ConfigError: an unknown section or key, a section that is not a table, or a list for an
            option that takes one value.
    """
    document = read_config(path)
    known = set(commands)
    for section, content in document.items():
        if section not in known or not isinstance(content, dict):
            question = near(section, known)
            raise ConfigError(
                f"unknown section [{section}] in {path}",
                facts={"known": ", ".join(sorted(known))},
                hint=f"{question} one section a command, one key an option".lstrip(),
            )
    chosen = {key.replace("-", "_"): value for key, value in document.get(command, {}).items()}
    for key, value in chosen.items():
        if key not in options:
            question = near(key, options)
            raise ConfigError(
                f"unknown key '{key}' in [{command}] of {path}",
                facts={"known": ", ".join(sorted(options))},
                hint=f"{question} run: engramctl {command} --help".lstrip(),
            )
        if isinstance(value, list) and not options[key]:
            raise several_values(f"{key.replace('_', '-')} in [{command}] of {path}", value)
        if options[key] and not isinstance(value, list):
            chosen[key] = [value]
    return chosen
