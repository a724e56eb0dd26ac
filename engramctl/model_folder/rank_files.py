"""One file a GPU, as converters write them: `model0-mp2.safetensors`.

Or `model-rank-0-part-0.safetensors`, as engines save their state. Such files hold the same names;
their tensors are parts of one, or copies.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engramctl.errors import FormatError

_OF = re.compile(r"(.*?)(\d{1,4})-mp(\d{1,4})\.safetensors", re.ASCII)
_PART = re.compile(r"(.+)-rank-(\d{1,4})-part-(\d{1,5})\.safetensors", re.ASCII)


@dataclass(frozen=True)
class RankFile:
    """What a file's name says.

    Attributes:
        stem: what the files of all ranks share.
        rank: from 0 on.
        ranks: how many there are; None: the name does not say.
    """

    stem: str
    rank: int
    ranks: int | None


def rank_of(name: str) -> RankFile | None:
    """Return what a file's name says about its rank, or None.

    Example:
        >>> rank_of("model1-mp2.safetensors")
        RankFile(stem='model', rank=1, ranks=2)
        >>> rank_of("model.safetensors")
    """
    if found := _OF.fullmatch(name):
        return RankFile(found[1], int(found[2]), int(found[3]))
    if found := _PART.fullmatch(name):
        return RankFile(found[1], int(found[2]), None)
    return None


def check_ranks(paths: Iterable[Path]) -> None:
    """Refuse rank files of which some are missing, or that are of different numbers of ranks.

    Raises:
        FormatError: names the first missing file.
    """
    seen: dict[str, dict[int, Path]] = defaultdict(dict)
    counts: dict[str, set[int | None]] = defaultdict(set)
    for path in paths:
        if one := rank_of(path.name):
            seen[one.stem][one.rank] = path
            counts[one.stem].add(one.ranks)
    for stem, files in seen.items():
        folder = next(iter(files.values())).parent
        found = ", ".join(sorted(path.name for path in files.values())[:6])
        if len(counts[stem]) > 1:
            raise FormatError(
                f"rank files of different numbers of ranks lie in {folder}",
                facts={"expected": "files of one number", "found": found},
                hint="keep those of one conversion in a folder of their own",
            )
        ranks = counts[stem].pop()
        for rank in range(max(files) + 1 if ranks is None else ranks):
            if rank not in files:
                name = f"{stem}-rank-{rank}-part-0" if ranks is None else f"{stem}{rank}-mp{ranks}"
                raise FormatError(
                    f"the file of rank {rank} is missing: {name}.safetensors",
                    facts={
                        "folder": folder,
                        "expected": f"{ranks or max(files) + 1} rank files",
                        "found": found,
                    },
                    hint="every rank has a part of the tables; copy the file here too",
                )
