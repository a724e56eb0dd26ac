"""Rows of ids on a device, checked later: nothing waits, nothing is copied, all can be captured."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from engramctl.errors import ConfigError
from engramctl.hashing import DeviceHistory, Scheme
from engramctl.hashing.kernels import triton_walk
from engramctl.hashing.kernels.device import DeviceWalk
from tests.hashing.presets import SCHEMES
from tests.helpers.fake_cuda import Machine, fake_cuda

V41 = SCHEMES["deepseek-v41"]
LAYER = V41.layers[0]
LAUNCHED: list[dict[str, Any]] = []


class _Kernel:
    """Stands for the Triton kernel; fake tensors have no memory for one to work on."""

    def __getitem__(self, programs: tuple[int, ...]) -> Any:
        return lambda *arguments, **options: LAUNCHED.append(options)


WALKS = {"triton": triton_walk.TritonWalk, "torch": DeviceWalk}
walks = pytest.mark.parametrize("walk", WALKS)


@pytest.fixture
def machine(walk: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A CUDA machine whose tensors take this walk; a scheme keeps no walk of it afterwards."""
    LAUNCHED.clear()
    monkeypatch.setattr(triton_walk, "walk_kernel", _Kernel())
    monkeypatch.setattr(triton_walk, "is_aligned", lambda tensor: tensor.storage_offset() % 2 == 0)
    monkeypatch.setattr("engramctl.hashing.kernels.device.device_walk", WALKS[walk])
    for scheme in SCHEMES.values():
        monkeypatch.setitem(scheme.__dict__, "walks", {})
    with fake_cuda() as fake:
        yield fake


def tokens(shape: tuple[int, ...] = (2, 5), dtype: torch.dtype = torch.int64) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype, device="cuda:1")


@walks
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
def test_after_the_first_call_nothing_leaves_the_device_and_nothing_comes(
    scheme: Scheme, machine: Machine
) -> None:
    layer, context = scheme.layers[0], scheme.max_order - 1
    ids, past = tokens(), tokens((2, context))
    scheme.row_ids(ids, layer, past, check="later")
    assert machine.uploads  # the constants
    machine.uploads.clear()
    out = torch.empty((2, 5, scheme.num_heads), dtype=torch.int64, device="cuda:1")
    assert scheme.row_ids(ids, layer, past, out, check="later") is out
    for history in (None, past, past.int(), past[:, :1], tokens((2, context + 3)), past[:, :0]):
        assert scheme.row_ids(ids.int(), layer, history, check="later").device == ids.device
    assert (machine.uploads, machine.downloads, machine.waits) == ([], [], [])


@walks
def test_rows_checked_now_wait_for_the_answer(walk: str, machine: Machine) -> None:
    with pytest.raises(RuntimeError):  # a fake tensor has no value to wait for
        V41.row_ids(tokens(), LAYER, tokens((2, V41.max_order - 1)))
    if walk == "triton":
        assert [options["later"] for options in LAUNCHED] == [False]


@walks
def test_a_call_like_an_earlier_one_can_be_captured(machine: Machine) -> None:
    ids, past = tokens(), tokens((2, V41.max_order - 1))
    V41.row_ids(ids, LAYER, past, check="later")
    machine.uploads.clear()
    graph = torch.cuda.CUDAGraph()
    graph.capture_begin()
    V41.row_ids(ids, LAYER, past, check="later")
    V41.row_ids(tokens((2, 0)), LAYER, past, check="later")
    graph.capture_end()
    assert (machine.uploads, machine.downloads, machine.waits) == ([], [], [])


@walks
def test_what_cannot_be_captured_is_refused_with_its_reason(walk: str, machine: Machine) -> None:
    ids, past = tokens(), tokens((2, V41.max_order - 1))
    machine.capturing = True
    with pytest.raises(ConfigError, match="the first call of a kind cannot be captured"):
        V41.row_ids(ids, LAYER, past, check="later")
    assert (machine.uploads, LAUNCHED) == ([], [])
    machine.capturing = False
    V41.row_ids(ids, LAYER, past, check="later")
    launched = len(LAUNCHED)
    machine.capturing = True
    with pytest.raises(ConfigError, match="checked now cannot be captured"):
        V41.row_ids(ids, LAYER, past)
    for history in ([[1], [2]], torch.empty((2, 3), device="cuda:0", dtype=torch.int64)):
        with pytest.raises(ConfigError, match="after a history on the host cannot be captured"):
            V41.row_ids(ids, LAYER, history, check="later")
    assert len(LAUNCHED) == launched


@pytest.mark.parametrize("walk", ["triton"])
def test_what_would_be_compiled_in_a_capture_is_refused(machine: Machine) -> None:
    context = V41.max_order - 1
    past, out = tokens((2, context)), torch.empty((2, 5, V41.num_heads), device="cuda:1").int()
    V41.row_ids(tokens(), LAYER, past, out, check="later")
    V41.row_ids(tokens((0, 8)), LAYER, check="later")  # of nothing: nothing was compiled
    machine.capturing = True
    V41.row_ids(tokens((2, 7)), LAYER, past, check="later")  # neither 1 nor a multiple of 16
    others = [
        (tokens(dtype=torch.int32), past, out),
        (tokens(), past, out.long()),
        (tokens((2, 8)), past, None),
        (tokens((1, 1)), past[:1], None),
        (tokens((2, 1)), past, None),
        (tokens((32, 5)), tokens((32, context)), None),
        (tokens((1, 11))[0, 1:].reshape(2, 5), past, out),
    ]
    for ids, history, where in others:
        with pytest.raises(ConfigError, match="the first call of a kind cannot be captured"):
            V41.row_ids(ids, LAYER, history, where, check="later")
    assert len(LAUNCHED) == 2
    machine.capturing = False
    for ids, history, where in others:
        V41.row_ids(ids, LAYER, history, where, check="later")
    machine.capturing = True
    for ids, history, where in others:
        V41.row_ids(ids, LAYER, history, where, check="later")


@walks
def test_a_decode_step_with_its_history_can_be_captured(machine: Machine) -> None:
    history = DeviceHistory(V41.max_order - 1, 4, device="cuda:1")
    ids, back = tokens((4, 1)), tokens((4,))
    for captured in (False, True):
        machine.capturing = captured
        V41.row_ids(ids, LAYER, history.ids, check="later")
        history.append(ids)
        history.roll_back(back)
        history.roll_back(1)
        history.reorder(back)
        if not captured:
            machine.uploads.clear()
    assert history.ids.device == ids.device
    assert (machine.uploads, machine.downloads, machine.waits) == ([], [], [])


@walks
def test_an_unsigned_out_cannot_hold_rows_of_minus_one(machine: Machine) -> None:
    out = torch.empty((2, 5, V41.num_heads), dtype=torch.uint64, device="cuda:1")
    with pytest.raises(ValueError, match="out must be signed, for -1 means a token id outside"):
        V41.row_ids(tokens(), LAYER, out=out, check="later")
    word: Any = "soon"
    with pytest.raises(ValueError, match="check must be 'now' or 'later'"):
        V41.row_ids(tokens(), LAYER, check=word)
