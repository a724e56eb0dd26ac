"""The steps of the demo: commands as a user would type them, and what each makes."""

import shlex
from dataclasses import dataclass
from pathlib import Path

BUILD_OPTIONS = ("--scheme", "deepseek-v41", "--slots", "50000", "--row-dim", "64")
BENCH_OPTIONS = ("--samples", "100", "--tokens", "128", "--case", "gather", "--case", "step")


@dataclass(frozen=True)
class Step:
    """One command of the pipeline, what it makes, and whether --force applies to it."""

    words: tuple[str, ...]
    makes: Path | None = None
    forcible: bool = False

    @property
    def command(self) -> str:
        """The line a user would type."""
        return shlex.join(("engramctl", *self.words))


def plan_steps(out: Path) -> list[Step]:
    """Return the pipeline; every step is a command that stands for itself."""
    corpus, tokenizer = out / "corpus.parquet", out / "tokenizer.json"
    counts, tables, host, ssd = (
        out / name for name in ("counts", "tables", "shards-host", "shards-ssd")
    )

    def bench(shards: Path, tier: str, result: str) -> Step:
        target = out / result
        words = ("bench", shards, "--tier", tier, "--trace", corpus, *BENCH_OPTIONS, "-o", target)
        return Step(tuple(str(word) for word in words), target, True)

    def made(path: Path, *words: object) -> Step:
        return Step((*(str(word) for word in words), "-o", str(path)), path, True)

    return [
        made(counts, "mine", corpus, "--column", "input_ids"),
        made(tables, "build", *BUILD_OPTIONS, "--tokenizer", tokenizer, "--counts", counts),
        made(host, "layout", tables, "--tier", "host"),
        made(ssd, "layout", tables, "--tier", "ssd"),
        Step(("verify", str(host))),
        Step(("verify", str(ssd))),
        bench(host, "host", "host.json"),
        bench(ssd, "ssd", "ssd.json"),
        bench(host, "gpu", "gpu.json"),
    ]


def report_step(out: Path, *, drawn: bool) -> Step:
    """Return the last step: a report of all that was counted and measured.

    Args:
        out: the folder of the demo.
        drawn: as a page with figures; else as Markdown, which needs no matplotlib.
    """
    made = [out / name for name in ("counts", "host.json", "ssd.json", "gpu.json")]
    files = [str(one) for one in made if one.exists()]
    page = out / ("report.html" if drawn else "report.md")
    form = () if drawn else ("--format", "md")
    return Step(("report", *files, *form, "-o", str(page)), page, True)
