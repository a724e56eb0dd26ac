"""A forgotten subpackage works in the checkout and is missing from the wheel."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAPPED = {"hashing": "engramctl.hashing", "storage": "engramctl.storage"}


def package_name(folder: Path) -> str:
    top, *rest = folder.relative_to(ROOT).parts
    return ".".join([MAPPED.get(top, top), *rest])


def test_every_folder_with_code_is_a_listed_package() -> None:
    tops = [ROOT / name for name in ("engramctl", *MAPPED)]
    folders = {
        path.parent
        for top in tops
        for path in top.rglob("*.py")
        if not any(parent.is_symlink() for parent in (path, *path.parents))
    }
    assert {package_name(folder) for folder in folders} == set(
        PROJECT["tool"]["setuptools"]["packages"]
    )


def test_the_mapping_and_the_links_agree() -> None:
    assert PROJECT["tool"]["setuptools"]["package-dir"] == {v: k for k, v in MAPPED.items()}
    for name in MAPPED:
        link = ROOT / "engramctl" / name
        if not link.is_symlink():
            pytest.skip("this checkout writes links as text files; the mapping serves it")
        assert link.resolve() == (ROOT / name).resolve()


def test_torch_is_pinned_for_ci_and_open_for_users() -> None:
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()
    torch = [item for item in PROJECT["project"]["dependencies"] if item.startswith("torch")]
    assert torch
    assert "==" not in torch[0]


def test_every_dependency_is_pinned_in_the_constraints() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = {
        re.split(r"[><=;\[]", item)[0].lower()
        for item in (*PROJECT["project"]["dependencies"], *extras["dev"], *extras["bench"])
    }
    assert wanted <= pinned


def test_files_stay_small_and_nothing_names_a_machine() -> None:
    for path in ROOT.rglob("*.py"):
        inside, *rest = path.relative_to(ROOT).parts
        if inside.startswith(".") or any(p.is_symlink() for p in path.parents):
            continue
        text = path.read_text()
        most = 200 if rest[:1] == ["commands"] and inside == "engramctl" else 300
        most = 330 if inside == "tests" else most
        assert len(text.splitlines()) <= most, f"{path} has outgrown one idea"
        assert "/ho" + "me/" not in text
        assert "/wo" + "rk/" not in text


def test_what_is_cited_as_a_file_is_one() -> None:
    """A page or file that docstrings, comments and pages name by its path exists."""
    paths = [*ROOT.rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for path in paths:
        inside = path.relative_to(ROOT).parts[0]
        if inside.startswith(".") or any(p.is_symlink() for p in path.parents):
            continue
        for name in re.findall(r"(?<![\w/.])(?:docs|spec|notes)/[\w./-]+\.\w+", path.read_text()):
            assert (ROOT / name).exists(), f"{path.relative_to(ROOT)} cites {name}"


def test_make_says_how_long_the_tests_take_before_they_start() -> None:
    make = (ROOT / "Makefile").read_text()
    target = make.partition("\ntest: install\n")[2].partition("\n\n")[0].splitlines()
    assert "minutes" in target[0]
    assert target[0].startswith("\t@echo ")
    assert "-m pytest -n $(JOBS)" in target[1]
