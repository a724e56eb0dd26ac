"""The n-grams of a counts folder, read in batches."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engramctl.corpus.parquet import iter_columns, open_parquet, reading
from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile

BATCH_ROWS = 1 << 17
MAX_ORDER = 5
"""The longest n-grams that counts hold."""


def mine_hint(orders: Iterable[int]) -> str:
    """Return the hint for counts that lack orders: what makes those that can be counted.

    Example:
        >>> mine_hint((3, 4, 5, 6)), mine_hint((6, 7))
        ('mine them: engramctl mine ... --orders 3,4,5', 'no counts hold n-grams of 6 ids or more')
    """
    known = ",".join(str(order) for order in sorted(orders) if order <= MAX_ORDER)
    if not known:
        return f"no counts hold n-grams of {MAX_ORDER + 1} ids or more"
    return f"mine them: engramctl mine ... --orders {known}"


def order_file(counts: Path, order: int) -> Path:
    """Return where a counts folder keeps the n-grams of one order."""
    return counts / f"order{order}.parquet"


def num_ngrams(counts: Path, order: int) -> int:
    """Return how many n-grams of one order there are.

    Raises:
        CorpusError: a broken file.
    """
    file = order_file(counts, order)
    with reading(file), open_parquet(SourceFile.local(file)) as parquet:
        _check_row_groups(parquet.metadata, file)
        return int(parquet.metadata.num_rows)


def read_ngrams(
    counts: Path, order: int, vocab_size: int | None = None
) -> Iterator[tuple[NDArray[np.uint32], NDArray[np.uint64]]]:
    """Read the n-grams of one order.

    Args:
        counts: a folder that `engramctl mine` made.
        order: one of its orders.
        vocab_size: token ids must lie in [0, vocab_size); None: any.

    Yields:
        Token ids, oldest first, uint32 (M, order), and counts, uint64 (M,).

    Raises:
        CorpusError: a broken file, or token ids outside the vocabulary.
    """
    file = order_file(counts, order)
    with reading(file), open_parquet(SourceFile.local(file)) as parquet:
        _check_columns(parquet.schema_arrow, order, file)
        _check_row_groups(parquet.metadata, file)
        for lists, counted in iter_columns(parquet, ["token_ids", "count"], BATCH_ROWS):
            ids = lists.flatten().to_numpy().reshape(-1, order)
            if vocab_size is not None:
                _check_vocabulary(ids, vocab_size, file)
            yield ids, counted.to_numpy()


def _check_row_groups(metadata: Any, file: Path) -> None:
    """Refuse a footer whose number of rows is not that of its row groups: work is cut by it."""
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
        raise CorpusError(
            f"{file.name} contradicts itself about its rows",
            facts={"file": file, "expected": f"{metadata.num_rows:,}", "found": f"{sum(groups):,}"},
            hint="make the folder again: engramctl mine ... --force",
        )


def _check_columns(schema: pa.Schema, order: int, file: Path) -> None:
    found = {name: schema.field(name).type for name in schema.names}
    ids = found.get("token_ids", pa.null())
    right = pa.types.is_fixed_size_list(ids) and ids.list_size == order
    if not right or ids.value_type != pa.uint32() or found.get("count") != pa.uint64():
        raise CorpusError(
            f"{file.name} holds no counts of order {order}",
            facts={
                "file": file,
                "expected": f"token_ids fixed_size_list<uint32>[{order}], count uint64",
                "found": ", ".join(f"{name} {kind}" for name, kind in found.items())[:300],
            },
            hint="make the folder again: engramctl mine ... --force",
        )


def _check_vocabulary(ids_MN: NDArray[np.uint32], vocab_size: int, file: Path) -> None:
    largest = int(ids_MN.max(initial=0))
    if largest >= vocab_size:
        raise CorpusError(
            f"{file.name} has token ids outside the scheme's vocabulary",
            facts={
                "file": file,
                "expected": f"0 to {vocab_size - 1:,}",
                "found": f"{largest:,}",
            },
            hint="mine with the tokenizer the scheme is for",
        )
