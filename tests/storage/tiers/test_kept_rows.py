"""What a store keeps of rows: let go of by `close`, counted on in children, of real rows only."""

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import ConfigError
from engramctl.storage import Store, open_store
from engramctl.storage.memory.slab import Slab
from engramctl.storage.tiers.ssd import SsdStore
from tests.helpers.forked import in_child
from tests.storage.tables import make_plan, write

ROWS = {1: 3000, 4: 500}
IDS = np.arange(300)
MIXTURE, BUDGET = "host:1MiB,ssd", "ssd with a budget"
WORDS: dict[str, dict[str, Any]] = {
    MIXTURE: {"tier": MIXTURE},
    BUDGET: {"tier": "ssd", "budget_bytes": 4 << 20},
    "ssd": {"tier": "ssd"},
    "host": {"tier": "host"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "t"
    write(make_plan(form="paged", row_dim=256, rows=ROWS), path)
    return path


@pytest.fixture(params=list(WORDS))
def store(folder: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    with open_store(folder, **WORDS[request.param]) as opened:
        yield opened


@pytest.fixture
def slabs(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Any]]:
    """Memory that stores take from now on."""
    taken: list[weakref.ref[Any]] = []

    def slab(num_pages: int) -> Slab:
        made = Slab(num_pages)
        taken.extend((weakref.ref(made), weakref.ref(made.memory)))
        return made

    for where in ("direct.direct_rows", "cache.row_cache"):
        monkeypatch.setattr(f"engramctl.storage.{where}.Slab", slab)
    return taken


@pytest.mark.parametrize("words", [MIXTURE, BUDGET])
def test_close_gives_the_memory_back_and_what_was_counted_stays(
    folder: Path, slabs: list[weakref.ref[Any]], words: str
) -> None:
    with open_store(folder, **WORDS[words]) as store:
        for _ in range(2):
            store.gather(1, IDS)
        open_still = store.prefetch({1: IDS + 300})
        counted = store.stats()
        assert all(one() is not None for one in slabs)
    del open_still
    assert len(slabs) >= 2
    assert all(one() is None for one in slabs)  # while the store is still there
    after = store.stats()
    assert after.rows_by_tier == counted.rows_by_tier
    assert after.cache_hits == counted.cache_hits
    assert after.cache_rows == after.cache_bytes == 0
    store.close()


def test_a_child_counts_on_where_its_parent_was(folder: Path) -> None:
    with open_store(folder, MIXTURE) as store:
        store.gather(1, IDS)
        store.gather(1, IDS[:100])
        before = store.stats()

        def counts_on() -> bool:
            begun = store.stats()
            store.gather(1, IDS[:10])  # its own cache is empty
            now = store.stats()
            return (
                (begun.rows_by_tier, begun.cache_hits) == (before.rows_by_tier, before.cache_hits)
                and now.rows_by_tier["ssd"] == before.rows_by_tier["ssd"] + 10
                and now.rows_by_tier["host"] == before.rows_by_tier["host"]
            )

        assert before.rows_by_tier == {"host": 100, "ssd": 300}
        assert in_child(counts_on) == 0


def test_a_child_of_a_closed_store_takes_no_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(folder, MIXTURE)
    store.close()
    taken: list[int] = []

    def slab(num_pages: int) -> Slab:
        taken.append(num_pages)
        return Slab(num_pages)

    monkeypatch.setattr("engramctl.storage.direct.direct_rows.Slab", slab)
    assert in_child(lambda: not taken and store.stats().cache_rows == 0) == 0


WRONG: dict[str, Any] = {
    "below": np.arange(-48, 0),  # of a mixture, keys of the layer before
    "beyond": np.array([0, ROWS[4]]),
    "floats": np.array([1.0]),
    "uint32": np.array([1], np.uint32),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("what", ["warm", "drop"])
def test_rows_that_are_none_are_refused(store: Store, what: str, wrong: str) -> None:
    call: Callable[[Any], None] = getattr(store, what)
    store.gather(1, IDS)
    rows = store.stats().cache_rows
    with pytest.raises(ValueError, match="row id"):
        call({1: IDS[:3], 4: WRONG[wrong]})
    with pytest.raises(ValueError, match="layer 9"):
        call({9: IDS})
    assert store.stats().cache_rows == rows


@pytest.mark.parametrize("what", ["warm", "drop"])
def test_rows_are_named_as_in_a_gather(store: Store, what: str) -> None:
    call: Callable[[Any], None] = getattr(store, what)
    want = store.gather(1, IDS)
    asked: list[Any] = [{}, {1: IDS[:0]}, {1: IDS.astype(np.int32)}, {4: torch.arange(9), 1: [7]}]
    for rows in asked:
        call(rows)
    assert torch.equal(store.gather(1, IDS), want)


@pytest.mark.parametrize(
    ("words", "rows"), [(MIXTURE, True), (BUDGET, False), ("ssd", False), ("host", False)]
)
def test_a_store_tells_how_many_rows_it_keeps(folder: Path, words: str, rows: bool) -> None:
    with open_store(folder, **WORDS[words]) as store:
        assert bool(store.cache_capacity) == rows
        if isinstance(store, SsdStore) and rows:
            everything = {layer: np.arange(count) for layer, count in ROWS.items()}
            store.warm(everything)
            assert store.stats().cache_rows == min(store.cache_capacity, sum(ROWS.values()))


@pytest.mark.parametrize("tier", [MIXTURE, "ssd", "host"])
@pytest.mark.parametrize("device", ["meta", "mps"])
def test_rows_go_to_the_cpu_or_a_cuda_device(folder: Path, tier: str, device: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown device '{device}'") as refused:
        open_store(folder, tier, device=device)
    assert "cuda:N" in str(refused.value.hint)
