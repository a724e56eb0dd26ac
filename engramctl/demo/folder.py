"""The folder of the demo: made where nothing of others would be lost, listed at the end."""

import re
from pathlib import Path

from engramctl.corpus.sample import CORPUS, TOKENIZER, is_sample_corpus
from engramctl.demo.steps import Step, plan_steps, report_step
from engramctl.errors import ConfigError
from engramctl.storage.files.atomic import NEW_NAME, old_path, os_errors
from engramctl.storage.files.held_folder import shown
from engramctl.storage.files.published import partial_path


def check_place(out: Path, *, force: bool) -> None:
    """Refuse a folder that exists, unless `force` is given and all in it is of a demo.

    Raises:
        ConfigError: so it is.
        StorageError: it cannot be listed.
    """
    if out.exists() and not force:
        raise ConfigError(
            f"{out} exists",
            hint=f"name another folder with -o, or run: engramctl demo -o {out} --force",
        )
    if out.exists():
        check_folder(out)


def check_folder(out: Path) -> None:
    """Refuse a folder that holds what no demo wrote.

    Raises:
        ConfigError: so it is.
        StorageError: it cannot be listed.
    """
    made = [step.makes for step in _all_steps(out) if step.makes is not None]
    ours = {CORPUS, TOKENIZER}
    ours |= {place.name for one in made for place in (one, partial_path(one), old_path(one))}
    with os_errors("open", out):
        found = sorted(one.name for one in out.iterdir())
    foreign = [name for name in found if name not in ours and not re.fullmatch(NEW_NAME, name)]
    if not foreign and not is_sample_corpus(out):
        foreign = [name for name in found if name in (CORPUS, TOKENIZER)]
    if foreign:
        raise ConfigError(
            f"{out} holds what engramctl demo did not write",
            facts={"found": shown(foreign)},
            hint="name another folder with -o",
        )


def make_folder(out: Path) -> None:
    """Make the folder where it is not there.

    Raises:
        StorageError: it cannot be made.
    """
    with os_errors("make", out):
        out.mkdir(parents=True, exist_ok=True)


def artefacts(out: Path) -> list[dict[str, object]]:
    """Return what lies in the folder, its size, and the command that made it."""
    makers = {step.makes: step.command for step in _all_steps(out)}
    rows: list[dict[str, object]] = []
    for path in sorted(out.iterdir()):
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
        rows.append(
            {
                "artefact": str(path),
                "bytes": sum(file.stat().st_size for file in files),
                "made by": makers.get(path, f"engramctl demo -o {out}"),
            }
        )
    return rows


def _all_steps(out: Path) -> list[Step]:
    return [*plan_steps(out), *(report_step(out, drawn=drawn) for drawn in (True, False))]
