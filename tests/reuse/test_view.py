"""Of the curves a person is shown few numbers: held-out text, documents one by one, four sizes."""

from collections.abc import Sequence
from typing import Any

from engramctl.reuse.view import cache_rows, reuse_tables

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
        for policy in ("lru", "oracle")
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
        "text": "tenth", "order": "all", "cache rows": 32, "MiB": 1.0, "lru": 3.1, "oracle": 6.2,
    }  # fmt: skip


def test_the_mined_text_is_shown_where_none_was_held_out() -> None:
    assert {row["text"] for row in cache_rows(study([None]))} == {"mined"}
    assert {row["text"] for row in cache_rows(study([None, "tenth", "b"]))} == {"tenth", "b"}


def test_every_policy_that_is_shown_is_explained() -> None:
    table = reuse_tables(study([None], streams=(8, 64)))[0]
    for policy in ("lru", "s3fifo", "static", "oracle", "cache rows", "MiB"):
        assert f"{policy}: " in table.caption
    assert len(table.rows) == 8
