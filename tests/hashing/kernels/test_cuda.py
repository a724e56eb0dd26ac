"""Both device kernels on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from engramctl.errors import ConfigError
from engramctl.hashing import DeviceHistory, make_scheme
from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.device import DeviceWalk
from tests.hashing.presets import SCHEMES, VOCAB

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


# each is compiled once more, which takes a second or two; the interpreter has seen all schemes
SOME = ("deepseek-v41", "longcat-next", "qwen-ple")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, torch.int32) for name in SCHEMES), *((name, torch.int64) for name in SOME)],
)
def test_a_gpu_gives_the_reference_rows(name: str, dtype: torch.dtype) -> None:
    scheme = SCHEMES[name]
    rng = np.random.default_rng(0)
    ids_BT = rng.integers(0, VOCAB, (3, 777))
    past_BC = rng.integers(0, VOCAB, (3, scheme.max_order - 1))
    on_gpu = torch.from_numpy(ids_BT).to("cuda", dtype)
    for layer in scheme.layers:
        plan = scheme.plans[layer]
        expected = reference.row_ids(np.concatenate([past_BC, ids_BT], axis=1), plan)
        chosen = scheme.row_ids(on_gpu, layer, past_BC)
        np.testing.assert_array_equal(chosen.cpu().numpy(), expected)
        out = torch.full(expected.shape, -7, dtype=torch.int64, device="cuda")
        walk = DeviceWalk(plan, on_gpu.device)
        assert walk(on_gpu, torch.from_numpy(past_BC).cuda(), out) == -1
        np.testing.assert_array_equal(out.cpu().numpy(), expected)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 64])
def test_one_token_is_a_batch_too(length: int) -> None:
    """Triton makes other code for sizes that are 1 or divide by 16."""
    scheme = SCHEMES["deepseek-v41"]
    ids_BT = np.random.default_rng(length).integers(0, VOCAB, (2, length))
    layer = scheme.layers[0]
    found = scheme.row_ids(torch.from_numpy(ids_BT).cuda(), layer)
    np.testing.assert_array_equal(found.cpu().numpy(), scheme.row_ids(ids_BT, layer))


def test_no_tokens_give_no_rows_on_a_gpu() -> None:
    scheme = SCHEMES["deepseek-v41"]
    for shape in ((0,), (2, 0), (0, 5)):
        ids = torch.empty(shape, dtype=torch.int64, device="cuda")
        assert scheme.row_ids(ids, scheme.layers[0]).shape == (*shape, scheme.num_heads)


def test_a_gpu_names_the_first_bad_id() -> None:
    scheme = make_scheme("deepseek-v41", vocab_size=VOCAB)
    ids_BT = torch.zeros((2, 9), dtype=torch.int64, device="cuda")
    ids_BT[1, 4] = VOCAB
    ids_BT[1, 7] = -5
    with pytest.raises(ValueError, match=f"token id {VOCAB} at sequence 1, position 4"):
        scheme.row_ids(ids_BT, scheme.layers[0])


def spoilt(batch: int, length: int, seed: int) -> torch.Tensor:
    """Ids on the GPU of which some are outside."""
    rng = np.random.default_rng(seed)
    ids_BT = rng.integers(0, VOCAB, (batch, length))
    outside = rng.choice([VOCAB, 2**40, -5], ids_BT.shape)
    return torch.from_numpy(np.where(rng.random(ids_BT.shape) < 0.1, outside, ids_BT)).cuda()


@contextmanager
def waits_are_errors() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", [*SOME, "engram", "longcat, layers"])
def test_a_gpu_marks_the_windows_of_bad_ids(name: str) -> None:
    scheme = SCHEMES[name]
    ids, past = spoilt(3, 77, 1), spoilt(3, scheme.max_order - 1, 2)
    whole_BS = torch.cat([past, ids], dim=1).cpu().numpy()
    for layer in scheme.layers:
        plan = scheme.plans[layer]
        expected = reference.marked_row_ids(whole_BS, plan)
        found = scheme.row_ids(ids, layer, past, check="later")
        np.testing.assert_array_equal(found.cpu().numpy(), expected)
        out = torch.full(expected.shape, -7, dtype=torch.int64, device="cuda")
        assert DeviceWalk(plan, ids.device)(ids, past, out, later=True) == -1
        np.testing.assert_array_equal(out.cpu().numpy(), expected)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("name", SOME)
def test_rows_checked_later_wait_for_nothing(name: str) -> None:
    scheme = SCHEMES[name]
    ids, past = spoilt(2, 11, 3), spoilt(2, scheme.max_order - 1, 4)
    layer = scheme.layers[0]
    scheme.row_ids(ids, layer, past, check="later")  # the first call copies constants
    with waits_are_errors():
        for history in (past, past[:, :1], None):
            scheme.row_ids(ids, layer, history, check="later")


@pytest.mark.parametrize("walk", ["chosen", "torch"])
@pytest.mark.parametrize("name", SOME)
def test_a_captured_call_gives_the_rows_of_other_ids(
    name: str, walk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = SCHEMES[name]
    layer, shape = scheme.layers[0], (4, 3)
    ids, past = spoilt(*shape, 0), spoilt(4, scheme.max_order - 1, 1)
    monkeypatch.setitem(scheme.__dict__, "walks", {})
    if walk == "torch":
        scheme.walks[layer, ids.device] = DeviceWalk(scheme.plans[layer], ids.device)
    out = scheme.row_ids(ids, layer, past, check="later")
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        with pytest.raises(ConfigError, match="checked now cannot be captured"):
            scheme.row_ids(ids, layer, past, out)
        with pytest.raises(ConfigError, match="history on the host"):
            scheme.row_ids(ids, layer, [[1]] * 4, out, check="later")
        scheme.row_ids(ids, layer, past, out, check="later")
    for seed in range(2, 8):
        ids.copy_(spoilt(*shape, seed))
        past.copy_(spoilt(4, scheme.max_order - 1, seed + 10))
        out.fill_(-7)
        graph.replay()
        expected = scheme.row_ids(ids.cpu().numpy(), layer, past.cpu().numpy(), check="later")
        np.testing.assert_array_equal(out.cpu().numpy(), expected)


def test_a_captured_decode_step_keeps_its_own_history() -> None:
    scheme, batch, steps = SCHEMES["deepseek-v41"], 3, 9
    layer = scheme.layers[0]
    whole_BT = torch.from_numpy(np.random.default_rng(5).integers(0, VOCAB, (batch, steps))).cuda()
    history = DeviceHistory(scheme.max_order - 1, batch, device="cuda")
    ids = whole_BT[:, :1].clone()
    out = scheme.row_ids(ids, layer, history.ids, check="later")
    history.append(ids)
    history.roll_back(1)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        scheme.row_ids(ids, layer, history.ids, out, check="later")
        history.append(ids)
    found = []
    for t in range(steps):
        ids.copy_(whole_BT[:, t : t + 1])
        graph.replay()
        found.append(out.cpu().numpy())
    expected = scheme.row_ids(whole_BT.cpu().numpy(), layer)
    np.testing.assert_array_equal(np.concatenate(found, axis=1), expected)


def test_row_ids_beyond_two_gib_are_written_where_they_belong() -> None:
    """2^27 tokens of 24 heads are 12 GiB of int32: every address needs 64 bits."""
    scheme = make_scheme("deepseek-v41", vocab_size=VOCAB)
    layer, tokens = scheme.layers[0], 1 << 27
    needed = tokens * (4 + 4 * scheme.num_heads)
    if torch.cuda.mem_get_info()[0] < needed * 1.1:
        pytest.skip(f"needs {needed >> 30} GiB of device memory")
    ids_BT = torch.randint(0, VOCAB, (1, tokens), dtype=torch.int32, device="cuda")
    found = scheme.row_ids(ids_BT, layer)
    for start in (0, (1 << 31) // scheme.num_heads - 500, tokens - 1000):
        some, past = ids_BT[:, start : start + 1000], ids_BT[:, max(0, start - 9) : start]
        expected = scheme.row_ids(some.cpu().numpy(), layer, past.cpu().numpy())
        np.testing.assert_array_equal(found[:, start : start + 1000].cpu().numpy(), expected)
