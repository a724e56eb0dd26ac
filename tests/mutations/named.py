"""What is asked for: numbers as people write them, names, help, completion."""

from tests.mutations import Mutation

MUTATIONS = (
    Mutation(
        "count-with-binary-units",
        "engramctl/numbers.py",
        '"k": 1000, "m": 1000**2,',
        '"k": 1024, "m": 1000**2,',
        ("tests/test_numbers.py::test_every_way_to_write_a_number_gives_it",),
    ),
    Mutation(
        "fraction-of-a-whole-number",
        "engramctl/numbers.py",
        "denominator == 0 or numerator % denominator",
        "denominator == 0",
        ("tests/test_numbers.py::test_what_is_not_whole_is_refused_by_the_options_name",),
    ),
    Mutation(
        "mistyped-command-without-a-question",
        "engramctl/cli.py",
        'if name not in COMMANDS and not name.startswith("-"):',
        "if False:",
        ("tests/test_cli.py::test_what_is_mistyped_is_answered_with_what_is_near",),
    ),
    Mutation(
        "completion-forgets-the-equals-sign-of-bash",
        "engramctl/completion/shells.py",
        '    if beginning == "=":',
        "    if False:",
        ("tests/completion/test_shells.py::test_bash_reads_words",),
    ),
    Mutation(
        "one-dash-before-a-long-option",
        "engramctl/arguments/words.py",
        'if len(word) > 2 and f"-{word}" in names:',
        "if False:",
        ("tests/test_cli.py::test_what_is_mistyped_is_answered_with_what_is_near",),
    ),
    Mutation(
        "named-scheme-not-described",
        "engramctl/describe/folders.py",
        "        if name in PRESETS:\n",
        "        if False:\n",
        ("tests/describe/test_schemes.py::test_a_name_is_described_as_its_scheme_file_is",),
    ),
)
