"""Which kernel runs where; loads none of them."""

from importlib.util import find_spec

LARGEST_VECTOR_MODULUS = 2**30


def kernel(device_type: str, largest_modulus: int = 0) -> str:
    """Return `numba`, `triton`, `torch` or `numpy`, the kernel for a kind of device.

    Args:
        device_type: `cpu`, `cuda` or another type torch knows.
        largest_modulus: of the scheme.
    """
    if device_type == "cpu":
        return "numba" if largest_modulus <= LARGEST_VECTOR_MODULUS else "numpy"
    if device_type == "cuda" and find_spec("triton"):
        return "triton"
    return "torch"
