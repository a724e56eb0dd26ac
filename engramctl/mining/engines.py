"""Which engine counts, and what each of them cannot do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engramctl.corpus.corpus import Corpus, Progress
from engramctl.errors import ConfigError, unknown
from engramctl.hashing import Scheme
from engramctl.mining.options import MineOptions

ENGINES = ("local", "ray")


def check_engine(engine: str, ray_address: str | None, resume: bool, scheme: str | None) -> None:
    """Refuse options of `engramctl mine` that an engine does not have.

    Raises:
        ConfigError: so it is, or the engine is unknown.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if engine == "ray" and resume:
        raise ConfigError("--engine ray cannot --resume", hint="Ray repeats lost tasks itself")
    if engine == "ray" and scheme is not None:
        raise ConfigError("--engine ray cannot count the rows of a --scheme", hint="mine locally")
    if engine == "local" and ray_address is not None:
        raise ConfigError("--ray-address belongs to --engine ray", hint="add --engine ray")


def mine_with(
    engine: str,
    corpus: Corpus,
    target: Path,
    options: MineOptions,
    *,
    ray_address: str | None,
    force: bool,
    resume: bool,
    scheme: Scheme | None,
    also: Callable[[Path], dict[str, Any]] | None,
    progress: Progress,
) -> dict[str, Any]:
    """Count the n-grams of a corpus with an engine whose options `check_engine` has passed.

    The arguments are those of `engramctl.mining.local.mine` and `mine_on_ray`, which also say what
    is returned and raised; the result is the same.
    """
    if engine == "ray":
        from engramctl.mining.ray_engine import mine_on_ray

        return mine_on_ray(
            corpus, target, options, address=ray_address, force=force, also=also, progress=progress
        )
    from engramctl.mining.local import mine

    return mine(
        corpus, target, options, force=force, resume=resume, scheme=scheme, also=also,
        progress=progress,
    )  # fmt: skip
