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


def text_groups(array: pa.Array, file: SourceFile, row: int) -> Iterator[list[str]]:
    """Cut a batch of documents so that few characters are tokenised at a time.

    Args:
        array: text, or its bytes in UTF-8; a null is an empty document.
        file: where it is from.
        row: of the first document, for errors.

    Raises:
        CorpusError: a document that is not UTF-8.
    """
    group: list[str] = []
    characters = 0
    for text in _texts(array, file, row):
        group.append(text or "")
        characters += len(group[-1])
        if characters >= BATCH_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def _texts(array: pa.Array, file: SourceFile, row: int) -> list[str | None]:
    """Return documents as Python has them; columns of bytes are decoded here, one by one."""
    rows = f"{row:,} to {row + len(array) - 1:,}"
    texts: list[str | None] = []
    try:
        for number, text in enumerate(array.to_pylist()):
            rows = f"{row + number:,}"
            texts.append(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"a document of {file.name} is not text in UTF-8",
            facts={"file": file, "row": rows, "found": str(error)[:200]},
            hint="write the column as UTF-8, or let mine leave such files out with "
            "--skip-bad-files",
        ) from error
    return texts


def flat_lists(
    array: pa.Array, file: SourceFile, row: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return values and offsets of a list array; slices and null lists are respected.

    `.values` is not used: it ignores both (of slices and of nulls). An array of nulls alone, whose
    type is `null`, holds empty documents.
    """
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_null(array.type):
        return np.empty(0, np.int64), np.zeros(len(array) + 1, np.int64)
    if isinstance(array.type, pa.FixedSizeListType):
        size = array.type.list_size
        lengths = np.where(array.is_valid().to_numpy(zero_copy_only=False), size, 0)
    else:
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    values = array.flatten()
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
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
    if pa.types.is_null(values.type):  # of empty lists alone: their writer knew no better
        return np.empty(0, np.int64), offsets
    return values.to_numpy(zero_copy_only=True), offsets
