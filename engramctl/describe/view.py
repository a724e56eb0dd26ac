"""What `describe` says of a folder or file, as tables."""

from pathlib import Path
from typing import Any

from engramctl.counts.manifest import counts_fingerprints
from engramctl.counts.text import ngram_text
from engramctl.describe.counts_view import found_tables
from engramctl.errors import ConfigError, FormatError
from engramctl.output import Table
from engramctl.results.file import not_as_written
from engramctl.shown.facts import facts_table
from engramctl.shown.tables import program_tables, shown_tables
from engramctl.vocabulary.narrow_ids import narrow_ids
from engramctl.vocabulary.tokenizer_file import largest_token_id, load_tokenizer

_CAPTIONS = {
    "tiers": "tier: where rows would be when they are looked up; ssd: after layout, ssd, in place: "
    "read from the files of the checkpoint"
}


def described_tables(
    document: dict[str, Any],
    path: Path,
    tokenizer: Path | None,
    *,
    raw: bool = False,
    each_head: bool = False,
) -> list[Table]:
    """Return the tables that show a document of `describe`.

    Args:
        document: what is known of the path.
        path: the folder or file.
        tokenizer: the tokenizer.json that shows the n-grams of counts as text; None: as ids.
        raw: for programs: of a result its cases alone, as numbers.
        each_head: of counts: every head of a scheme, not the mean of an order's.

    Raises:
        ConfigError: another tokenizer than that of the counts, or one for what has no n-grams.
        FormatError: counts whose summary is not as `mine` writes it, or a result that is not as
            `bench` does.
    """
    if document["kind"] != "counts":
        if tokenizer is not None:
            raise ConfigError(
                f"{path} has no n-grams to show as text", hint="leave out --tokenizer"
            )
        if document["kind"] == "bench result":
            return _result_tables(document, path, raw)
        return _fact_tables(document)
    try:
        text = None if tokenizer is None else ngram_text(tokenizer, counts_fingerprints(path))
        found = found_tables(document, text, each_head=each_head)
        return [*_fact_tables({**document, "orders": None}), *found]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise FormatError(
            f"summary.json of {path} is not as mine writes it",
            facts={"found": f"{type(error).__name__}: {error}"[:200]},
            hint=f"run: engramctl verify {path}",
        ) from error


def narrow_counts(document: dict[str, Any], tokenizer: Path) -> str | None:
    """Say in words why the ids of counts look cut, by the tokenizer's vocabulary; None: not."""
    largest = document.get("max_token_id")
    if type(largest) is not int:
        return None
    return narrow_ids(largest, largest_token_id(load_tokenizer(tokenizer)) + 1)


def _result_tables(document: dict[str, Any], path: Path, raw: bool) -> list[Table]:
    """Show the facts of a run, and the very table that `bench` printed."""
    try:
        if raw:
            return program_tables(document["cases"])
        shown = shown_tables(
            document["measured"],
            document["cases"],
            document["step_fit"],
            document["memory"],
            document["recipe"],
        )
        return [facts_table(document), *shown]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise not_as_written(path, error) from error


def _fact_tables(document: dict[str, Any]) -> list[Table]:
    """Show facts as one table, and every list as one of its own."""
    facts = [
        {"fact": name.replace("_", " "), "value": value}
        for name, value in document.items()
        if not isinstance(value, list | dict) and value is not None
    ]
    tables = [Table(str(document["kind"]), facts)]
    tables += [
        Table(name, rows, _CAPTIONS.get(name, ""))
        for name, rows in document.items()
        if isinstance(rows, list) and rows and name != "notes"
    ]
    return tables
