"""The types of ggml's tensors: their numbers, names, and the bytes of a block."""

from engramctl.gguf.header import GgufTensor

I8 = 24
SIZES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
    26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
}  # fmt: skip
"""By number: name, values of a block, bytes of a block."""


def type_name(number: int) -> str:
    """Return a type's name, or its number where it is newer than this list."""
    return SIZES[number][0] if number in SIZES else f"ggml type {number}"


def described(tensor: GgufTensor) -> str:
    """Return a tensor's type and its shape as other formats have it, for messages."""
    return f"{type_name(tensor.kind)} {list(reversed(tensor.shape))}"


def row_bytes(number: int, columns: int) -> int | None:
    """Return the bytes of a row; None where it is no whole number of blocks, or not known."""
    if number not in SIZES or columns % SIZES[number][1]:
        return None
    return columns // SIZES[number][1] * SIZES[number][2]


def rows_of(tensor: GgufTensor, most: int) -> int:
    """Return the rows of a tensor: all its sizes but the first, multiplied; `most` + 1 at most."""
    rows = 1
    for number in tensor.shape[1:]:
        rows = min(rows * number, most + 1)
    return rows
