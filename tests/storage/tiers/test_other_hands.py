"""A store in the hands of others: sent to another process, and called by compiled code."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.hashing import make_scheme
from engramctl.storage import Store, open_store
from engramctl.storage.reading.table import open_table
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.tables import make_plan, write

IDS = torch.tensor([[3, 1], [2, 3]])
OPENED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("host", {}),
    ("ssd", {}),
    ("ssd", {"budget_bytes": 8 << 20}),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hands") / "t"
    write(make_plan(form="paged", rows={1: 997}), path)
    return path


@pytest.fixture(params=OPENED, ids=["host", "mapped", "direct"])
def store(folder: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    tier, options = request.param
    with open_store(folder, tier, dtype=torch.float32, **options) as opened:
        yield opened


def test_a_store_of_ssd_rows_is_pickled_by_path_and_others_say_what_to_do(store: Store) -> None:
    if store.tier != "ssd":
        with pytest.raises(TypeError, match="open one in each process"):
            pickle.dumps(store)
        return
    data = pickle.dumps(store)
    assert len(data) < 2000
    with pickle.loads(data) as again:
        assert (again.tier, again.mode, again.dtype) == ("ssd", store.mode, torch.float32)
        assert torch.equal(again.gather(1, IDS), store.gather(1, IDS))
    assert store.gather(1, IDS).shape == (2, 2, 32)  # its copy was closed, it was not


def test_a_store_of_rows_that_were_open_already_has_no_path_to_be_pickled_by(folder: Path) -> None:
    with (
        SsdStore(open_table(folder), torch.float32, torch.device("cpu"), None) as made,
        pytest.raises(TypeError, match="open one in each process"),
    ):
        pickle.dumps(made)


def test_a_pickled_store_is_opened_by_a_new_process_in_another_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    with open_store(folder.name, "ssd", dtype=torch.float32) as opened:
        (tmp_path / "store").write_bytes(pickle.dumps(opened))
        want = opened.gather(1, IDS).sum().item()
    code = "import pickle; s = pickle.load(open('store', 'rb')); "
    code += "print(s.gather(1, [[3, 1], [2, 3]]).sum().item())"
    code = code.replace("[[3, 1], [2, 3]]", "__import__('torch').tensor([[3, 1], [2, 3]])")
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) == want


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_code_calls_a_store_and_gets_its_rows(store: Store, backend: str) -> None:
    def gathered(ids: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return store.gather(1, ids).flatten(-2) * (x * 2).sum() + 1

    def prefetched(ids: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        ticket = store.prefetch({1: ids})
        y = x * 2
        return ticket.wait(1).flatten(-2) * y.sum() + 1

    for function in (gathered, prefetched):
        _same_compiled(function, backend, IDS, torch.ones(3))


def test_compiled_code_hashes_and_gathers(store: Store) -> None:
    scheme = make_scheme("engram", slots=23, orders=[2], heads_per_order=2)

    def looked_up(tokens: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        ids = scheme.row_ids(tokens, 1)
        return store.gather(1, ids).flatten(-2) * x.sum()

    _same_compiled(looked_up, "eager", torch.arange(12).view(2, 6), torch.ones(3))


def _same_compiled(function: Callable[..., torch.Tensor], backend: str, *given: Any) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(function, backend=backend)
    for shorter in (given, (given[0][:1], *given[1:])):
        assert np.array_equal(compiled(*shorter), function(*shorter))
