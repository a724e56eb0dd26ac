"""The words that options take, known without loading what knows them; a test compares the two."""

TIERS = ("gpu", "host", "ssd")
SCHEMES = (
    "engram", "engram-27b", "engram-40b", "deepseek-v41", "deepseek-v41-flash", "qwen-ple",
    "qwen3.8-flash-next", "over-encoding", "over-encoding-wrap64", "oe-12.8m", "longcat",
    "longcat-flash-lite", "longcat-2.0", "longcat-next", "longcat-special-scope", "blt",
)  # fmt: skip
DTYPES = (
    "f32", "bf16", "f16", "f8_e4m3", "f8_e4m3_scalar", "int8", "int8_f16", "int8_bf16", "int4",
    "int4_row", "int4_row_f16", "int4_row_bf16", "f8_e4m3_f32", "f8_e4m3_row", "f8_e4m3_row_bf16",
    "int4_affine", "nvfp4", "q8_0", "q4_0", "iq4_nl",
)  # fmt: skip
FAMILIES = (
    "deepseek-v41", "qwen-ple", "longcat", "longcat-causal", "over-encoding", "raw-shards",
)  # fmt: skip
FUSIONS = (
    "engram", "engram-demo", "deepseek-v41", "qwen-ple", "over-encoding", "over-encoding-concat",
    "longcat", "blt", "dictionary",
)  # fmt: skip
DIFFERENT = (
    "machine", "table", "threads", "settings", "model-dtype", "budget-bytes", "row-cache-bytes",
    "warm", "after", "fill", "fill-entries", "fill-size-bytes", "write-budget-bytes",
    "engine", "trace", "seed", "preset", "layers", "mhc", "fusion",
    "memory-layers", "residual",
)  # fmt: skip
VALUES = {
    "bench --tier": TIERS,
    "bench --case": ("gather", "lookup", "step", "ranks"),
    "bench --deal": ("heads", "rows"),
    "bench --cache": ("cold", "warm", "both", "traffic"),
    "bench --preset": ("tiny", "small", "1b", "4b", "8b", "moe27", "v41-module"),
    "bench --recipe": ("engram-offload",),
    "bench --residual": ("none", "hc", "mhc", "single_pass"),
    "bench --model-dtype": ("f32", "bf16"),
    "bench --fusion": FUSIONS,
    "bench --engine": ("auto", "io_uring", "pread", "willneed"),
    "bench --issue": ("before", "start", "layer"),
    "bench --trace": ("uniform", "zipf"),
    "build --scheme": SCHEMES,
    "build --dtype": DTYPES,
    "build --init": ("normal", "zeros", "token-mean", "import"),
    "build --tier": TIERS,
    "compare --allow-different": DIFFERENT,
    "export --family": FAMILIES,
    "inspect PATH": SCHEMES,
    "layout --tier": TIERS,
    "layout --form": ("planar", "packed", "paged"),
    "layout --dtype": DTYPES,
    "mine --scheme": SCHEMES,
    "mine --engine": ("local", "ray"),
    "report --format": ("html", "md", "png", "svg"),
    "rows --scheme": (*SCHEMES, "dictionary"),
}
_CACHE_SIZES = ("1GiB", "4GiB", "16GiB")  # of a faster tier in a mixture: examples
FORMATS = ("table", "json", "csv", "md")  # of every command's --format


def tiers_from(beginning: str) -> tuple[str, ...]:
    """Return tiers and mixtures that a word may become, those in it kept as they are.

    Example:
        >>> tiers_from("gpu:2GiB,"), tiers_from("host:3GiB")[0]
        (('gpu:2GiB,host', 'gpu:2GiB,ssd', 'gpu:2GiB,host:'), 'host:3GiB,ssd')
    """
    before, comma, last = beginning.rpartition(",")
    faster, (name, colon, size) = before.rpartition(",")[2].partition(":")[0], last.partition(":")
    if comma and faster not in TIERS:
        return ()
    left = _slower(faster) if comma else TIERS
    if not colon:
        words = (*left, *(f"{one}:" for one in left[:-1]))
    elif name in left:
        sizes = (*((size,) if size[:1].isdecimal() else ()), *_CACHE_SIZES)
        words = tuple(f"{name}:{one},{end}" for one in sizes for end in _slower(name))
    else:
        words = ()
    return tuple(f"{before}{comma}{word}" for word in words)


def _slower(tier: str) -> tuple[str, ...]:
    return TIERS[TIERS.index(tier) + 1 :]


def values_of(command: str, option: str, beginning: str = "") -> tuple[str, ...]:
    """Return what an option may be set to; () where that is no short list.

    Args:
        command: its name.
        option: the long name, or the metavar of an argument.
        beginning: what is there of the value: mixtures of tiers grow from it.
    """
    if (command, option) == ("bench", "--tier"):
        return tiers_from(beginning)
    return VALUES.get(f"{command} {option}", FORMATS if option == "--format" else ())
