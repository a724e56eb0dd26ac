"""Of the curves a person is shown few numbers: held-out text, documents one by one, four sizes."""

from collections.abc import Sequence
from typing import Any

from engramctl.reuse.view import cache_rows, dictionary_rows, reuse_tables, unique_rows

SIZES = [32 << step for step in range(10)]


def curve(held_out: str | None, interleave: int, order: int, policy: str) -> dict[str, Any]:
    return {
        "held_out": held_out, "interleave": interleave, "order": order, "policy": policy,
        "sample_rate": 1.0, "cache_rows": SIZES,
        "hit_rate": [(1 if policy == "lru" else 2) / size for size in SIZES],
    }  # fmt: skip


def study(texts: Sequence[str | None], streams: Sequence[int] = (1, 8)) -> dict[str, Any]:
    curves = [
        curve(text, count, order, policy)
        for text in texts
        for count in streams
        for order in (0, 2)
        for policy in ("lru", "best_fixed")
    ]
    return {
        "orders": [2], "bytes_per_cache_row": 1 << 15, "curves": curves,
        "unique": [], "dictionary": {"served": []},
    }  # fmt: skip


def test_hit_rates_are_percentages_at_four_sizes_of_every_order() -> None:
    rows = cache_rows(study([None, "tenth"]))
    sizes = [32, 32 << 3, 32 << 6, 32 << 9]
    assert [(row["text"], row["order"], row["cache rows"]) for row in rows] == [
        ("tenth", order, size) for order in ("all", "2") for size in sizes
    ]
    assert rows[0] == {
        "text": "tenth", "order": "all", "cache rows": 32, "MiB": 1.0, "lru": 3.1,
        "best_fixed": 6.2,
    }  # fmt: skip


def test_the_mined_text_is_shown_where_none_was_held_out() -> None:
    assert {row["text"] for row in cache_rows(study([None]))} == {"mined"}
    assert {row["text"] for row in cache_rows(study([None, "tenth", "b"]))} == {"tenth", "b"}


def test_every_policy_that_is_shown_is_explained() -> None:
    table = reuse_tables(study([None], streams=(8, 64)))[0]
    for policy in ("lru", "s3fifo", "static", "by chance", "best fixed", "cache rows", "MiB"):
        assert f"{policy}: " in table.caption
    assert len(table.rows) == 8


def test_a_file_that_calls_the_best_fixed_set_oracle_is_shown_as_a_new_one() -> None:
    new, old = study([None, "tenth"]), study([None, "tenth"])
    for one in old["curves"]:
        one["policy"] = one["policy"].replace("best_fixed", "oracle")
    assert old != new
    assert cache_rows(old) == cache_rows(new)


def test_chance_stands_beside_static_where_the_file_says_it() -> None:
    one = curve("tenth", 1, 2, "static") | {"by_chance": [0.0625 / size for size in SIZES]}
    row = cache_rows({"curves": [one], "bytes_per_cache_row": 1})[0]
    assert (row["static"], row["by chance"]) == (6.2, 0.2)


def test_chunks_are_shown_at_four_sizes_of_the_text_that_was_held_out() -> None:
    found = [
        {"held_out": text, "interleave": 1, "order": 2, "chunk_tokens": 512 << bits, "share": 0.5}
        for text in (None, "tenth")
        for bits in range(7)
    ]
    rows = unique_rows({"unique": found})
    assert [list(row) for row in rows] == [["text", "order", "512", "2,048", "8,192", "32,768"]]
    assert rows[0]["text"] == "tenth"


def test_of_dictionaries_that_hold_all_ngrams_the_smallest_is_shown() -> None:
    served = [
        {
            "held_out": "tenth", "interleave": 1, "entries": entries, "entries_held": held,
            "hit_rate_after_dedup": [0.5], "reads_per_token": 1.0,
            "reads_per_token_after_dedup": 1.0, "reads_per_token_all_layers_after_dedup": 1.0,
        }
        for entries, held in ((0, 0), (16, 16), (64, 40), (256, 40))
    ]  # fmt: skip
    rows = dictionary_rows({"orders": [2], "dictionary": {"served": served}})
    assert [row["entries"] for row in rows] == [0, 16, 64]
