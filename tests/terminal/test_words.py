"""Text is broken between words, a number stays with its unit, and nothing of it is lost."""

from hypothesis import given
from hypothesis import strategies as st

from engramctl.terminal.words import broken, filled, least_width, length, wrapped

TEXTS = st.text("ab1,.%/ \u8bcd", max_size=60)


@given(TEXTS, st.integers(2, 40))
def test_every_line_fits_and_every_character_is_there(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(length(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.integers(0, 10**9), st.sampled_from(["%", "ns", "µs", "GiB", "rows/s", "bytes"]))
def test_a_number_is_in_one_line_with_its_unit(number: int, unit: str) -> None:
    measure = f"{number:,} {unit}"
    text = f"it takes {measure}, and more of it"
    assert any(measure in line for line in wrapped(text, len(measure) + 1))
    assert least_width(measure) == len(measure)


def test_a_path_is_folded_behind_a_slash() -> None:
    assert wrapped("/some/folder/of/tables", 15) == ["/some/folder/", "of/tables"]
    assert wrapped("/a/" + "b" * 20, 12) == ["/a/bbbbbbbbb", "b" * 11]


def test_a_fact_of_a_line_stays_whole_where_it_fits() -> None:
    facts = ["layer 1", "tier ssd", "p50 4.21 µs", "path " + "x" * 30]
    assert filled(facts, 20) == [
        "layer 1, tier ssd,", "p50 4.21 µs,", "path", "x" * 20, "x" * 10
    ]  # fmt: skip
    assert filled([], 20) == []


def test_a_command_is_left_whole_for_pasting() -> None:
    hint = "Hint: run: engramctl layout tables --tier ssd -o shards " + "x" * 40
    assert broken(hint, 40) == [hint]


def test_a_line_of_an_error_is_broken_between_words_under_its_text() -> None:
    fact = "  known  " + ", ".join(["blt", "engram", "longcat-flash-lite", "over-encoding"] * 3)
    first, *rest = broken(fact, 40)
    assert all(line.startswith(" " * 9) and line[9] != " " for line in rest)
    assert max(map(len, (first, *rest))) <= 40
    assert " ".join([first, *(line.strip() for line in rest)]) == fact
    assert broken(fact, 0) == [fact]
