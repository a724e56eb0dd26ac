"""The commit of a checkout, as git itself says it."""

import subprocess
from pathlib import Path

import pytest

from engramctl.machine.own_commit import own_commit


def git(*words: str | Path) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", *who, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"git cannot do this here: {done.stderr.strip()}")
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "one"
    git("init", "-q", "-b", "main", folder)
    git("-C", folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_a_branch_a_packed_one_a_detached_head_and_a_worktree(checkout: Path) -> None:
    expected = git("-C", checkout, "rev-parse", "HEAD")
    assert own_commit(checkout) == expected
    git("-C", checkout, "worktree", "add", "-q", "-b", "side", checkout.parent / "two")
    assert own_commit(checkout.parent / "two") == expected
    git("-C", checkout, "pack-refs", "--all")
    assert own_commit(checkout) == own_commit(checkout.parent / "two") == expected
    git("-C", checkout, "checkout", "-q", "--detach")
    assert own_commit(checkout) == expected


def test_what_is_no_checkout_says_none(tmp_path: Path) -> None:
    assert own_commit(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert own_commit(tmp_path) is None
    for head in ("ref: refs/heads/gone\n", "not a hash\n", "\xff"):
        (tmp_path / ".git" / "HEAD").write_text(head, encoding="latin-1")
        assert own_commit(tmp_path) is None
