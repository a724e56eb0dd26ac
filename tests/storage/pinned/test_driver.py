"""What the CUDA driver says, with a library that is not there or that answers."""

import ctypes
from typing import Any

import pytest

from engramctl.storage.pinned import driver


def number(reference: Any) -> Any:
    """Where a call writes its answer."""
    return ctypes.cast(reference, ctypes.POINTER(ctypes.c_int))


class Library:
    """A driver with two devices; calls of `fails` do not work."""

    def __init__(self, fails: str = "", reads: int = 1) -> None:
        self.fails, self.reads = fails, reads

    def __getattr__(self, name: str) -> Any:
        if name == self.fails:
            return lambda *words: 100  # CUDA_ERROR_NO_DEVICE
        return getattr(self, f"_{name}")

    def _cuInit(self, flags: Any) -> int:
        return 0

    def _cuDeviceGet(self, device: Any, index: int) -> int:
        number(device)[0] = index + 7
        return 0

    def _cuDeviceGetAttribute(
        self, found: Any, attribute: ctypes.c_int, device: ctypes.c_int
    ) -> int:
        assert (attribute.value, device.value) == (91, 8)
        number(found)[0] = self.reads
        return 0

    def _cuDeviceGetPCIBusId(self, name: Any, size: ctypes.c_int, device: ctypes.c_int) -> int:
        assert (size.value, device.value) == (32, 8)
        name.value = b"0000:65:00.0"
        return 0


@pytest.mark.parametrize("fails", ["", "cuInit", "cuDeviceGet", "cuDeviceGetAttribute"])
@pytest.mark.parametrize("reads", [0, 1])
def test_a_device_reads_registered_memory_only_when_the_driver_says_so(
    monkeypatch: pytest.MonkeyPatch, fails: str, reads: int
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library(fails, reads))
    assert driver.reads_registered(1) is (not fails and bool(reads))


@pytest.mark.parametrize("fails", ["", "cuInit", "cuDeviceGet", "cuDeviceGetPCIBusId"])
def test_the_bus_address_is_the_drivers_or_not_known(
    monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library(fails))
    assert driver.pci_bus_id(1) == (None if fails else "0000:65:00.0")


def test_without_a_driver_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert driver.reads_registered(0) is False
    assert driver.pci_bus_id(0) is None
