"""Commands that write folders, on a disk that is too small, or fills up while they write."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import run_in_process
from tests.helpers.corpora import write_ids
from tests.helpers.small_table import small_table

TOO_SMALL = """
mount -t tmpfs -o size=400k tmpfs "$1" || exit 99
cp -r "$2/." "$1/old" || exit 98
"$3" -m engramctl $4 -o "$1/old" --force
code=$?
ls -A "$1"
diff -r "$2" "$1/old" || exit 97
exit $code
"""
# The space check is told that there is room, as it would be when a neighbour fills the disk later.
FILLS_UP = (
    "import sys; import engramctl.storage.writing.writer as w; import engramctl.tables.export as e;"
    "w.check_space = e.check_space = lambda *a, **k: None;"
    "from engramctl.cli import run; sys.exit(run(sys.argv[1:]))"
)

pytestmark = pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")


def in_namespace(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a mount namespace of its own; skip where that is refused."""
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script, "bash", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare:" in done.stderr or done.returncode == 99:
        pytest.skip(f"mounting is refused here: {done.stderr.strip()}")
    return done


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give `attempt(command, script, *more)` on a small disk that holds an old result."""
    small = small_table(tmp_path / "small", slots=50).path
    large = small_table(tmp_path / "large", slots=2000).path
    random = np.random.default_rng(0)
    few = write_ids(tmp_path / "few.parquet", [[1, 2, 3, 1, 2]])
    many = write_ids(tmp_path / "many.parquet", [random.integers(0, 1 << 17, 90_000).tolist()])
    words = {
        "build": (None, "build --scheme deepseek-v41 --slots 2000"),
        "layout": (None, f"layout {large} --tier ssd"),
        "export": (("export", small), f"export {large}"),
        "mine": (("mine", few), f"mine {many}"),
    }
    disk = tmp_path / "disk"
    disk.mkdir()

    def run(command: str, script: str, *more: str) -> subprocess.CompletedProcess[str]:
        before, line = words[command]
        old = small
        if before is not None:
            old = tmp_path / "old"
            assert run_in_process(*before, "-o", old, "-q").exit_code == 0
        return in_namespace(script, disk, old, sys.executable, line, *more)

    return run


@pytest.mark.parametrize("command", ["build", "layout", "export"])
def test_too_small_a_disk_is_refused_before_a_byte_and_the_old_result_stays(
    command: str, attempt: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = attempt(command, TOO_SMALL)
    assert done.returncode == 1, done.stderr
    assert "not enough space" in done.stderr
    assert done.stdout.split() == ["old"]


@pytest.mark.parametrize("command", ["build", "layout", "export", "mine"])
def test_a_disk_that_fills_up_is_named_and_the_old_result_stays(
    command: str, attempt: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    script = TOO_SMALL.replace('"$3" -m engramctl', '"$3" -c "$5"')
    done = attempt(command, script, FILLS_UP)
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "the disk is full" in done.stderr
    assert "old" in done.stdout.split()
