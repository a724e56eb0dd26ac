"""Chunks and the spill store on their own."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.corpus import TokenBatch
from engramctl.mining.chunks import cut_chunks
from engramctl.mining.reference import count_ngrams
from engramctl.mining.spill import SpillStore

documents = st.lists(st.integers(0, 2**32 - 1), max_size=9)


@settings(deadline=None)
@given(st.lists(st.lists(documents, max_size=5), max_size=5), st.integers(4, 12))
def test_the_chunks_ngrams_are_the_documents_ngrams_once(
    batches: list[list[list[int]]], size: int
) -> None:
    def tokens() -> list[TokenBatch]:
        return [
            TokenBatch(
                np.array([token for document in batch for token in document], np.uint32),
                np.cumsum([0, *map(len, batch)], dtype=np.int64),
            )
            for batch in batches
        ]

    chunks = list(cut_chunks(tokens(), size))
    assert all(len(chunk.ids) <= size for chunk in chunks)
    for order in (1, 2, 3, 4):
        expected = count_ngrams([d for batch in batches for d in batch], order)
        found = count_ngrams([], order)
        for chunk in chunks:
            pieces = [piece.tolist() for piece in np.split(chunk.ids, chunk.offsets[1:-1])]
            found += count_ngrams(pieces, order)
            found -= count_ngrams([pieces[0][: chunk.skip]], order)
        assert found == expected


def test_records_come_back_the_same_from_memory_and_from_disk(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    chunks = [random.integers(0, 2**63, (50, 2)).astype(np.uint64).reshape(-1) for _ in range(4)]
    bounds = [np.array([0, *sorted(random.integers(0, 51, 7)), 50]) for _ in chunks]
    for memory_bytes in (0, 1700, 1 << 20):
        store = SpillStore(tmp_path / "spill", memory_bytes=memory_bytes, record_words=2)
        assert list(tmp_path.iterdir()) == []
        for chunk, bound in zip(chunks, bounds, strict=True):
            store.add(chunk, bound)
        assert store.spilled_bytes == {0: 3200, 1700: 1600}.get(memory_bytes, 0)
        for number in range(8):
            expected = [
                c[2 * b[number] : 2 * b[number + 1]] for c, b in zip(chunks, bounds, strict=True)
            ]
            found = [np.empty(0, np.uint64), *store.partition(number)]
            assert np.array_equal(np.concatenate(found), np.concatenate(expected))
        store.close()
