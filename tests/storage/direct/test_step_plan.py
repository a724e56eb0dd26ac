"""A step planned by one kernel is the plan that numpy makes, and says what each layer waits for."""

import mmap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.storage.direct.page_reads import PageReads
from engramctl.storage.io.page_plan import plan_words
from engramctl.storage.io.pages import PAGE
from engramctl.storage.readers.batch import ADDRESS, LENGTH
from engramctl.storage.reading.table import open_table
from tests.storage.tables import make_plan, write

FORMS = ("planar", "packed", "paged")
SIZES = (32, 1504, 8192)
Tables = dict[tuple[str, int], PageReads]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    root = tmp_path_factory.mktemp("tables")
    found = {}
    for form in FORMS:
        for row_dim in SIZES:
            plan = make_plan(form=form, row_dim=row_dim, rows={1: 211, 4: 97}, shard_rows=60)
            write(plan, root / f"{form}{row_dim}")
            found[form, row_dim] = PageReads(open_table(root / f"{form}{row_dim}"), "auto", {})
    return found


def room(reads: PageReads, rows: dict[int, np.ndarray]) -> np.ndarray:
    words = sum(plan_words(reads.maps[layer], len(ids)) for layer, ids in rows.items())
    return np.full(words, -1, np.int64)


@given(
    st.sampled_from(FORMS),
    st.sampled_from(SIZES),
    st.lists(st.integers(0, 210), max_size=60),
    st.lists(st.integers(0, 96), max_size=30),
    st.sampled_from((np.int32, np.int64)),
)
@settings(deadline=None, max_examples=60)
def test_a_step_is_planned_as_any_batch(
    tables: Tables, form: str, row_dim: int, one: list[int], other: list[int], kind: type
) -> None:
    reads = tables[form, row_dim]
    rows: dict[int, np.ndarray] = {4: np.array(other, kind), 1: np.array(one, kind)}
    wide = {layer: ids.astype(np.int64) for layer, ids in rows.items()}
    address = 3 * mmap.PAGESIZE
    step = reads.steps.plan(rows, room(reads, wide), address)
    plan = reads.plan(wide, room(reads, wide))
    batch = plan.batch(address, reads.chosen.files.sizes)
    assert np.array_equal(step.batch.ranges_R5, batch.ranges_R5)
    assert not step.batch.got_R.any()
    spec = next(iter(reads.maps.values())).source.record
    for layer in rows:
        where = step.addresses(layer, address)
        expected = plan.addresses(layer, address)
        parts = 2 if spec.scale_bytes else 1
        assert np.array_equal(where[:, :parts], expected[:, :parts])

        needed = step.batch.ranges_R5[: step.ranges(layer)]
        for part, size in enumerate((spec.weight_bytes, spec.scale_bytes)[:parts]):
            for at in where[:, part].tolist():
                starts, ends = needed[:, ADDRESS], needed[:, ADDRESS] + needed[:, LENGTH]
                assert ((starts <= at) & (at < ends)).any(), "a row's first byte is not waited for"
                assert ((starts < at + size) & (at + size <= ends)).any(), "nor its last"
    last = max(step.ranges(layer) for layer in rows)
    assert last == len(batch.ranges_R5)


def test_the_first_layer_does_not_wait_for_the_second(tables: Tables) -> None:
    reads = tables["paged", 8192]
    rows = {1: np.arange(0, 40, 4), 4: np.arange(0, 40, 4)}
    step = reads.steps.plan(rows, room(reads, rows), PAGE)
    assert step.ranges(1) == step.ranges(4) // 2 == 10


@pytest.mark.parametrize("bad", [-1, 211, 1 << 40])
def test_a_row_outside_the_table_is_refused(tables: Tables, bad: int) -> None:
    reads = tables["paged", 32]
    rows = {1: np.array([3, bad])}
    with pytest.raises(IndexError):
        reads.steps.plan(rows, room(reads, rows), PAGE)


def test_a_room_that_is_too_small_is_refused(tables: Tables) -> None:
    reads = tables["planar", 32]
    rows = {1: np.arange(0, 200, 9)}
    for words in (2 * len(rows[1]) - 1, 2 * len(rows[1]), 2 * len(rows[1]) + 5):
        with pytest.raises((IndexError, ValueError)):
            reads.steps.plan(rows, np.empty(words, np.int64), PAGE)
