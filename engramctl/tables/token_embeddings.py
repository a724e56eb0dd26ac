"""A model's token embeddings, as wide as a row."""

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, FormatError
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.reading.source import CheckpointTables, RecordReader
from engramctl.storage.record.codecs import decode
from engramctl.storage.writing.seeded_values import splitmix64

PIECE_ROWS = 4096


def read_embeddings(
    table: CheckpointTables, vocab_size: int, row_dim: int, seed: int = 0
) -> NDArray[np.float32]:
    """Read token embeddings; wider ones are folded to `row_dim` values.

    Folding is feature hashing (Weinberger et al., ICML 2009) with a hash that deals columns out in
    turn: column j is added to value j mod row_dim with a seeded sign, and the sum is scaled by
    sqrt(row_dim / columns), so that values stay as large as they were on average. It keeps inner
    products on average, and its sums have one order, so the bytes are the same everywhere.

    Args:
        table: as `embedding_table` gives it.
        vocab_size: rows to read.
        row_dim: values of a row.
        seed: of the signs.

    Returns:
        float32 (vocab_size, row_dim).

    Raises:
        ConfigError: embeddings narrower than a row.
        FormatError: a value that is not finite.
        StorageError: they cannot be read.
    """
    columns = table.record.row_dim
    if columns < row_dim:
        raise ConfigError(
            f"token embeddings of {columns} values cannot fill rows of {row_dim}",
            hint=f"make the rows as wide or narrower: --row-dim {columns}",
        )
    signs = np.array([1 - 2 * (splitmix64(seed + j) >> 63) for j in range(columns)], np.float64)
    out = np.empty((vocab_size, row_dim), np.float32)
    with RecordReader(table) as reader:
        for start in range(0, vocab_size, PIECE_ROWS):
            piece = out[start : start + PIECE_ROWS]
            records = np.empty((len(piece), table.record.record_bytes), np.uint8)
            reader.read(0, start, records)
            values = decode(table.record, records)
            if not np.isfinite(values).all():
                row = start + int(np.argwhere(~np.isfinite(values))[0, 0])
                raise FormatError(
                    f"the embedding of token {row} is not finite", facts={"path": table.path}
                )
            if columns == row_dim:
                piece[:] = values
            else:
                _fold(values, signs, float(np.sqrt(row_dim / columns)), piece)
    return out


@njit(nogil=True, cache=True)
def _fold(values, signs, scale, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    width = out.shape[1]
    total = np.empty(width, np.float64)
    for i in range(len(values)):
        total[:] = 0.0
        for j in range(len(signs)):
            total[j % width] += signs[j] * np.float64(values[i, j])
        for j in range(width):
            out[i, j] = np.float32(total[j] * scale)
