"""What bench says of rows found in a row cache, and whose cache has seen what."""

from tests.mutations import Mutation

SHARE = "tests/bench/test_from_cache.py"
FOLLOWED = "tests/bench/test_followed.py::test_no_store_sees_more_than_another"

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
    Mutation(
        "a-copy-shows-its-store-more-than-the-others", "engramctl/bench/loop_arms.py",
        "        if tier != copied and one.cache == TRAFFIC:\n", "        if False:\n",
        (FOLLOWED,),
    ),
    Mutation(
        "stores-in-a-known-state-are-followed", "engramctl/bench/loop_arms.py",
        "        if tier != copied and one.cache == TRAFFIC:\n", "        if tier != copied:\n",
        ("tests/bench/test_followed.py::test_other_states_have_no_followers",),
    ),
    Mutation(
        "who-follows-reads-padding", "engramctl/bench/loop_arms.py",
        "                if whole\n", "                if False\n",
        (FOLLOWED,),
    ),
    Mutation(
        "who-follows-asks-for-all-layers-at-once", "engramctl/arms/lookups.py",
        'self._layer_by_layer = issue == "layer"', "self._layer_by_layer = False",
        (FOLLOWED,),
    ),
)  # fmt: skip
