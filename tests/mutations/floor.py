"""The floor: compiled kernels, streams, what is printed, memory, inputs."""

from tests.mutations import Mutation

CACHE = "tests/runtime/test_kernel_cache.py"
PROCESSES = "tests/runtime/test_two_processes.py"
MEMORY = "tests/test_memory.py"
OUTPUT = "tests/test_output.py"
STREAMS = "tests/terminal/test_streams.py"
INPUTS = "tests/arguments/test_inputs.py"

MUTATIONS = (
    Mutation(
        "kernels-of-two-processes-have-one-name",
        "engramctl/runtime/kernel_cache.py",
        "\n_number_anew()\n",
        "\n",
        (f"{PROCESSES}::test_code_of_two_processes_is_not_taken_for_each_other",),
    ),
    Mutation(
        "kernels-of-two-children-have-one-name",
        "engramctl/runtime/kernel_cache.py",
        "os.register_at_fork(after_in_child=_number_anew)\n",
        "",
        (f"{PROCESSES}::test_a_child_numbers_its_functions_anew",),
    ),
    Mutation(
        "kernel-key-without-helpers",
        "engramctl/runtime/kernel_cache.py",
        "    for name in sorted(kernels | (constants & texts.keys())):",
        "    for name in ():",
        (f"{CACHE}::test_an_edit_in_another_file_is_seen_by_the_next_process",),
    ),
    Mutation(
        "kernel-key-without-constants",
        "engramctl/runtime/kernel_cache.py",
        "sorted(kernels | (constants & texts.keys()))",
        "sorted(kernels)",
        (f"{CACHE}::test_an_edit_in_another_file_is_seen_by_the_next_process",),
    ),
    Mutation(
        "kernel-folder-others-may-write",
        "engramctl/runtime/kernel_cache.py",
        "    return ours and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)",
        "    return ours",
        (f"{CACHE}::test_a_folder_that_others_may_have_written_is_not_used",),
    ),
    Mutation(
        "kernel-folder-behind-a-link",
        "engramctl/runtime/kernel_cache.py",
        "    facts = folder.lstat()",
        "    facts = folder.stat()",
        (f"{CACHE}::test_a_folder_that_others_may_have_written_is_not_used",),
    ),
    Mutation(
        "kernel-folder-of-another",
        "engramctl/runtime/kernel_cache.py",
        " and facts.st_uid == os.geteuid()",
        "",
        (f"{CACHE}::test_a_folder_of_another_owner_is_not_used",),
    ),
    Mutation(
        "kernel-folder-anyone-may-exchange",
        "engramctl/runtime/kernel_cache.py",
        "if not _exchangeable(user) and ",
        "if ",
        (f"{CACHE}::test_a_users_cache_that_anyone_may_exchange_is_not_used",),
    ),
    Mutation(
        "broken-kernel-kept",
        "engramctl/runtime/kernel_cache.py",
        "                self.flush()",
        "                pass",
        (f"{CACHE}::test_compiled_code_that_was_cut_short_is_compiled_again",),
    ),
    Mutation(
        "code-of-another-signature",
        "engramctl/runtime/kernel_cache.py",
        "            if found is None or found.signature.args == normalize_signature(sig)[0]:",
        "            if True:",
        (f"{CACHE}::test_code_of_another_signature_is_never_run",),
    ),
    Mutation(
        "tables-printed-raw",
        "engramctl/output.py",
        "        tables = [table.printable() for table in tables]",
        "        tables = list(tables)",
        (f"{OUTPUT}::test_no_control_character_of_a_table_is_printed",),
    ),
    Mutation(
        "facts-printed-raw",
        "engramctl/errors.py",
        '.join(printable(line) for line in text.split("\\n"))',
        '.join(line for line in text.split("\\n"))',
        (f"{OUTPUT}::test_no_value_of_a_file_begins_a_line_of_an_error",),
    ),
    Mutation(
        "strangers-command-offered",
        "storage/reading/table.py",
        "    if not (ours and command.isprintable() and len(command) <= _LONGEST_COMMAND):",
        "    if not (command.isprintable() and len(command) <= _LONGEST_COMMAND):",
        (f"{OUTPUT}::test_only_a_command_of_ours_is_offered_again",),
    ),
    Mutation(
        "full-stdout-unnoticed",
        "engramctl/cli.py",
        "        sys.stdout.flush()\n",
        "",
        (f"{STREAMS}::test_a_full_stdout_is_one_clear_error",),
    ),
    Mutation(
        "closed-stderr-reused",
        "engramctl/terminal/streams.py",
        "            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)",
        "            pass",
        (f"{STREAMS}::test_the_work_is_done_whatever_becomes_of_the_streams",),
    ),
    Mutation(
        "note-to-a-full-stderr",
        "engramctl/terminal/streams.py",
        "    with contextlib.suppress(OSError, ValueError):",
        "    with contextlib.suppress(ValueError):",
        (
            f"{OUTPUT}::test_a_stderr_that_is_full_or_closed_ends_nothing",
            f"{STREAMS}::test_the_work_is_done_whatever_becomes_of_the_streams",
        ),
    ),
    Mutation(
        "output-holds-an-input",
        "engramctl/arguments/inputs.py",
        "            return place in origin.parents",
        "            return False",
        (f"{INPUTS}::test_an_output_that_is_an_input_is_refused_and_nothing_is_touched",),
    ),
    Mutation(
        "output-inside-an-input",
        "engramctl/arguments/inputs.py",
        "        return source.is_dir() and origin in place.parents",
        "        return False",
        (f"{INPUTS}::test_an_output_that_is_an_input_is_refused_and_nothing_is_touched",),
    ),
    Mutation(
        "container-not-asked",
        "engramctl/memory.py",
        "                yield folder, version",
        "                yield top, version",
        (f"{MEMORY}::test_the_least_of_all_levels_counts",),
    ),
    Mutation(
        "page-cache-not-free",
        "engramctl/memory.py",
        "    return min(known) - max(0, usage - cache)",
        "    return min(known) - usage",
        (f"{MEMORY}::test_page_cache_is_free_and_other_files_in_memory_are_not",),
    ),
    Mutation(
        "tmpfs-taken-for-a-disk",
        "storage/files/free_space.py",
        "        free_bytes = min(free_bytes, available_bytes())",
        "        pass",
        (f"{MEMORY}::test_what_is_written_to_memory_must_fit_into_the_container",),
    ),
)
