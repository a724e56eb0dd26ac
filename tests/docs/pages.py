"""README.md and docs/*.md as text: their blocks, prose, links and tables."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.conftest import ROOT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: what language, and its text."""

    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """One page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        return [Block(*found) for found in _FENCE.findall(self.text)]

    @cached_property
    def prose(self) -> str:
        """The text without fenced blocks and indented code, a blank line in their place."""
        lines, listed = [], False
        for line in _FENCE.sub("\n", self.text).split("\n"):
            listed = bool(line.strip()) and (listed or line.lstrip().startswith("- "))
            lines.append("" if line.startswith("    ") and not listed else line)
        return "\n".join(lines)

    def runs(self, length: int) -> set[str]:
        """Every so many words in a row of the prose, in lower case and without marks."""
        words = re.findall(r"[\w.-]*\w", self.prose.lower())
        return {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)}

    @property
    def fences(self) -> int:
        """How many lines open or close a block, found as one or not."""
        return len(re.findall(r"^\s*(?:```|~~~)", self.text, flags=re.MULTILINE))

    @property
    def options(self) -> set[str]:
        """Options of commands that the prose names."""
        return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", self.prose))

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """Names of the headings, as GitHub makes them."""
        titles = re.findall(r"^#+ (.*)$", self.prose, flags=re.MULTILINE)
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}

    def rows(self, heading: str = "") -> list[list[str]]:
        """Cells of the tables under a heading (none: of the page), heads left out."""
        text = self.text
        if heading:
            text = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
            text = re.split(r"^#+ ", text, flags=re.MULTILINE)[0]
        lines = re.findall(r"^\|(.*)\|$", text, flags=re.MULTILINE)
        rules = [i for i, line in enumerate(lines) if set(line) <= set("-|")]
        heads = {i - 1 for i in rules}
        return [
            [cell.strip() for cell in line.split("|")]
            for i, line in enumerate(lines)
            if i not in heads and i not in rules
        ]


README = Page(ROOT / "README.md")
DOCS = [Page(path) for path in sorted((ROOT / "docs").glob("*.md"))]
PAGES = [README, *DOCS]


def page(name: str) -> Page:
    """Return a page of docs/."""
    return Page(ROOT / "docs" / f"{name}.md")


def code(cell: str) -> list[str]:
    """Return what a cell has in code marks."""
    return re.findall(r"`([^`]+)`", cell)
