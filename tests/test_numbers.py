"""Numbers as people write them are read exactly; what is none is refused by its option's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.numbers import parse_bytes, parse_numbers, whole_number

_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}


@given(st.integers(-(10**18), 10**18), st.sampled_from(sorted(_UNITS)))
def test_every_way_to_write_a_number_gives_it(number: int, unit: str) -> None:
    for text in (f"{number}", f"{number:_}", f"{number:,}", f"{number}e0", f"{number}.0", number):
        assert whole_number(text, "--n") == number
    assert whole_number(f"{number}{unit}", "--n") == number * _UNITS[unit]
    assert whole_number(f"{number}.25 {unit.lower()}", "--n") == (
        number * _UNITS[unit] + (_UNITS[unit] // 4) * (-1 if number < 0 else 1)
    )


@pytest.mark.parametrize(
    "text",
    ["", "1.5", "1.0005k", "1e-3", "k", "1kk", "1 2", "1,00", "1KiB", "0x10", "nan", "1e400",
     "\u0661", "9" * 100, True, 1.5, None],
)  # fmt: skip
def test_what_is_not_whole_is_refused_by_the_options_name(text: object) -> None:
    with pytest.raises(ConfigError, match=r"--slots '.*' is not a whole number") as error:
        whole_number(text, "--slots")
    assert "1M" in str(error.value.hint)


def test_what_a_config_holds_is_read_alike() -> None:
    assert [whole_number(one, "--n") for one in (7, 1e6, "1M")] == [7, 1_000_000, 1_000_000]


def test_a_number_below_the_least_is_refused_as_it_was_written() -> None:
    assert whole_number("-1k", "--n") == -1000
    with pytest.raises(ConfigError, match="--slots -1k is too small") as error:
        whole_number("-1k", "--slots", 1)
    assert error.value.facts == {"expected": "1 or more"}


@pytest.mark.parametrize(
    ("text", "size"),
    [("4_096", 4096), ("2GiB", 2 << 30), ("4G", 4 << 30), ("2.5MB", 2_500_000), ("1e9", 10**9),
     ("1,024 b", 1024), ("0.6GiB", 644245094), ("1.5 kib", 1536)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text, "--size") == size


@pytest.mark.parametrize("text", ["0", "-1", "lots", "", "1e400", "4GiBB", "0.1"])
def test_what_is_no_size_is_refused_by_the_options_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--memory '.*' is not a size"):
        parse_bytes(text, "--memory")


def test_lists_hold_numbers_of_the_same_ways() -> None:
    assert parse_numbers("1e0, 2,3k", "--orders") == (1, 2, 3000)
    with pytest.raises(ConfigError, match="--orders '2,x' is not a list of numbers"):
        parse_numbers("2,x", "--orders")
