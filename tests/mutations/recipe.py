"""Recipes and whole sequences: which tokens are read, what beats what, what is said of cuts."""

from tests.mutations import Mutation

_WAVE = "tests/arms/test_sequences.py::test_a_sequence_of_a_wave_is_read_as_if_it_were_alone"
_RECIPES = "tests/sweep/test_recipes.py::"

MUTATIONS = (
    Mutation(
        "wave-hashes-without-what-came-before",
        "engramctl/arms/sequences.py",
        "line[:, start : start + before])",
        "window.history_BC[:active])",
        (_WAVE,),
    ),
    Mutation(
        "second-wave-finds-the-history-of-the-first",
        "engramctl/arms/sequences.py",
        "            history.zero_()\n",
        "            pass\n",
        (_WAVE,),
    ),
    Mutation(
        "recipe-beats-what-was-given",
        "engramctl/sweep/recipes.py",
        "{**given, **wanted, **said,",
        "{**given, **said, **wanted,",
        (f"{_RECIPES}test_what_is_given_beats_the_recipe",),
    ),
    Mutation(
        "cut-table-goes-unsaid",
        "engramctl/sweep/recipes.py",
        '    found["parameters of the table"] = (round(recipe.parameters), parameters)\n',
        "",
        (f"{_RECIPES}test_what_is_cut_is_named_with_both_sizes",),
    ),
    Mutation(
        "wave-forgets-tokens-of-the-longest",
        "engramctl/arms/sequences.py",
        "return range(self.common, int(self.lengths[0]))",
        "return range(self.common, int(self.lengths[0]) - 1)",
        (_WAVE,),
    ),
    Mutation(
        "graph-waits-for-all-rows-first",
        "engramctl/model/graphed.py",
        "        self._graphs[-1].capture_end()\n        self._begin()\n        return",
        "        return",
        ("tests/model/test_graphed.py::test_graphs_are_broken_where_a_memory_takes_its_rows",),
    ),
)
