# mypy: disable-error-code="no-untyped-call"
"""A CUDA machine without one: torch's FakeTensorMode, and what it leaves out.

Tensors have a device, a dtype and a shape, and no values: an operation on two devices, or one that
has to wait for a value, raises as it would (or would wait) on a GPU.
"""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engramctl.residual import mhc, sinkhorn
from engramctl.storage.device import torch_codecs as widen
from tests.helpers.mapped import is_mapped

CACHES = (widen.table_on, mhc.alpha_of_column, sinkhorn.summing)
DEVICES = 2
_CUDA, _META = 1, 14  # c10::DeviceType


@dataclass
class Cudart:
    """Host memory registered with CUDA, as `torch.cuda.cudart()` does it: counted, not pinned.

    Attributes:
        fails: number of the registration that fails, counted from 0; -1: none.
        keeps: whether nothing is let go of any more.
        calls: registrations so far.
        spans: address -> bytes of what is registered now.
        largest: bytes of the largest registration.
    """

    fails: int = -1
    keeps: bool = False
    calls: int = 0
    spans: dict[int, int] = field(default_factory=dict)
    largest: int = 0

    def cudaHostRegister(self, start: int, size: int, flags: int) -> int:
        self.calls += 1
        if self.calls - 1 == self.fails:
            return 2  # cudaErrorMemoryAllocation
        assert flags == 3
        assert start % mmap.PAGESIZE == size % mmap.PAGESIZE == 0 < size
        assert is_mapped(start)
        assert is_mapped(start + size - 1)
        for other, length in tuple(self.spans.items()):  # another thread may register meanwhile
            assert start + size <= other or other + length <= start
        self.spans[start] = size
        self.largest = max(self.largest, size)
        return 0

    def cudaHostUnregister(self, start: int) -> int:
        if self.keeps:
            return 713  # cudaErrorHostMemoryNotRegistered
        assert is_mapped(start)
        del self.spans[start]
        return 0


@contextmanager
def fake_cudart(**words: Any) -> Iterator[Cudart]:
    """Let host memory be registered for a device that is not there; tensors are real."""
    cudart = Cudart(**words)
    with ExitStack() as stack:
        for name, stand_in in _registering(cudart).items():
            stack.enter_context(patch(name, stand_in))
        stack.enter_context(patch("torch.cuda.device", lambda device: nullcontext()))
        yield cudart


def _registering(cudart: Cudart) -> dict[str, Any]:
    return {
        "torch.cuda.cudart": lambda: cudart,
        "engramctl.storage.pinned.driver.reads_registered": lambda index: True,
        "engramctl.storage.pinned.pinned.pci_bus_id": lambda index: None,
    }


@dataclass
class Machine:
    """What happened on the fake machine.

    Attributes:
        uploads: operations that read a tensor of the CPU and gave one of a device.
        downloads: the other way; each waits for the device.
        queued: bytes of each copy to the host that was told not to wait; whether the memory it
            goes to is pinned, so that it does not, a fake tensor cannot say.
        waits: devices that were synchronised, and events that were waited for.
        launches: kernels of ours that were started, each with the device that was current.
        current: index of the current device.
        cudart: what it has registered of host memory.
        graphs: `made`, `begin`, `end`, `replay` of each CUDA graph, numbered from 0 as made.
        capturing: whether a graph is being captured, on any stream.
    """

    uploads: list[str] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    launches: list[tuple[str, int]] = field(default_factory=list)
    current: int = 0
    cudart: Cudart = field(default_factory=Cudart)
    graphs: list[tuple[str, int]] = field(default_factory=list)
    capturing: bool = False

    def not_in_a_capture(self) -> None:
        """Refuse what a stream that is being captured does not permit, in CUDA's words."""
        if self.capturing:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    def synchronize(self, device: Any = None) -> None:
        """Wait for a device."""
        self.not_in_a_capture()
        self.waits.append(str(device))


class _Transfers(TorchDispatchMode):
    """Sees every operation, and between which kinds of device it runs."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        made = {one.device.type for one in tree_leaves(result) if isinstance(one, torch.Tensor)}
        read = {one.device.type for one in given if one.dim() or len(given) == 1}
        if made == {"cuda"} and "cpu" in read:
            self._machine.not_in_a_capture()  # of memory that torch did not pin
            self._machine.uploads.append(str(func))
        if made == {"cpu"} and "cuda" in read:
            if func is torch.ops.aten.copy_.default and args[2:] == (True,):
                self._machine.queued.append(result.nbytes)
            else:
                self._machine.downloads.append(str(func))
        return result


class _Generator(torch.Generator):
    """Of the CPU, whatever the device: values are not drawn."""

    def __new__(cls, device: Any = "cpu") -> Self:
        return super().__new__(cls)


class _Mode(FakeTensorMode):
    """Takes care not to start CUDA, although the machine says that it has a device."""

    @property
    def avoid_device_init(self) -> bool:
        return True


@contextmanager
def _device_guards() -> Iterator[None]:
    """Lend CUDA the device guard of `meta` tensors, which does nothing.

    `x[...]`, `copy_` and others make their tensor's device the current one through what the CUDA
    library registers; a build without CUDA has an empty place there.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    places = ctypes.c_void_p * (_META + 1)
    guards = places.in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    cuda = guards[_CUDA]
    guards[_CUDA] = cuda or guards[_META]
    try:
        yield
    finally:
        guards[_CUDA] = cuda


