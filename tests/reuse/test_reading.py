from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.caches.reference import distinct_in_chunks, interleave
from engramctl.corpus.batch import TokenBatch
from engramctl.corpus.corpus import Corpus
from engramctl.reuse import unique
from engramctl.reuse.documents import Part, Reader, split, whole
from engramctl.reuse.interleave import Block, Interleaver
from engramctl.reuse.unique import UniqueShares
from tests.hashing.presets import SCHEMES, VOCAB
from tests.helpers.corpora import write_ids

DOCUMENTS = st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=25)


def batch_of(documents: list[list[int]]) -> TokenBatch:
    lengths = [len(document) for document in documents]
    flat = [token for document in documents for token in document]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenBatch(np.array(flat, np.uint32), offsets)


def block_of(documents: list[list[int]]) -> Block:
    batch = batch_of(documents)
    rows = np.stack([batch.ids, batch.ids + 100], axis=1).astype(np.int32)
    return Block(rows, np.stack([rows, rows], axis=2).astype(np.uint64), batch.offsets)


@given(DOCUMENTS, st.integers(1, 7), st.integers(1, 9), st.booleans(), st.integers(1, 9))
@settings(deadline=None)
def test_streams_are_read_in_turn_however_documents_come(
    lengths: list[list[int]], streams: int, group: int, with_keys: bool, piece: int
) -> None:
    counter = iter(range(10**6))
    documents = [[next(counter) for _ in document] for document in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engramctl.reuse.interleave.PIECE_TOKENS", piece)
        reader = Interleaver(streams)
        pieces = []
        for at in range(0, len(documents), group):
            block = block_of(documents[at : at + group])
            pieces += list(reader.add(block if with_keys else replace(block, keys=None)))
        pieces += list(reader.finish())
    found = [row for one in pieces for row in one.rows[:, 0].tolist()]
    assert found == interleave(documents, streams)
    for one in pieces:
        assert (one.keys is not None) == with_keys
        assert one.keys is None or np.array_equal(one.keys[:, :, 0], one.rows)


@pytest.mark.parametrize("name", SCHEMES)
def test_documents_are_read_as_if_each_were_alone(name: str) -> None:
    scheme = SCHEMES[name]
    random = np.random.default_rng(0)
    top = min(VOCAB, scheme.vocab_size)
    documents = [random.integers(0, top, n).tolist() for n in (3, 0, 1, 17, 0, 2)]
    layer, head = scheme.layers[-1], scheme.heads_per_order - 1
    reader = Reader(scheme, layer, head)
    block = reader.read(batch_of(documents))
    full = [document for document in documents if document]
    heads = [scheme.row_ids(document, layer) for document in full]
    columns = [n * scheme.heads_per_order + head for n in range(len(scheme.orders))]
    assert np.array_equal(block.rows, np.concatenate(heads)[:, columns])
    assert block.keys is not None
    assert np.array_equal(block.keys, np.concatenate([scheme.ngram_keys(one) for one in full]))
    for column, (start, stop) in zip(block.rows.T, reader.spans, strict=True):
        assert start <= column.min() <= column.max() < stop
    assert len(reader.read(batch_of([[], []])).rows) == 0


def test_every_document_is_mined_or_held_out(tmp_path: Path) -> None:
    documents = [[number] * (number % 3) for number in range(35)]
    files = [
        write_ids(tmp_path / f"{at}.parquet", documents[at : at + 7], row_group_size=2)
        for at in (0, 7, 14, 21, 28)
    ]
    corpus = Corpus.open(files)

    def read(part: Part) -> list[tuple[int, list[int]]]:
        return [
            (file, batch.ids[start:stop].tolist())
            for file, batch in part.batches()
            for start, stop in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)
        ]

    mined, tenth = (read(part) for part in split(corpus))
    assert read(whole("x", corpus)) == [(n // 7, document) for n, document in enumerate(documents)]
    assert tenth == [(n // 7, documents[n]) for n in (9, 19, 29)]
    assert mined == [(n // 7, documents[n]) for n in range(35) if n not in (9, 19, 29)]


@given(st.lists(st.integers(0, 12), max_size=200), st.integers(1, 30))
@settings(deadline=None)
def test_distinct_keys_of_whole_chunks_are_counted_exactly(tokens: list[int], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unique, "CHUNK_TOKENS", (2, 4, 16))
        patch.setattr(unique, "DEDUP_TOKENS", 4)
        patch.setattr(unique, "_SLOTS", 64)
        shares = UniqueShares((2, 3))
        keys = np.zeros((len(tokens), 2, 2), np.uint64)
        keys[:, 0, 0] = np.array(tokens, np.uint64) // np.uint64(3)
        keys[:, 0, 1] = np.array(tokens, np.uint64) % np.uint64(3)  # in the high word alone
        keys[:, 1, 0] = tokens
        first = [shares.add(keys[at : at + piece]) for at in range(0, len(tokens), piece)]
        found = {(row["order"], row["chunk_tokens"]): row for row in shares.document()}
    for order in (2, 3):
        for size in (2, 4, 16):
            distinct, total = distinct_in_chunks(tokens, size)
            assert (total > 0) == ((order, size) in found)
            if total:
                row = found[order, size]
                assert (row["distinct"], row["total"]) == (distinct, total)
                assert row["share"] == distinct / total
        marks = [mark for part in first for mark in part[order - 2].tolist()]
        seen = [tokens[at] not in tokens[at - at % 4 : at] for at in range(len(tokens))]
        assert marks == seen
