"""A report as one HTML page: it loads nothing, runs nothing, and shows text of files as text."""

from collections.abc import Iterator

from engramctl.output import Table, cell
from engramctl.report.contents import MARK, Contents
from engramctl.report.drawing.inline import escaped, inline_svg
from engramctl.report.figures.figure import Figure
from engramctl.report.page_style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(contents: Contents, title: str) -> str:
    """Return the page, the same for the same contents.

    Args:
        contents: what it shows.
        title: of the page, such as the names of its sources.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    return f"<!doctype html>\n{MARK}\n" + "\n".join(_parts(contents, title)) + "\n"


def _parts(contents: Contents, title: str) -> Iterator[str]:
    yield '<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>"
    yield f"<header>\n<h1>{escaped(title)}</h1>"
    yield "<p>Each figure says what to conclude; its numbers stand in the table with it.</p>"
    yield '</header>\n<nav aria-label="Contents">\n<ul>'
    tables = [table for table in contents.tables if table.rows]
    for figure in contents.figures:
        yield f'<li><a href="#{figure.key}">{escaped(figure.title)}</a></li>'
    for place, table in enumerate(tables):
        yield f'<li><a href="#table-{place}">{escaped(table.title)}</a></li>'
    yield "</ul>\n</nav>\n<main>"
    for figure in contents.figures:
        yield from _figure(figure)
    for place, table in enumerate(tables):
        yield f'<section id="table-{place}" aria-labelledby="table-{place}--h">'
        yield f'<h2 id="table-{place}--h">{escaped(table.title)}</h2>'
        yield from _table(table, "Facts", "facts")
        yield "</section>"
    yield "</main>\n<footer>\n<p>Made by engramctl report.</p>\n</footer>\n</body>\n</html>"


def _figure(figure: Figure) -> Iterator[str]:
    key = figure.key
    yield f'<section id="{key}" aria-labelledby="{key}--h">'
    yield f'<h2 id="{key}--h">{escaped(figure.title)}</h2>\n<div class="both">\n<figure>'
    yield f"<figcaption>{escaped(figure.says)}</figcaption>"
    yield inline_svg(figure)
    yield "</figure>"
    yield from _table(figure.table, "The same in numbers", "numbers")
    yield "</div>\n</section>"


def _table(table: Table, caption: str, kind: str) -> Iterator[str]:
    """Write a table without the columns that have no value; it scrolls where it is too wide."""
    names = [name for name in table.names if any(row.get(name) is not None for row in table.rows)]
    right = {
        name: kind == "numbers" and not any(_is_words(row.get(name)) for row in table.rows)
        for name in names
    }
    label = escaped(table.title)
    yield f'<div class="scroll" role="region" tabindex="0" aria-label="Table: {label}">'
    yield f'<table class="{kind}">\n<caption>{escaped(caption)}</caption>\n<thead>\n<tr>'
    for name in names:
        yield f'<th scope="col"{_class(right[name])}>{escaped(name)}</th>'
    yield "</tr>\n</thead>\n<tbody>"
    for row in table.rows:
        cells = (f"<td{_class(right[name])}>{escaped(cell(row.get(name)))}</td>" for name in names)
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody>\n</table>\n</div>"


def _class(right: bool) -> str:
    return ' class="n"' if right else ""


def _is_words(value: object) -> bool:
    """Tell names from numbers with a unit, which stand at the right as numbers do."""
    return isinstance(value, str) and not value.lstrip("+-").startswith(tuple("0123456789"))
