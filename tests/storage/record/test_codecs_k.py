"""Types that are read and never written have the values of ggml's own library, bit for bit."""

import gguf
import numpy as np
import pytest

from engramctl.storage.record.codecs_k import READ_ONLY


@pytest.mark.parametrize("name", READ_ONLY)
def test_values_are_the_librarys(name: str) -> None:
    kind = READ_ONLY[name]
    library = getattr(gguf.GGMLQuantizationType, name)
    assert gguf.GGML_QUANT_SIZES[library] == (kind.block_values, kind.block_bytes)
    random = np.random.default_rng(7)
    records = random.integers(0, 256, (300, 3 * kind.block_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):  # scales of all bits: NaN and infinities too
        wanted = gguf.quants.dequantize(records, library)
    found = kind.values(records)
    assert found.dtype == np.float32
    assert np.isfinite(wanted).mean() > 0.5
    assert np.array_equal(found, wanted, equal_nan=True)
