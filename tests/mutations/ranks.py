"""Several ranks: what is dealt, sent, waited for, and what ends them."""

from tests.mutations import Mutation

_TWO = "tests/ranks/test_two_ranks.py"
_STARTED = "tests/ranks/test_started.py"

MUTATIONS = (
    Mutation(
        "rows-of-a-micro-batch-asked-in-its-turn",
        "engramctl/ranks/pipeline.py",
        "ask(one.windows)\n            for one in some:\n                self._first",
        "ask(one.windows)\n                self._first",
        (
            "tests/ranks/test_overlap.py::"
            "test_with_two_the_second_s_rows_and_the_first_s_branches_are_not_waited_for",
        ),
    ),
    Mutation(
        "single-pass-carry-is-not-sent",
        "engramctl/ranks/pipeline.py",
        "one.came[1].wait() if self._deferred else first_pre(X)",
        "first_pre(X)",
        (f"{_TWO}::test_every_rank_has_the_logits_of_one_process_bit_for_bit",),
    ),
    Mutation(
        "rows-for-own-sequences-in-both-stages",
        "engramctl/ranks/mail.py",
        "(rank - self.stages[layer]) % self",
        "rank % self",
        (f"{_TWO}::test_every_rank_has_the_logits_of_one_process_bit_for_bit",),
    ),
    Mutation(
        "rows-for-itself-counted-as-sent",
        "engramctl/ranks/exchange.py",
        "sum(send_counts) - send_counts[self.peers.rank]",
        "sum(send_counts)",
        (f"{_TWO}::test_an_exchange_counts_what_leaves_the_rank",),
    ),
    Mutation(
        "part-keeps-the-numbers-of-the-whole",
        "engramctl/storage/reading/part.py",
        "next_row - begin))",
        "next_row - start))",
        ("tests/storage/reading/test_part.py::test_a_part_gives_the_rows_of_the_whole",),
    ),
    Mutation(
        "killed-rank-is-waited-for",
        "engramctl/ranks/started.py",
        "                raise _ended(open_ones[one]) from lost\n",
        "                del open_ones[one]\n                continue\n",
        (f"{_STARTED}::test_a_rank_that_is_killed_ends_all_with_a_message",),
    ),
    Mutation(
        "lost-peer-told-before-its-cause",
        "engramctl/ranks/started.py",
        "                lost, patience = what, time.monotonic() + CAUSE_S\n",
        "                raise what\n",
        (f"{_STARTED}::test_the_cause_is_told_and_not_that_a_rank_was_lost",),
    ),
    Mutation(
        "every-launched-rank-prints",
        "engramctl/ranks/place.py",
        "return place.world, place.rank > 0",
        "return place.world, False",
        ("tests/ranks/test_place.py::test_a_launched_process_is_one_of_those_that_were_launched",),
    ),
    Mutation(
        "samples-of-the-fastest-rank",
        "engramctl/results/ranked.py",
        "[max(times) for times in zip(*of_ranks, strict=True)]",
        "[min(times) for times in zip(*of_ranks, strict=True)]",
        ("tests/results/test_ranked.py::test_a_step_is_done_when_the_slowest_rank_is",),
    ),
)
