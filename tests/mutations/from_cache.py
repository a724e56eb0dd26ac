"""What bench says of rows found in a row cache, and whose cache has seen what."""

from tests.mutations import Mutation

SHARE = "tests/bench/test_from_cache.py"

MUTATIONS = (
    Mutation(
        "a-row-cache-s-share-counts-repeated-rows", "engramctl/shown/kept_rows.py",
        'distinct, missed = row["unique_rows"], row["saved_cache_rows_missed"]',
        'distinct, missed = row["rows"], row["saved_cache_misses"]',
        (SHARE + "::test_a_row_cache_and_a_mixture_of_its_size_say_the_same_share",),
    ),
    Mutation(
        "missed-rows-are-missed-ids", "storage/requests/kept_stats.py",
        "stats.cache_rows_missed, stats.chance_hits = cache.rows_missed, cache.chance_hits",
        "stats.cache_rows_missed, stats.chance_hits = cache.misses, cache.chance_hits",
        (SHARE + "::test_a_row_cache_and_a_mixture_of_its_size_say_the_same_share",),
    ),
)  # fmt: skip
