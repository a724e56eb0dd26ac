"""Mutations of what is done to files that others named, or that lie where ours are to be."""

from tests.mutations import Mutation

MUTATIONS = (
    Mutation(
        "demo-takes-any-folder",
        "engramctl/demo/folder.py",
        "    if foreign:\n",
        "    if False:\n",
        ("tests/demo/test_demo.py::"
         "test_force_replaces_what_a_demo_made_and_nothing_else[thesis.txt]",),
    ),
    Mutation(
        "demo-takes-any-corpus",
        "engramctl/corpus/sample.py",
        "            return tuple(parquet.schema_arrow.names) == COLUMNS",
        "            return True",
        ("tests/demo/test_demo.py::test_a_corpus_of_a_demo_is_told_from_others",),
    ),
    Mutation(
        "sizes-of-a-checkpoint-are-believed",
        "engramctl/counting/spill.py",
        "if os.fstat(file).st_size < num_bytes:",
        "if False:",
        ("tests/mining/test_run_state.py::test_a_state_that_no_run_wrote_is_refused",),
    ),
    Mutation(
        "shape-of-a-checkpoint-is-believed",
        "engramctl/mining/run_state.py",
        "    except (LookupError, TypeError, ValueError, OverflowError, AssertionError) as error:",
        "    except () as error:",
        ("tests/mining/test_run_state.py::test_a_state_that_no_run_wrote_is_refused",),
    ),
    Mutation(
        "panic-of-a-tokenizer-is-a-bug",
        "engramctl/vocabulary/tokenizer_file.py",
        "    except BaseException as error:",
        "    except Exception as error:",
        ("tests/vocabulary/test_broken_tokenizers.py::test_text_is_not_mined_with_them",),
    ),
    Mutation(
        "dtype-of-any-type",
        "storage/files/safetensors_header.py",
        "not isinstance(dtype, str) or dtype not in ITEM_BITS",
        "dtype not in ITEM_BITS",
        ("tests/checkpoints/test_in_place.py::test_a_dtype_that_is_no_word_is_refused",),
    ),
    Mutation(
        "circle-of-links-is-resolved",
        "storage/files/published.py",
        "if os.path.realpath(path).endswith(SUFFIX):",
        "if path.resolve().name.endswith(SUFFIX):",
        ("tests/commands/test_strange_names.py::test_a_circle_of_links_is_no_bug",),
    ),
    Mutation(
        "config-with-any-number-of-dots",
        "engramctl/config.py",
        'if any(line.count(b".") > MAX_DOTS for line in text.splitlines()):',
        "if False:",
        ("tests/test_cli.py::test_a_wrong_config_is_exit_2",),
    ),
    Mutation(
        "memory-that-torch-lacks-is-a-bug",
        "storage/files/system_errors.py",
        "not any(one in str(error) for one in _NO_MEMORY)",
        "True",
        ("tests/terminal/test_streams.py::test_memory_that_torch_does_not_get_is_no_bug",),
    ),
)  # fmt: skip
