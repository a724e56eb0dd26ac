"""Accesses from distinct n-grams are those of reading every position."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.access import windows as windows_module
from engramctl.access.count import check_rows, count_rows
from engramctl.access.document_starts import DocumentStarts
from engramctl.access.ngrams import RawNgrams
from engramctl.access.tally import MOST_SHOWN, RowRange, RowSummary, Tally
from engramctl.access.windows import Windows
from engramctl.corpus.batch import TokenBatch
from engramctl.counting import reference
from engramctl.errors import ConfigError, CorpusError
from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.kernels.windows import WindowHash
from tests.hashing.presets import EOS, SCHEMES, VOCAB, small

Documents = Sequence[Sequence[int]]
FEW = {
    name: small(name, slots=97, heads_per_order=2)
    for name in ("engram", "deepseek-v41", "qwen-ple", "over-encoding", "longcat", "longcat-next",
                 "longcat-special-scope")
}  # fmt: skip
FEW["blt"] = SCHEMES["blt, three functions"]
FEW["mapped"] = make_scheme(
    "deepseek-v41", token_map=np.arange(VOCAB) // 3, slots=101, heads_per_order=2
)
FEW["layers"] = small("qwen-ple", layers=(2, 5), orders=(2, 3, 4), slots=50, heads_per_order=3)
FEW["even orders"] = small("over-encoding-wrap64", orders=(2, 4), slots=101)


@st.composite
def corpora(draw: st.DrawFn) -> list[list[int]]:
    """Short documents, empty ones too, that meet stops, fills and the largest id."""
    rare = st.sampled_from([0, 2, EOS, 3, VOCAB - 1])
    one = st.one_of(rare, rare, st.integers(0, VOCAB - 1))
    return draw(st.lists(st.lists(one, max_size=11), max_size=6))


def batch_of(documents: Documents) -> TokenBatch:
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    return TokenBatch(np.array([t for d in documents for t in d], np.uint32), offsets)


def canonical(scheme: Scheme, documents: Documents) -> list[list[int]]:
    return [[scheme.canonical.of(token) for token in document] for document in documents]


def make_windows(scheme: Scheme, documents: Documents, folder: Path) -> dict[int, Windows]:
    """What a mining run would hand over."""
    mapped = canonical(scheme, documents)
    starts = DocumentStarts(folder / "starts.raw", scheme.max_order - 1)
    for document in mapped:
        starts.add(batch_of([document]))
    made = {}
    for order in scheme.orders:
        counted = reference.rows(mapped, order, 1)
        raw = RawNgrams(folder / f"ngrams{order}.raw", order)
        ids = np.array([row for row, _ in counted], np.uint32).reshape(-1, order)
        raw.append(ids, np.array([count for _, count in counted], np.uint64))
        made[order] = Windows(raw, starts, scheme.boundary, scheme.canonical.num_canonical, folder)
    return made


def accesses(
    scheme: Scheme, documents: Documents, *, memory_bytes: int = 1 << 26, threads: int = 2
) -> tuple[dict[int, NDArray[np.int64]], dict[tuple[int, int], RowSummary]]:
    tokens = sum(map(len, documents))
    tables = {layer: np.zeros(scheme.num_rows(layer), np.int64) for layer in scheme.layers}
    summaries: dict[tuple[int, int], RowSummary] = defaultdict(RowSummary)
    last: dict[int, int] = defaultdict(lambda: -1)
    with tempfile.TemporaryDirectory() as name:
        windows = make_windows(scheme, documents, Path(name))
        for rows, read in count_rows(
            scheme, windows, tokens, memory_bytes=memory_bytes, threads=threads
        ):
            for row_id in read.ids.tolist():
                assert row_id > last[rows.layer], "row ids of a layer ascend"
                last[rows.layer] = row_id
            tables[rows.layer][read.ids] = read.counts
            summaries[rows.layer, rows.column].merge(read.summary)
    return tables, summaries


def every_position(scheme: Scheme, documents: Documents, layer: int) -> NDArray[np.int64]:
    """The plain answer: hash every position of every document, and count."""
    total = np.zeros(scheme.num_rows(layer), np.int64)
    for document in documents:
        if document:
            row_ids = scheme.row_ids(np.array([document]), layer)
            total += np.bincount(row_ids.reshape(-1), minlength=len(total))
    return total


@pytest.mark.parametrize("scheme", FEW.values(), ids=FEW.keys())
@given(documents=corpora())
@settings(max_examples=25, deadline=None)
def test_accesses_are_those_of_every_position(scheme: Scheme, documents: Documents) -> None:
    tables, _ = accesses(scheme, documents)
    for layer in scheme.layers:
        np.testing.assert_array_equal(tables[layer], every_position(scheme, documents, layer))


@pytest.mark.parametrize("scheme", FEW.values(), ids=FEW.keys())
@given(documents=corpora())
@settings(max_examples=10, deadline=None)
def test_collisions_are_those_of_the_windows_themselves(
    scheme: Scheme, documents: Documents
) -> None:
    _, summaries = accesses(scheme, documents)
    for layer in scheme.layers:
        slots: dict[int, dict[int, Counter[tuple[int, ...]]]] = defaultdict(
            lambda: defaultdict(Counter)
        )
        for document in documents:
            if not document:
                continue
            tokens = np.array([document])
            row_ids = scheme.row_ids(tokens, layer)[0]
            keys = windows_of(scheme, document)
            for t in range(len(document)):
                for column, head in enumerate(scheme.layer_hash(layer).heads):
                    window = keys[t][: head.order]
                    slots[column][int(row_ids[t, column])][window] += 1
        for column, head in enumerate(scheme.layer_hash(layer).heads):
            members = slots[column]
            by_ngrams = Counter(min(len(windows), MOST_SHOWN) for windows in members.values())
            by_ngrams[0] = head.modulus - len(members)
            found = summaries[layer, column]
            assert found.slots.tolist() == [by_ngrams[k] for k in range(MOST_SHOWN + 1)]
            assert found.top_accesses == sum(max(w.values()) for w in members.values())
            assert found.spectrum.accesses == sum(w.total() for w in members.values())


def windows_of(scheme: Scheme, document: Sequence[int]) -> list[tuple[int, ...]]:
    """Canonical ids at distances 0..N-1, position by position, by the rule's own words."""
    boundary = scheme.boundary
    ids = [scheme.canonical.of(token) for token in document]
    windows = []
    for t in range(len(ids)):
        window, open_ = [ids[t]], ids[t] not in boundary.block
        for distance in range(1, scheme.max_order):
            open_ = open_ and t >= distance and ids[t - distance] not in boundary.stop
            window.append(ids[t - distance] if open_ else boundary.fill)
        windows.append(tuple(window))
    return windows


