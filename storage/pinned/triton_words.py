"""Words in host memory that a stream waits for: what lets a step be queued before its rows came.

One thread of one program looks at a word until it has a number; what is queued behind it runs then.
What the host wrote before the word is seen from then on, by whatever comes behind: a fence says so.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from engramctl.storage.device.triton_codecs import INTERPRETED

try:
    import triton
    import triton.language as tl
except ImportError:  # CPU builds of torch come without it
    triton = None

if triton is not None:
    _INTERPRETED = tl.constexpr(INTERPRETED)

    @triton.jit
    def _fence(number):
        """Return a number, and order what is read later behind what it was read from."""
        if not _INTERPRETED:  # which knows no machine code, and has one memory
            number = tl.inline_asm_elementwise(
                "fence.acq_rel.sys; mov.u32 $0, $1;", "=r,r", [number], dtype=tl.int32,
                is_pure=False, pack=1,
            )  # fmt: skip
        return number

    @triton.jit(do_not_specialize=["number"])
    def wait_kernel(word, number):
        """Wait until a word, int32 in pinned memory, is `number` or more."""
        while tl.load(word, volatile=True) < number:
            pass
        _fence(number)

    @triton.jit
    def wait_next_kernel(word, seen):
        """Wait until a word is more than `seen`, int32 on the device, by one; count that up."""
        number = tl.load(seen) + 1
        while tl.load(word, volatile=True) < number:
            pass
        tl.store(seen, _fence(number))

    @triton.jit
    def tell_kernel(seen, word):
        """Write what was seen to a word, for the host: what stands before this is done."""
        tl.store(word, tl.load(seen), cache_modifier=".wt")
