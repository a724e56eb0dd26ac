"""Tokens on a device, without one: what is checked before a kernel starts, and how it starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.hashing import DictionaryScheme, Scheme
from engramctl.hashing.kernels.device import DeviceWalk
from tests.hashing.dictionaries import SMALL
from tests.hashing.presets import SCHEMES
from tests.helpers.fake_cuda import fake_cuda

V41 = SCHEMES["deepseek-v41"]
LAYER = V41.layers[0]
CALLS: list[tuple[torch.Tensor, ...]] = []


class Recorder:
    """A walk that finds nothing wrong and keeps its arguments."""

    def __init__(self, plan: Any, device: torch.device) -> None:
        self.device = device

    def __call__(self, *arguments: Any) -> int:
        *tensors, later = arguments
        assert not later
        CALLS.append(tuple(tensors))
        return -1


@pytest.fixture
def _recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    V41.walks.clear()
    monkeypatch.setattr("engramctl.hashing.kernels.device.device_walk", Recorder)


@pytest.mark.usefixtures("_recorded")
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 5), (7,), (2, 7), (2, 3, 7)])
@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64, torch.uint8])
def test_a_walk_gets_two_axes_of_contiguous_ids_on_their_device(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    with fake_cuda():
        ids = torch.zeros(tuple(reversed(shape)), dtype=dtype, device="cuda:1").permute(
            *reversed(range(len(shape)))
        )
        found = V41.row_ids(ids, LAYER)
        assert found.shape == (*shape, V41.num_heads)
        assert found.dtype == torch.int32
        ((tokens_BT, history_BC, out_BTH),) = CALLS
        assert {one.device for one in CALLS[0]} == {torch.device("cuda:1")}
        assert tokens_BT.shape == (np.prod(shape[:-1]), shape[-1])
        assert tokens_BT.dtype in (torch.int32, torch.int64)
        assert history_BC.shape == (len(tokens_BT), V41.max_order - 1)
        assert out_BTH.shape == (*tokens_BT.shape, V41.num_heads)
        assert all(one.is_contiguous() for one in CALLS[0])


@pytest.mark.usefixtures("_recorded")
def test_what_a_kernel_would_read_or_write_wrongly_is_refused() -> None:
    shape = (2, 7, V41.num_heads)
    with fake_cuda():
        ids = torch.zeros((2, 7), dtype=torch.int64, device="cuda")
        for wrong in (ids.float(), ids.bool(), ids[0, 0]):
            with pytest.raises(ValueError, match="token ids must be integers"):
                V41.row_ids(wrong, LAYER)
        for out in (
            torch.empty(shape, dtype=torch.int32),
            torch.empty(shape, dtype=torch.int32, device="cuda:1"),
            torch.empty(shape, dtype=torch.float32, device="cuda"),
            torch.empty((2, 7, 1), dtype=torch.int32, device="cuda"),
            torch.empty((7, 2, V41.num_heads), dtype=torch.int32, device="cuda").transpose(0, 1),
        ):
            with pytest.raises(ValueError, match=r"out must (be contiguous|hold)"):
                V41.row_ids(ids, LAYER, out=out)
        assert CALLS == []
        out = torch.empty(shape, dtype=torch.int64, device="cuda")
        assert V41.row_ids(ids, LAYER, out=out) is out


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
def test_torch_operations_of_a_walk_stay_on_the_device(scheme: Scheme) -> None:
    plan = scheme.plans[scheme.layers[0]]
    with fake_cuda() as machine:
        walk = DeviceWalk(plan, torch.device("cuda:1"))
        machine.uploads.clear()
        ids_BS = torch.zeros((2, scheme.max_order - 1 + 7), dtype=torch.int64, device="cuda:1")
        bad, rows = walk.bad_ids(ids_BS), walk.rows_of(ids_BS)
        assert (bad.shape, bad.device) == (ids_BS.shape, ids_BS.device)
        assert (rows.shape, rows.device) == ((2, 7, scheme.num_heads), ids_BS.device)
        assert machine.uploads == machine.downloads == []


def test_a_dictionary_writes_only_where_its_rows_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DictionaryScheme.row_ids

    def looked_up(scheme: Any, ids: Any, layer: int, history: Any = None, out: Any = None) -> Any:
        # not `check`: what is asked again on the CPU is checked now
        if ids.device.type == "cpu":  # a fake tensor has no ids to look up
            return torch.zeros((*ids.shape, 1), dtype=torch.int32)
        return whole(scheme, ids, layer, history, out)

    monkeypatch.setattr(DictionaryScheme, "row_ids", looked_up)
    with fake_cuda():
        ids = torch.zeros((1, 5), dtype=torch.int64, device="cuda")
        out = torch.empty((1, 5, 1), dtype=torch.int64, device="cuda")
        assert SMALL.row_ids(ids, 0, out=out) is out
        assert SMALL.row_ids(ids, 0).device == ids.device
        for wrong in (out.cpu(), out.float(), torch.empty((3, 5, 1), device="cuda").int()):
            with pytest.raises(ValueError, match=r"out must (be contiguous|hold)"):
                SMALL.row_ids(ids, 0, out=wrong)
        with pytest.raises(ValueError, match="out must be signed"):
            SMALL.row_ids(ids, 0, out=out.to(torch.uint8))


def test_triton_is_started_on_the_device_of_its_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    from engramctl.hashing.kernels import triton_walk

    current: list[torch.Tensor] = []
    started_on: list[torch.Tensor] = []

    @contextmanager
    def device_of(tensor: torch.Tensor) -> Iterator[None]:
        current.append(tensor)
        yield
        current.pop()

    class Kernel:
        def __getitem__(self, programs: tuple[int, ...]) -> Any:
            return lambda *arguments, **options: started_on.extend(current)

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    monkeypatch.setattr(triton_walk, "walk_kernel", Kernel())
    ids_BT = torch.zeros((1, 5), dtype=torch.int64)
    past_BC = torch.zeros((1, V41.max_order - 1), dtype=torch.int64)
    out = torch.empty((1, 5, V41.num_heads), dtype=torch.int32)
    walk = triton_walk.TritonWalk(V41.plans[LAYER], torch.device("cpu"))
    assert walk(ids_BT, past_BC, out) == -1
    assert len(started_on) == 1
    assert started_on[0] is ids_BT


VARIANTS = ("deepseek-v41", "longcat-next", "longcat, layers")  # xor, linear with a map, wide
FORMS = [(name, later) for name in VARIANTS for later in (False, True)]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, bool], str]]:
    """Triton's first form of the walk, by name, compiled to machine code for an H100."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from engramctl.hashing.kernels import triton_walk

    kinds = {torch.int32: "*i32", torch.int64: "*i64", torch.float64: "*fp64"}
    forms: dict[tuple[str, bool], str] = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        for name, later in FORMS:
            scheme = SCHEMES[name]
            walk = triton_walk.TritonWalk(scheme.plans[scheme.layers[0]], torch.device("cpu"))
            types = ["*i32", "*i64", *(kinds[one.dtype] for one in walk.constants)]
            types += ["*i32", "*i64", "i64", "i32", "i32", "i32"]
            names = triton_walk.walk_kernel.arg_names
            signature = dict(zip(names, types, strict=False))
            signature |= dict.fromkeys(names[len(types) :], "constexpr")
            sizes = {one: value for one, value in walk.options.items() if one in names}
            sizes["later"] = later
            fixed = {(names.index(one),): value for one, value in sizes.items()}
            source = ASTSource(triton_walk.walk_kernel, signature=signature, constexprs=fixed)
            how = {one: value for one, value in walk.options.items() if one not in names}
            made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=how)
            assert made.asm["cubin"]
            forms[name, later] = made.asm["ttir"]
        yield forms


@pytest.mark.parametrize(("name", "later"), FORMS)
def test_addresses_of_positions_have_64_bits(
    name: str, later: bool, compiled: dict[tuple[str, bool], str]
) -> None:
    """A batch may have more than 2^31 bytes, ids or rows; heads and constants are few."""
    scheme = SCHEMES[name]
    from engramctl.hashing.kernels.triton_walk import TritonWalk

    block = TritonWalk(scheme.plans[scheme.layers[0]], torch.device("cpu")).options["block"]
    of_positions = [
        line
        for line in compiled[name, later].splitlines()
        if "tt.addptr" in line
        and (f"tensor<{block}x!tt.ptr" in line or f"tensor<{block}x1x!tt.ptr" in line)
    ]
    assert len(of_positions) > 2 * scheme.max_order
    for line in of_positions:
        assert "xi64>" in line or "%cst" in line, line
    assert ("tt.atomic_rmw" in compiled[name, later]) != later
