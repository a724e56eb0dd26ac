"""SIGBUS in our mappings: caught, told, and never taken from others."""

from tests.mutations import Mutation

ERRORS = "tests/storage/io/test_bus_errors.py"
HANDLER = "tests/storage/io/test_bus_handler.py"

MUTATIONS = (
    Mutation(
        "covered-rows-handed-over", "storage/tiers/ssd.py",
        "            if any_fault:\n",
        "            if False:\n",
        (ERRORS + "::test_a_file_cut_under_a_mapping_is_an_error_with_file_and_offset",),
    ),
    Mutation(
        "covered-rows-look-like-rows", "storage/tiers/ssd.py",
        'out.fill_(float("nan") if out.is_floating_point() else 0xFF)',
        "pass",
        (ERRORS + "::test_a_file_cut_under_a_mapping_is_an_error_with_file_and_offset",),
    ),
    Mutation(
        "broken-files-are-prefetched", "storage/io/mapped_rows.py",
        "        if any_fault:\n",
        "        if False:\n",
        (ERRORS + "::test_a_broken_file_stays_refused_until_its_store_is_opened_again",),
    ),
    Mutation(
        "slots-outlive-mappings", "storage/io/watched_maps.py",
        "    WORDS[slot + 1] = 0\n",
        "",
        (ERRORS + "::test_a_mapping_is_covered_as_long_as_there_are_views_of_it",),
    ),
    Mutation(
        "sent-signals-are-swallowed", "storage/io/bus_handler.py",
        "                _raise(_SIGBUS)",
        "                pass",
        (HANDLER + "::test_where_nobody_caught_it_it_kills",),
    ),
    Mutation(
        "ignored-signals-kill", "storage/io/bus_handler.py",
        "if repeated or before == _DEFAULT:",
        "if True:",
        (HANDLER + "::test_where_it_was_ignored_one_sent_is_and_a_fault_kills",),
    ),
    Mutation(
        "handler-before-is-forgotten", "storage/io/bus_handler.py",
        "    _call(before, number, info, context)",
        "    pass",
        (HANDLER + "::test_a_handler_in_python_is_called",),
    ),
    Mutation(
        "handlers-call-in-a-circle", "storage/io/bus_handler.py",
        "if _installed and before[0] not in (_DEFAULT, _IGNORE):",
        "if False:",
        (HANDLER + "::test_a_handler_set_after_ours_is_left_there_and_told",),
    ),
    Mutation(
        "populate-believes-a-cut-file", "storage/io/pages.py",
        "            raise cut_short(path, at, stop - at, 0)",
        "            return",
        (ERRORS + "::test_populate_and_residency_of_a_cut_file_raise_no_signal",),
    ),
    Mutation(
        "command-line-catches-nothing", "engramctl/cli.py",
        "    catch_when_mapped()\n",
        "",
        (ERRORS + "::test_a_command_whose_shard_is_cut_fails_with_the_message",),
    ),
)  # fmt: skip
