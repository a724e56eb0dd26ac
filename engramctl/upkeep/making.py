"""Before and after the work of a command: need it be done, may it replace, and from what it was."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, StorageError
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.writing.ownership import Maker, check_target, check_unfinished
from engramctl.upkeep.input_files import InputFile, corpus_files, look_at, path_files
from engramctl.upkeep.proof import difference
from engramctl.upkeep.record import MadeFrom, plain, write_record

# Options that change no byte of an output.
_OF_THE_RUN = (
    "out", "resume", "force", "if_needed", "dry_run", "json", "format", "quiet", "config",
    "memory", "tmp_dir", "engine", "ray_address",
)  # fmt: skip
_CORPORA = ("corpus", "held_out")
_PATHS = ("source", "scheme", "tokenizer", "counts", "dictionary")
TIME, DIGEST = "time", "digest"
SCHEMA = "engramctl.up-to-date/1"


def asked_for(value: str | None) -> str | None:
    """Return how an output is to be proved, TIME or DIGEST; None: not at all.

    Args:
        value: of --if-needed; a config file may say true or false.

    Raises:
        ConfigError: something else.
    """
    known = {"time": TIME, "true": TIME, "digest": DIGEST, "false": None}
    if value is None:
        return None
    if value.lower() not in known:
        raise ConfigError(
            f"--if-needed={value} is unknown",
            facts={"expected": "--if-needed or --if-needed=digest"},
            hint="without a value size, time and inode of inputs are compared",
        )
    return known[value.lower()]


@dataclass(frozen=True)
class Making:
    """One output of one command.

    Attributes:
        out: the folder.
        maker: the command.
        made_from: options and inputs as they were before the work.
        force: whether a finished folder may be replaced.
        up_to_date: whether it is known that nothing is to be done.
        known: whether inputs were looked at: only with --if-needed, so that without it the same
            options give the same bytes, everywhere.
        dry_run: whether nothing will be written.
        reason: what differs, in one line; None where nothing was compared.
    """

    out: Path
    maker: Maker
    made_from: MadeFrom
    force: bool
    up_to_date: bool = False
    known: bool = True
    dry_run: bool = False
    reason: str | None = None

    def record(self) -> None:
        """Write down what the finished folder was made from; it is whole without that too."""
        if not self.dry_run and self.known:
            with contextlib.suppress(StorageError):
                write_record(self.out, self.maker, self.made_from)

    def document(self) -> dict[str, Any]:
        """Return what a script is told of a folder that is up to date."""
        digests = all(one.xxh3_128 is not None for one in self.made_from.inputs)
        return {
            "schema": SCHEMA,
            "path": str(self.out),
            "up_to_date": True,
            "compared": DIGEST if digests and self.made_from.inputs else TIME,
            "inputs": len(self.made_from.inputs),
        }


def begin(options: Mapping[str, Any], maker: Maker, named: Callable[[str], str]) -> Making:
    """Look at options and inputs, and with --if-needed at what is there.

    Args:
        options: all parameters of the command, as they were read.
        maker: the command.
        named: how a person calls a parameter.

    Raises:
        ConfigError: --if-needed with --force, an unfinished or another's folder in its way.
        CorpusError: a corpus that is not there.
    """
    proof = asked_for(options.get("if_needed"))
    force, dry_run = bool(options.get("force")), bool(options.get("dry_run"))
    if proof and force:
        raise ConfigError(
            "--force makes anew, --if-needed only what is out of date", hint="give one of the two"
        )
    out = Path(options["out"])
    resume = bool(options.get("resume"))
    if proof and not dry_run:
        check_target(out, maker, force=True, resume=resume)
    inputs = _inputs(options, contents=proof == DIGEST) if proof else ()
    kept = {name: value for name, value in options.items() if name not in _OF_THE_RUN}
    made_from = MadeFrom(plain(kept), inputs)
    reason, done = None, False
    if proof and _is_finished(out, maker):
        reason = difference(out, maker, made_from, named)
        done = reason is None
    if proof and not done and not dry_run:
        check_unfinished(out, maker, resume=resume)
    force = force or reason is not None
    making = Making(out, maker, made_from, force, done, bool(proof), dry_run, reason)
    if done and proof == DIGEST:
        making.record()  # times and digests as they are known now
    return making


def _is_finished(out: Path, maker: Maker) -> bool:
    with os_errors("open", out):
        return (out / maker.document).is_file()


def _inputs(options: Mapping[str, Any], *, contents: bool) -> tuple[InputFile, ...]:
    files = []
    skip = bool(options.get("skip_bad_files"))
    for name in _CORPORA:
        for corpus in options.get(name) or ():
            files += corpus_files(corpus, skip_bad_files=skip)
    for name in _PATHS:
        value = options.get(name)
        if value is not None:
            files += path_files(Path(value))
    once = {str(file): file for file in files}
    return tuple(look_at(file, contents=contents, bad_too=skip) for file in once.values())
