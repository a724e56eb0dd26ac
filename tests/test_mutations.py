"""The mutations of tests/mutations/ find their lines and their tests; `tests.mutate` runs them."""

from collections import Counter

import pytest

from tests.conftest import ROOT
from tests.mutations import Mutation, all_mutations

MUTATIONS = all_mutations()


def test_no_two_mutations_have_one_name() -> None:
    assert max(Counter(one.name for one in MUTATIONS).values()) == 1


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_mutation_finds_its_line_and_its_tests(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.killers
    for killer in mutation.killers:
        file, _, name = killer.partition("::")
        text = (ROOT / file).read_text()
        assert f"def {name.partition('[')[0]}(" in text if name else "def test_" in text
