"""The kernels that wait, as machine code: what Triton's interpreter cannot show of memory."""

import re
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is not installed")

from engramctl.storage.device.triton_gather import EXACT
from engramctl.storage.pinned import triton_words

KERNELS = {
    "wait_kernel": {"word": "*i32", "number": "i32"},
    "wait_next_kernel": {"word": "*i32", "seen": "*i32"},
    "tell_kernel": {"seen": "*i32", "word": "*i32"},
}


def ptx(name: str) -> str:
    """What a kernel becomes for an H100."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    source = ASTSource(getattr(triton_words, name), signature=KERNELS[name], constexprs={})
    how = EXACT | {"num_warps": 1}
    return str(triton.compile(source, target=GPUTarget("cuda", 90, 32), options=how).asm["ptx"])


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("name", ["wait_kernel", "wait_next_kernel"])
def test_what_the_host_wrote_before_a_word_is_seen_behind_it(name: str) -> None:
    """The word is read anew in each turn of a loop; then a fence, then whatever is told."""
    code = ptx(name)
    (loop,) = re.findall(r"(\$L__BB\w+):(?:(?!\n\$L__BB).)*ld\.volatile\.global\.b32", code, re.S)
    assert re.search(r"bra(\.uni)?\s+\$L__BB", code[code.index("ld.volatile") :])
    assert loop
    after = code[code.index("ld.volatile") :]
    assert after.count("fence.acq_rel.sys") == 1
    told = re.search(r"st\.global", after)
    assert (told is not None) == (name == "wait_next_kernel")
    assert told is None or after.index("fence.acq_rel.sys") < told.start()


def test_what_the_device_has_seen_is_written_through_to_the_host() -> None:
    """Who waits for it is no kernel, and the graph goes on meanwhile."""
    assert "st.global.wt.b32" in ptx("tell_kernel")