@pytest.mark.parametrize("memory_bytes", [1, 700, 5_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_neither_memory_nor_threads_change_anything(memory_bytes: int, threads: int) -> None:
    random = np.random.default_rng(3)
    documents = [random.integers(0, 40, n).tolist() for n in (0, 1, 2, 3, 60, 200)]
    for name in ("deepseek-v41", "blt" if memory_bytes > 1000 else "longcat", "layers"):
        scheme = FEW[name]
        expected, known = accesses(scheme, documents)
        tables, summaries = accesses(scheme, documents, memory_bytes=memory_bytes, threads=threads)
        for layer in scheme.layers:
            np.testing.assert_array_equal(tables[layer], expected[layer])
        for place, one in known.items():
            assert summaries[place].slots.tolist() == one.slots.tolist()
            assert summaries[place].top_accesses == one.top_accesses


def test_windows_with_fills_may_be_more_than_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "MOST_HELD", 7)
    scheme = FEW["longcat"]
    random = np.random.default_rng(5)
    documents = [random.integers(0, 12, n).tolist() for n in (1, 2, 30, 300)]
    tables, _ = accesses(scheme, documents)
    np.testing.assert_array_equal(tables[0], every_position(scheme, documents, 0))
    with tempfile.TemporaryDirectory() as name:
        for made in make_windows(scheme, documents, Path(name)).values():
            first = Counter(tuple(row) for ids, _ in made for row in ids.tolist())
            again = Counter(tuple(row) for ids, _ in made for row in ids.tolist())
            assert first == again
            assert set(first.values()) == {1}
            assert made.spectrum.things == len(first)
            assert made.spectrum.accesses == sum(map(len, documents))


@pytest.mark.parametrize("name", SCHEMES)
def test_a_window_has_the_rows_of_its_position(name: str) -> None:
    scheme = SCHEMES[name]
    random = np.random.default_rng(1)
    tokens = random.integers(8, VOCAB - 20, (300, scheme.max_order))  # nothing that stops
    windows = np.array([[scheme.canonical.of(t) for t in row] for row in tokens.tolist()])
    for layer in scheme.layers:
        expected = scheme.row_ids(tokens[:, -1:], layer, tokens[:, :-1])[:, 0]
        for order in scheme.orders:
            heads = scheme.layer_hash(layer).heads
            columns = [c for c, head in enumerate(heads) if head.order == order]
            for chosen in (columns, columns[-1:]):
                hashed = WindowHash(
                    scheme.layer_hash(layer), scheme.mix, chosen, scheme.canonical.num_canonical
                )
                for kind in (np.uint32, np.int64):
                    ids: NDArray[Any] = np.ascontiguousarray(windows[:, -order:], kind)
                    np.testing.assert_array_equal(hashed(ids), expected[:, chosen])


def test_more_accesses_than_32_bits_are_counted() -> None:
    rows = RowRange(layer=1, column=0, order=2, begin=5, end=9)
    tally = Tally(rows, 2**34)
    ids: NDArray[Any] = np.array([[4], [5], [5], [8], [9]], np.int32)
    tally.add(ids, 0, np.array([1, 2**33, 2**32, 7, 1], np.uint64))
    found = tally.piece(0)
    assert (found.ids.tolist(), found.counts.tolist()) == ([5, 8], [2**33 + 2**32, 7])
    assert found.summary.top_accesses == 2**33 + 7
    assert found.summary.slots.tolist()[:3] == [2, 1, 1]


def test_ids_outside_the_vocabulary_are_one_clear_error() -> None:
    scheme = FEW["engram"]
    with pytest.raises(CorpusError, match="outside the scheme's vocabulary") as caught:
        accesses(make_scheme("engram", vocab_size=40, slots=97, heads_per_order=2), [[1, 41, 3]])
    assert caught.value.facts == {"expected": "0 to 39", "found": "41"}
    assert caught.value.hint
    assert accesses(scheme, [[1, 41, 3]])[0]


def test_tables_that_uint32_cannot_number_are_refused() -> None:
    with pytest.raises(ConfigError, match="too many rows"):
        check_rows(SCHEMES["longcat, layers"])
