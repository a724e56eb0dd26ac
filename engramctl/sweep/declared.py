"""The options of `bench` that are swept, as its command line declares them."""

import re
from typing import Annotated, Any

import typer

from engramctl.numbers import whole_number
from engramctl.sweep.repeated import one_value

_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")  # 20,000 is one number


def swept(option: str, help: str, *, metavar: str) -> Any:
    """Return an option of words that is repeated to sweep it.

    Args:
        option: its long name.
        help: its line in the help.
        metavar: what stands for the word there.
    """
    return typer.Option(
        option, metavar=metavar, help=help, parser=lambda value: one_value(option, str(value))
    )


def swept_number(option: str, help: str, *, metavar: str) -> Any:
    """Return an option of whole numbers that is repeated to sweep it; as `swept`."""

    def read(value: object) -> int:
        text = str(value)
        joined = "," in text and not _THOUSANDS.fullmatch(text)
        return whole_number(one_value(option, text) if joined else value, option, 1)

    return typer.Option(option, metavar=metavar, help=help, parser=read)


Tiers = Annotated[
    list[str] | None,
    typer.Option(
        "-t",
        "--tier",
        metavar="TIER",
        help="gpu, host or ssd *; or a mixture: host:16GiB,ssd keeps rows of ssd in 16 GiB of "
        "host memory.  [default: gpu, host and ssd]",
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help="A published test: engram-offload. It sets options and makes its own table; what is "
        "given beside it beats it.",
    ),
]
Sequences = Annotated[
    int | None,
    typer.Option(
        "--sequences",
        metavar="N",
        help="Whole sequences that --case step.sequences reads, --batch at a time.  [default: 512]",
        parser=lambda value: whole_number(value, "--sequences", 1),
    ),
]
Lengths = Annotated[
    str | None,
    typer.Option(
        "--lengths",
        metavar="N-N",
        help="Tokens of the shortest and of the longest of them.  [default: 100-1024]",
    ),
]
Batch = Annotated[
    list[int] | None, swept_number("--batch", "Sequences a sample *.  [default: 1]", metavar="B")
]
Tokens = Annotated[
    list[int] | None,
    swept_number(
        "--tokens", "Tokens a sequence in a prefill sample *.  [default: 512]", metavar="T"
    ),
]
Context = Annotated[
    list[int] | None,
    swept_number(
        "--context", "Tokens in the KV cache at a decode step *.  [default: 64]", metavar="T"
    ),
]
Preset = Annotated[
    list[str] | None,
    swept(
        "--preset",
        "The model that steps are timed with *: tiny, small, 1b, 4b, 8b, moe27 or v41-module."
        "  [default: small]",
        metavar="NAME",
    ),
]
Layers = Annotated[
    list[int] | None,
    swept_number(
        "--layers",
        "Keep the model's first N layers *; the result says so.  [default: all]",
        metavar="N",
    ),
]
Residual = Annotated[
    list[str] | None,
    swept(
        "--residual",
        "Residual form *: none, hc, mhc or single_pass.  [default: mhc]",
        metavar="MODE",
    ),
]
FusionName = Annotated[
    list[str] | None,
    swept("--fusion", "How rows enter the model *.  [default: the scheme's]", metavar="NAME"),
]
MemoryLayers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N,N",
        help="Decoder layers with a memory *, counted from 0; or input.  [default: the table's "
        "own, else the preset's]",
    ),
]
Mhc = Annotated[
    list[str] | None,
    swept(
        "--mhc",
        "How the residual runs *: fused kernels, or eager torch.  [default: fused]",
        metavar="KERNELS",
    ),
]
