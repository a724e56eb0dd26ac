"""What is asked for: numbers as people write them, names, help, completion."""

from tests.mutations import Mutation

MUTATIONS = (
    Mutation(
        "count-with-binary-units",
        "engramctl/terminal/numbers.py",
        '"k": 1000, "m": 1000**2,',
        '"k": 1024, "m": 1000**2,',
        ("tests/terminal/test_numbers.py::test_every_way_to_write_a_number_gives_it",),
    ),
    Mutation(
        "fraction-of-a-whole-number",
        "engramctl/terminal/numbers.py",
        "denominator == 0 or numerator % denominator",
        "denominator == 0",
        ("tests/terminal/test_numbers.py::test_what_is_not_whole_is_refused_by_the_options_name",),
    ),
)
