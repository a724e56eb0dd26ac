"""The page: balanced, no id twice, nothing from elsewhere, text of strangers as text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from engramctl.report.contents import Contents, contents_of
from engramctl.report.page import page
from engramctl.report.sources import read_sources

pytest.importorskip("matplotlib")
VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = (
    "\x1b[2J \u202e $x_2$ </title></svg><script>alert(1)</script>"
    " <img src=http://x.test/a onerror=b> | '\" ]]> --> url(http://x.test)"
)


class Reader(HTMLParser):
    """Collects tags, ids, references; fails where tags do not match."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.labels: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] == "style":
            self.references += re.findall(r"url\(\s*['\"]?([^)'\"]*)|@import\s+(\S+)", data)

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.append(value or "")
            elif name == "aria-labelledby":
                self.labels += (value or "").split()
            elif name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.references.append(value or "")
            elif not name.startswith(("aria-", "data-")):
                self.references += re.findall(r"url\(\s*['\"]?([^)'\"]*)", value or "")


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def whole(contents: Contents) -> str:
    return page(contents, "a report")


def test_the_page_is_balanced_and_refers_to_nothing_but_itself(whole: str) -> None:
    found = read(whole)
    assert len(found.ids) == len(set(found.ids)) > 0
    assert all(one.startswith("#") for one in found.references), found.references
    assert {one[1:] for one in found.references} | set(found.labels) <= set(found.ids)
    assert not {"script", "link", "iframe", "object", "img", "base"} & set(found.tags)


def test_the_page_is_made_for_every_reader(whole: str, contents: Contents) -> None:
    found = read(whole)
    assert '<html lang="en">' in whole
    assert [found.tags.count(one) for one in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert found.tags.count("svg") == found.tags.count("figure") == len(contents.figures)
    assert found.tags.count("desc") == whole.count('role="img"') == len(contents.figures)
    assert found.tags.count("table") == found.tags.count("caption") == whole.count("<thead>")
    assert whole.count("<th ") == whole.count('<th scope="col"')
    assert "prefers-color-scheme:dark" in whole
    assert "@media print" in whole
    drawn = whole[whole.index("<main>") :]
    assert not re.findall(r"#[0-9a-f]{6}\b", drawn), "a colour that no scheme can change"


def test_the_same_sources_give_the_same_bytes(whole: str, contents: Contents) -> None:
    assert page(contents, "a report") == whole


def test_text_of_strangers_stays_text(result_document: dict[str, Any], tmp_path: Path) -> None:
    document = json.loads(json.dumps(result_document))
    document["command"] = ["engramctl", HOSTILE]
    document["config"]["path"] = HOSTILE
    document["environment"]["cpu"] = HOSTILE
    document["environment"]["libraries"][HOSTILE] = HOSTILE
    document["warnings"] = [HOSTILE]
    document["config"]["sweep"] = {"preset": [HOSTILE, "tiny"]}
    for place, case in enumerate(document["cases"]):
        case["axes"]["preset"] = HOSTILE if place % 2 else "tiny"
    strange = tmp_path / "a <b> & $c$ \x07.json"
    strange.write_text(json.dumps(document))
    text = page(contents_of(read_sources([strange])), HOSTILE)
    found = read(text)
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert all(one.startswith("#") for one in found.references), found.references
    assert len(found.ids) == len(set(found.ids))
    assert "<script>alert(1)</script>" in found.text
    assert "$x_2$" in found.text
    assert not [one for one in text if not one.isprintable() and one != "\n"]


def test_ten_results_make_a_page_below_two_megabytes(
    result_document: dict[str, Any], tmp_path: Path
) -> None:
    paths = [tmp_path / f"result{number}.json" for number in range(10)]
    for path in paths:
        path.write_text(json.dumps(result_document))
    text = page(contents_of(read_sources(paths)), "ten")
    found = read(text)
    assert len(text.encode()) < 2_000_000
    assert len(found.ids) == len(set(found.ids))
