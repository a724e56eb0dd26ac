"""Compiled code that two processes kept: each finds its own, whatever names numba gave both."""

from pathlib import Path

import pytest

from tests.runtime.kernel_package import Package

PARTS = """
import sys
from engramctl.runtime.kernel_cache import compiled, njit

def made(k):
    @njit()
    def step(x):  # too much to be compiled into its caller
        for turn in range(x):
DIVISIONS
        return x + k
    return step

first, second = made(10), made(200)

@compiled
def run_first(x):
    return first(x) + first(x + 1)

@compiled
def run_second(x):
    return second(x) + second(x + 1)

run = {"first": run_first, "second": run_second, "both": lambda x: run_first(x) + run_second(x)}[
    sys.argv[1]
]
"""
DIVISIONS = "\n".join(f"            x = x // (turn + {n}) + k * x" for n in range(1, 40))


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A package whose two kernels call functions that one factory made."""
    made = Package(tmp_path)
    made.write("caller", PARTS.replace("DIVISIONS", DIVISIONS))
    return made


def test_code_of_two_processes_is_not_taken_for_each_other(package: Package) -> None:
    """numba numbers functions process by process: two of one name may have one number."""
    code = "from engramctl.caller import run\nprint(run(0))"
    first, second = (package.run(code=code, words=(which,)) for which in ("first", "second"))
    assert first != second
    assert package.run(code=code, words=("both",)) == first + second


def test_a_child_numbers_its_functions_anew(package: Package) -> None:
    code = (
        "import os, sys\n"
        "from engramctl.caller import run_first, run_second\n"
        "for run in (run_first, run_second) if sys.argv[2:] else ():\n"
        "    if not os.fork():\n"
        "        run(0)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "print([run_first(0), run_second(0)])\n"
    )
    alone = package.run(code=code, words=("both",))
    found = package.run(
        code=code, words=("both", "in children"), NUMBA_CACHE_DIR=package.room / "other"
    )
    assert found == alone
