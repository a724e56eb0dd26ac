"""Bounds of what is read, values a dtype cannot hold, heads dealt to shards, hashes of row ids."""

from tests.mutations import Mutation

BOUNDS = "tests/hashing/scheme/test_bounds.py::"
JSON = "tests/storage/files/test_strict_json.py::"
SIZES = "tests/checkpoints/test_absurd_headers.py::"
VALUES = "tests/storage/record/test_value_range.py::"

MUTATIONS = (
    Mutation(
        "heads-by-the-next-columns-offset",
        "engramctl/schemes/options.py",
        "stops = dict(pairwise([*sorted(starts), num_rows]))",
        "stops = dict(pairwise([*starts, num_rows]))",
        ("tests/commands/test_layout.py::test_heads_are_dealt_by_the_rows_they_own",),
    ),
    Mutation(
        "heads-that-overlap-are-planned",
        "storage/writing/plan.py",
        "if start != row or stop <= start:",
        "if stop <= start:",
        (
            "tests/storage/writing/test_head_shards.py"
            "::test_heads_that_do_not_share_out_the_rows_are_refused",
        ),
    ),
    Mutation(
        "a-row-is-mixed-once",
        "storage/io/take_rows.py",
        "return (mixed ^ (mixed >> _HALF)) * _SPREAD_AGAIN",
        "return mixed * np.uint64(1)",
        ("tests/storage/io/test_take_rows.py::test_rows_at_even_steps_are_found_in_a_few_probes",),
    ),
    Mutation(
        "the-limit-of-int4-is-off-by-its-scale",
        "storage/record/dtypes.py",
        '"F16", 2, limit=7 * _HALF',
        '"F16", 2, limit=8 * _HALF',
        (VALUES + "test_the_largest_value_below_the_limit_is_stored_and_the_limit_is_not",),
    ),
    Mutation(
        "bf16-rounds-to-infinity",
        "storage/record/dtypes.py",
        "limit=2.0**128 - 2.0**119",
        "limit=math.inf",
        (VALUES + "test_a_finite_value_is_refused_or_comes_back_finite",),
    ),
    Mutation(
        "the-compiled-encoder-checks-no-values",
        "storage/record/fast_codecs.py",
        "    check_values(spec, values, layer=layer, row=row)\n",
        "",
        (VALUES + "test_layout_refuses_what_its_dtype_cannot_hold",),
    ),
    Mutation(
        "the-message-counts-rows-from-the-piece",
        "storage/record/value_range.py",
        '"row": row + at',
        '"row": at',
        (VALUES + "test_the_message_names_layer_row_and_value",),
    ),
    Mutation(
        "seeded-values-are-not-checked",
        "storage/writing/seeded_rows.py",
        '    check_largest(record, init.largest, f"std {init.std:g}")\n',
        "",
        (VALUES + "test_build_says_so_and_leaves_no_folder",),
    ),
    Mutation(
        "zeros-of-groups-have-a-sign",
        "storage/record/group_steps.py",
        "one + np.float32(0) for one",
        "one for one",
        (VALUES + "test_a_finite_value_is_refused_or_comes_back_finite",),
    ),
    Mutation(
        "json-values-are-not-counted",
        "storage/files/strict_json.py",
        "    if found > MAX_VALUES:",
        "    if found < 0:",
        (JSON + "test_too_many_values_are_refused_before_one_is_made",),
    ),
    Mutation(
        "json-may-be-a-level-deeper",
        "storage/files/strict_json.py",
        "    for _ in range(MAX_DEPTH):",
        "    for _ in range(MAX_DEPTH + 1):",
        (JSON + "test_what_is_beyond_a_bound_is_refused",),
    ),
    Mutation(
        "a-pipe-is-waited-for",
        "storage/files/regular_file.py",
        "if not stat.S_ISREG(os.fstat(descriptor).st_mode):",
        "if not descriptor:",
        (JSON + "test_what_is_no_file_is_refused_and_never_waited_for",),
    ),
    Mutation(
        "a-token-map-has-any-number-of-ids",
        "hashing/walk/token_map.py",
        "        if not 1 <= num_ids <= MAX_IDS:\n            raise ConfigError(\n"
        '                f"a token map of',
        "        if not 1 <= num_ids:\n            raise ConfigError(\n"
        '                f"a token map of',
        (BOUNDS + "test_a_token_map_of_absurd_size_is_refused_before_it_is_unpacked",),
    ),
    Mutation(
        "packed-data-is-unpacked-to-its-end",
        "hashing/walk/packed.py",
        "base64.b64decode(text), size + 1)",
        "base64.b64decode(text))",
        (BOUNDS + "test_a_token_map_is_unpacked_to_the_ids_it_says_and_no_further",),
    ),
    Mutation(
        "an-ngram-list-is-believed",
        "hashing/dictionary/ngrams.py",
        "        if num_ids > IDS_A_CHARACTER * len(text):",
        "        if num_ids < 0:",
        (
            BOUNDS + "test_an_ngram_list_shorter_than_distinct_ngrams_is_refused_"
            "before_it_is_unpacked",
        ),
    ),
    Mutation(
        "primes-are-tested-by-every-layer",
        "hashing/walk/primes.py",
        "@lru_cache(maxsize=1024)\ndef primes_of",
        "@lru_cache(maxsize=0)\ndef primes_of",
        (BOUNDS + "test_many_layers_that_search_one_range_test_its_numbers_once",),
    ),
    Mutation(
        "a-shapes-product-runs-on",
        "storage/files/safetensors_header.py",
        "        if product > _MOST_VALUES:\n            break\n",
        "",
        (SIZES + "test_a_safetensors_shape_stops_at_the_first_absurd_product",),
    ),
    Mutation(
        "names-may-be-endless",
        "storage/files/safetensors_header.py",
        "    if len(name) > MAX_NAME:",
        "    if len(name) < 0:",
        (SIZES + "test_a_name_is_as_long_as_patterns_can_take",),
    ),
    Mutation(
        "bytes-of-no-rows-are-shared-out",
        "engramctl/checkpoints/stacked_tensors.py",
        "found = tensor.num_bytes // rows if rows else 0",
        "found = tensor.num_bytes // rows",
        (SIZES + "test_a_gguf_table_without_rows_is_refused",),
    ),
    Mutation(
        "a-table-is-there-twice",
        "engramctl/checkpoints/stacked_tensors.py",
        "    if before is not tensor:",
        "    if before is None:",
        (SIZES + "test_a_table_that_is_there_by_two_names_is_refused",),
    ),
    Mutation(
        "the-footers-rows-are-believed",
        "engramctl/counts/ngrams.py",
        "if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:",
        "if min(groups, default=0) < 0:",
        ("tests/counts/test_ngrams.py::test_a_footer_that_counts_other_rows_is_refused",),
    ),
    Mutation(
        "a-long-bucket-is-looked-through",
        "storage/format/dictionary_index.py",
        "_LONG_BUCKET = 64 ",
        "_LONG_BUCKET = 1 << 40 ",
        (
            "tests/storage/format/test_dictionary_index.py"
            "::test_a_bucket_that_a_stranger_filled_is_searched_by_halves",
        ),
    ),
)
