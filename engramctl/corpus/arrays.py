"""Arrow arrays of documents -> flat values and offsets, or groups of texts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile

BATCH_CHARACTERS = 1 << 20


def text_groups(texts: pa.Array) -> Iterator[list[str]]:
    """Cut a batch of documents so that few characters are tokenised at a time."""
    group: list[str] = []
    characters = 0
    for text in texts.to_pylist():
        group.append(text or "")
        characters += len(group[-1])
        if characters >= BATCH_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def flat_lists(
    array: pa.Array, file: SourceFile, row: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return values and offsets of a list array; slices and null lists are respected.

    `.values` is not used: it ignores both (of slices and of nulls).
    """
    if isinstance(array.type, pa.FixedSizeListType):
        size = array.type.list_size
        lengths = np.where(array.is_valid().to_numpy(zero_copy_only=False), size, 0)
    else:
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    values = array.flatten()
    if values.null_count:
        at = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
        document = int(np.searchsorted(offsets, at, side="right")) - 1
        raise CorpusError(
            f"a token id of {file.name} is null",
            facts={
                "file": file,
                "row": f"{row + document:,}, position {at - int(offsets[document]):,}",
            },
            hint="drop the nulls, or write an id for them, and mine again",
        )
    return values.to_numpy(zero_copy_only=True), offsets
