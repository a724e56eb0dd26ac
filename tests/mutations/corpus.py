"""Which files a corpus has, and which column of them is read."""

from tests.mutations import Mutation

_FIND = "tests/sources/test_find.py::test_"
_BAD = "tests/sources/test_bad.py::test_"
_REMOTE = "tests/sources/test_remote.py::test_"
_RULE = "engramctl/sources/rule.py"
_WALK = "engramctl/sources/walk.py"

MUTATIONS = (
    Mutation(
        "underscore-names-are-read",
        _RULE,
        'name[:1] in (".", "_") and not part',
        'name[:1] == "." and not part',
        (_FIND + "what_other_programs_hide_is_left_out_by_folder_and_by_pattern_and_told",),
    ),
    Mutation(
        "partitions-are-hidden",
        _RULE,
        'name.startswith("_") and "=" in name',
        "False",
        (_FIND + "partitions_and_capital_suffixes_are_read",),
    ),
    Mutation(
        "unfinished-folders-are-read",
        _RULE,
        "return OURS if is_folder and name.endswith(_UNFINISHED) else None",
        "return None",
        (_FIND + "how_many_are_left_out_and_why_is_one_line",),
    ),
    Mutation(
        "pattern-folder-that-exists-is-matched",
        _RULE,
        "steps[0] == ANY_DEPTH or not exists(folder)",
        "True",
        (_FIND + "a_local_name_with_the_signs_of_a_pattern_is_exact",),
    ),
    Mutation(
        "own-folder-unseen-behind-a-spelled-name",
        _WALK,
        "else [tree.entry(join(folder.path, name)) for name in MARKS]",
        "else []",
        (_FIND + "a_pattern_does_not_find_what_engramctl_wrote",),
    ),
    Mutation(
        "circles-of-links-go-on",
        _WALK,
        "key = (folder.real,",
        "key = (folder.path,",
        (_FIND + "many_links_in_circles_are_no_more_work_than_the_folders",),
    ),
    Mutation(
        "dangling-link-counts-only-as-a-file",
        _WALK,
        "entry.kind is Kind.DANGLING or (is_whole and entry.kind is Kind.OTHER)",
        "is_whole and entry.kind in (Kind.DANGLING, Kind.OTHER)",
        (_BAD + "a_link_to_nothing_may_have_been_a_folder",),
    ),
    Mutation(
        "folder-that-may-not-be-listed-vanishes",
        _WALK,
        "if visit.reason is None:\n                    self._found",
        "if visit.reason is not None:\n                    self._found",
        (_BAD + "a_folder_one_may_not_list_or_enter_is_named_or_left_out_and_listed",),
    ),
    Mutation(
        "remote-name-is-a-pattern-first",
        "engramctl/sources/find.py",
        "        entry = tree.entry(path)\n    except",
        "        entry = None if is_pattern(path) else tree.entry(path)\n    except",
        (_REMOTE + "the_rule_is_the_same_for_remote_systems",),
    ),
    Mutation(
        "left-out-although-read-by-another-name",
        "engramctl/sources/find.py",
        "for real, reason in left_out.items() if real not in files",
        "for real, reason in left_out.items()",
        (_FIND + "what_is_read_under_another_name_is_not_left_out",),
    ),
    Mutation(
        "recorded-names-not-utf8",
        "engramctl/sources/file.py",
        'return os.fsencode(name).decode("utf-8", "backslashreplace")',
        "return str(name)",
        (_FIND + "a_name_that_is_not_utf8_is_found_by_every_way",),
    ),
    Mutation(
        "json-of-surrogates",
        "storage/files/atomic.py",
        'text.encode(errors="backslashreplace")',
        "text.encode()",
        (
            "tests/commands/test_strange_names.py::test_json_of_ours_may_hold_them_and_gives_them_back",
        ),
    ),
    Mutation(
        "one-leaf-a-column",
        "engramctl/corpus/parquet.py",
        "_num_leaves(schema.field(at).type) for at",
        "1 for at",
        ("tests/corpus/test_parquet.py::test_leaves_are_counted_as_parquet_counts_them",),
    ),
)