@contextmanager
def fake_cuda(current: int = 0) -> Iterator[Machine]:
    """Let torch believe in two CUDA devices; nothing may read a value."""
    machine = Machine(current=current)
    replaced: dict[str, Any] = {
        **_registering(machine.cudart),
        "torch.cuda.is_available": lambda: True,
        "torch.cuda.device_count": lambda: DEVICES,
        "torch.cuda.current_device": lambda: machine.current,
        "torch.cuda.device": partial(_device, machine),
        "torch.Tensor.record_stream": lambda tensor, stream: None,
        "engramctl.storage.device.triton_gather.gather_kernel": _Kernel("gather", machine),
        "engramctl.storage.device.triton_gather.copy_kernel": _Kernel("copy", machine),
        "engramctl.storage.device.triton_gather.address_of": lambda records: 0,
        "engramctl.storage.pinned.triton_words.wait_kernel": _Kernel("wait", machine),
        "engramctl.storage.pinned.triton_words.wait_next_kernel": _Kernel("wait next", machine),
        "engramctl.storage.pinned.triton_words.tell_kernel": _Kernel("tell", machine),
        "torch.cuda.synchronize": machine.synchronize,
        "torch.cuda.mem_get_info": lambda device=None: (_Properties.total_memory,) * 2,
        "torch.cuda.get_device_properties": lambda index: _Properties(),
        "torch.cuda.Event": partial(_Event, machine),
        "torch.cuda.Stream": _Stream,
        "torch.cuda.current_stream": _Stream,
        "torch.cuda.stream": nullcontext,
        "torch.cuda.graph_pool_handle": lambda: (0, 1),
        "torch.cuda.CUDAGraph": partial(_Graph, machine),
        "torch.cuda.is_current_stream_capturing": lambda: machine.capturing,
        "torch.cuda.device_of": nullcontext,
        "torch.Generator": _Generator,
        "torch._subclasses.fake_tensor.CONSTANT_NUMEL_LIMIT": -1,  # not even of one element
    }
    for cache in CACHES:
        cache.cache_clear()  # no real tensor may be met in the mode, and no fake one after it
    try:
        with ExitStack() as stack:
            for name, stand_in in replaced.items():
                missing = "triton_gather" in name  # where triton is not, its kernels are not either
                stack.enter_context(patch(name, stand_in, create=missing))
            stack.enter_context(_device_guards())
            stack.enter_context(_Mode())
            stack.enter_context(_Transfers(machine))
            yield machine
    finally:
        for cache in CACHES:
            cache.cache_clear()


@contextmanager
def _device(machine: Machine, device: Any) -> Iterator[None]:
    before, machine.current = machine.current, torch.device(device).index
    try:
        yield
    finally:
        machine.current = before


class _Kernel:
    """A Triton kernel that does nothing."""

    def __init__(self, name: str, machine: Machine) -> None:
        self._name = name
        self._machine = machine

    def __getitem__(self, programs: tuple[int, ...]) -> Any:
        assert min(programs) > 0

        def launch(*arguments: Any, **options: Any) -> None:
            self._machine.launches.append((self._name, self._machine.current))

        return launch


class _Event:
    """An event of a device that never comes so far: nothing may depend on it."""

    def __init__(self, machine: Machine, *, enable_timing: bool = False) -> None:
        self._machine = machine
        self._timed = enable_timing

    def record(self, stream: "_Stream | None" = None) -> None:
        pass

    def query(self) -> bool:
        self._machine.not_in_a_capture()
        return False

    def synchronize(self) -> None:
        self._machine.not_in_a_capture()
        self._machine.waits.append("event")

    def elapsed_time(self, later: "_Event") -> float:
        assert self._timed
        return 1.0


class _Stream:
    def __init__(self, device: Any = None) -> None:
        pass

    def wait_stream(self, other: "_Stream") -> None:
        pass

    def wait_event(self, event: _Event) -> None:
        pass

    def synchronize(self) -> None:
        pass


class _Graph:
    """Captures nothing; tells what was asked of it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._number = 1 + max((number for _, number in machine.graphs), default=-1)
        self._tell("made")

    def capture_begin(self, **words: Any) -> None:
        self._machine.capturing = True
        self._tell("begin")

    def capture_end(self) -> None:
        self._machine.capturing = False
        self._tell("end")

    def replay(self) -> None:
        self._tell("replay")

    def _tell(self, what: str) -> None:
        self._machine.graphs.append((what, self._number))


class _Properties:
    name = "a CUDA device that is not there"
    total_memory = 80 << 30
    major, minor = 9, 0
