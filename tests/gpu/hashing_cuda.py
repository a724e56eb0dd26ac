"""The Triton walk against torch operations, as `python -m tests.benchmarks hashing_cuda`."""

from tests.benchmarks import hashing_cuda
from tests.benchmarks.harness import Row
from tests.gpu import Skipped


def run() -> list[Row]:
    """Return the benchmark's rows."""
    rows = hashing_cuda.run(quick=False)
    if all("skipped" in row for row in rows):
        raise Skipped("; ".join(row["skipped"] for row in rows))
    return rows
