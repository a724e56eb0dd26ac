"""What the CUDA driver says of a device that torch does not."""

import ctypes

_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM = 91  # CUdevice_attribute


def reads_registered(index: int) -> bool:
    """Tell whether kernels on a device read registered host memory at its own address."""
    found = ctypes.c_int(0)
    device = _device(index)
    if device is None:
        return False
    driver, number = device
    attribute = ctypes.c_int(_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM)
    return driver.cuDeviceGetAttribute(ctypes.byref(found), attribute, number) == 0 and bool(
        found.value
    )


def pci_bus_id(index: int) -> str | None:
    """Return the bus address of a device, as `0000:65:00.0`; None: it is not known."""
    device = _device(index)
    if device is None:
        return None
    driver, number = device
    name = ctypes.create_string_buffer(32)
    if driver.cuDeviceGetPCIBusId(name, ctypes.c_int(len(name)), number) != 0:
        return None
    return name.value.decode()


def _device(index: int) -> tuple[ctypes.CDLL, ctypes.c_int] | None:
    """Return the driver's library and its handle of a device; it numbers them as torch does."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    number = ctypes.c_int(0)
    if driver.cuInit(ctypes.c_uint(0)) or driver.cuDeviceGet(ctypes.byref(number), index):
        return None
    return driver, number
