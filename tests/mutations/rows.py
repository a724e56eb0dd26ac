"""Mistakes about tokens, named; the command that looks closer."""

from tests.mutations import Mutation

VERDICT = "tests/rows/test_verdict.py"

MUTATIONS = (
    Mutation(
        "the-first-token-lost-when-behind",
        "engramctl/rows/other_tokens.py",
        "before = history[-1:] if len(history) else",
        "before = history[:0] if len(history) else",
        (f"{VERDICT}::test_an_engine_one_token_behind_is_named",),
    ),
    Mutation(
        "a-later-sequence-explained-as-the-first",
        "engramctl/rows/verdict.py",
        "    if not first.sequence:\n",
        "    if True:\n",
        (f"{VERDICT}::test_the_hint_of_a_later_sequence_cuts_it_out",),
    ),
)
