"""build and layout on a disk that is too small, or fills up while they write."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tables import small_table

TOO_SMALL = """
mount -t tmpfs -o size=400k tmpfs "$1" || exit 99
cp -r "$2/." "$1/old" || exit 98
"$3" -m engramctl $4 -o "$1/old" --force
code=$?
ls -A "$1"
cmp "$2/manifest.json" "$1/old/manifest.json" || exit 97
exit $code
"""
# The space check is told that there is room, as it would be when a neighbour fills the disk later.
FILLS_UP = (
    "import sys; import engramctl.storage.writer as w; w.check_space = lambda *a, **k: None;"
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
    """Give `attempt(command, script, *more)` on a small disk that holds an old table."""
    old = small_table(tmp_path / "old", slots=50)
    large = small_table(tmp_path / "large", slots=2000)
    words = {
        "build": "build --scheme deepseek-v41 --slots 2000",
        "layout": f"layout {large.path} --tier ssd",
    }
    disk = tmp_path / "disk"
    disk.mkdir()

    def run(command: str, script: str, *more: str) -> subprocess.CompletedProcess[str]:
        return in_namespace(script, disk, old.path, sys.executable, words[command], *more)

    return run


@pytest.mark.parametrize("command", ["build", "layout"])
def test_too_small_a_disk_is_refused_before_a_byte_and_the_old_result_stays(
    command: str, attempt: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = attempt(command, TOO_SMALL)
    assert done.returncode == 1, done.stderr
    assert "not enough space" in done.stderr
    assert done.stdout.split() == ["old"]


@pytest.mark.parametrize("command", ["build", "layout"])
def test_a_disk_that_fills_up_is_named_and_the_old_result_stays(
    command: str, attempt: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    script = TOO_SMALL.replace('"$3" -m engramctl', '"$3" -c "$5"')
    done = attempt(command, script, FILLS_UP)
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "the disk is full" in done.stderr
    assert "old" in done.stdout.split()
