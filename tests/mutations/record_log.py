"""The n-gram log: what is found, valid, durable, counted."""

from tests.mutations import Mutation

_LOG = "tests/storage/record_log/test_record_log.py"
_TORN = "tests/storage/record_log/test_torn_logs.py"
_FAULTS = "tests/storage/record_log/test_log_faults.py"
_FILLING = "tests/storage/record_log/test_filling.py"
_IN_ORDER = "test_a_footer_is_written_after_its_data_is_on_the_disk_and_a_header_before_entries_are"
_INDEX = "tests/storage/record_log/test_live_index.py"

_CLOSES = "tests/storage/record_log/test_log_handlers.py::test_"

MUTATIONS = (
    Mutation(
        "a-log-locks-its-handlers-out",
        "storage/record_log/record_log.py",
        "        self._writing = threading.RLock()  #",
        "        self._writing = threading.Lock()  #",
        (_CLOSES + "a_handler_closes_the_log_in_the_middle_of_what_it_writes",),
    ),
    Mutation(
        "a-log-ends-in-the-middle-of-what-it-writes",
        "storage/record_log/record_log.py",
        "            if not closed and not self._appending:",
        "            if not closed:",
        (_CLOSES + "a_handler_closes_the_log_in_the_middle_of_what_it_writes",),
    ),
    Mutation(
        "a-log-is-appended-to-within-an-append",
        "storage/record_log/record_log.py",
        "if self._closed or self._appending or self.stopped is not None:",
        "if self._closed or self.stopped is not None:",
        (_CLOSES + "a_handler_appends_nothing_in_the_middle_of_what_is_appended",),
    ),
    Mutation(
        "an-older-lifes-entry-is-valid",
        "storage/record_log/log_format.py",
        "return xxhash.xxh3_64_intdigest(covered, sequence)",
        "return xxhash.xxh3_64_intdigest(covered)",
        (f"{_LOG}::test_an_entry_counts_for_its_ngram_and_its_segments_life_alone",),
    ),
    Mutation(
        "an-entry-of-another-ngram-is-valid",
        "storage/record_log/record_log.py",
        "return named and entry_sum",
        "return entry_sum",
        (f"{_LOG}::test_an_entry_counts_for_its_ngram_and_its_segments_life_alone",),
    ),
    Mutation(
        "a-record-is-found-before-it-is-written",
        "storage/record_log/segment_writer.py",
        "whole = min(self.taken, self._begin // self._format.entry_bytes)",
        "whole = self.taken",
        (f"{_LOG}::test_a_record_is_found_only_when_its_last_byte_is_in_the_file",),
    ),
    Mutation(
        "what-is-on-its-way-is-taken-again",
        "storage/record_log/record_log.py",
        "coming = self._writer.heads[self._writer.written : self._writer.taken]",
        "coming = self._writer.heads[:0]",
        (f"{_LOG}::test_a_record_is_found_only_when_its_last_byte_is_in_the_file",),
    ),
    Mutation(
        "a-forked-child-finds",
        "storage/record_log/record_log.py",
        "        self._index.renew()\n        self._closed = True\n",
        "        self._index.renew()\n",
        (f"{_LOG}::test_a_forked_child_finds_and_writes_nothing_and_the_lock_stays_ours",),
    ),
    Mutation(
        "two-may-have-the-log-open",
        "storage/files/exclusive.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        (f"{_LOG}::test_only_one_may_have_it_open",),
    ),
    Mutation(
        "an-old-footer-counts-in-a-new-life",
        "storage/record_log/log_format.py",
        "if (magic, found, entries) != (_FOOTER, sequence, self.entries_per_segment):",
        "if (magic, entries) != (_FOOTER, self.entries_per_segment):",
        (f"{_LOG}::test_a_log_holds_what_a_model_of_it_holds",),
    ),
    Mutation(
        "a-flipped-footer-is-believed",
        "storage/record_log/log_format.py",
        "if digest != xxhash.xxh3_64_intdigest(memoryview(footer)[16:]):",
        "if False:",
        (f"{_TORN}::test_a_footer_with_one_flipped_bit_is_not_believed",),
    ),
    Mutation(
        "a-log-that-a-kill-left-begun-is-refused",
        "storage/record_log/log_file.py",
        'if size > PAGE or not wanted.startswith(found.rstrip(b"\\0")):',
        "if size > 0:",
        (f"{_TORN}::test_a_log_that_was_cut_is_filled_on",),
    ),
    Mutation(
        "after-a-fault-more-is-taken",
        "storage/record_log/record_log.py",
        "if self._closed or self._appending or self.stopped is not None:",
        "if self._closed or self._appending:",
        (f"{_FAULTS}::test_after_a_fault_nothing_is_taken_and_what_is_there_is_served",),
    ),
    Mutation(
        "closing-is-not-in-the-budget",
        "storage/record_log/segment_writer.py",
        "rounding = (begun + 1) * PAGE if data else 0",
        "rounding = begun * PAGE",
        (f"{_FILLING}::test_whatever_is_allowed_closing_keeps_to_it",),
    ),
    Mutation(
        "footers-are-not-in-the-budget",
        "storage/record_log/segment_writer.py",
        "begun * PAGE + sealed * log_format.footer_bytes",
        "begun * PAGE",
        (
            f"{_FILLING}::test_at_no_moment_more_is_written_than_allowed",
            f"{_FAULTS}::test_the_bytes_written_are_those_that_the_system_saw_in_whole_pages",
        ),
    ),
    Mutation(
        "first-sight-is-enough",
        "storage/record_log/filling.py",
        "wanted = once[self.seen.second(order_index[once], keys[once])]",
        "wanted = once",
        (f"{_FILLING}::test_an_ngram_is_recorded_when_it_is_fetched_a_second_time",),
    ),
    Mutation(
        "an-entry-is-taken-for-its-neighbours",
        "storage/record_log/live_slots.py",
        "if (word & mask) == away and remainders[home + away] == mixed:",
        "if remainders[home + away] == mixed:",
        (f"{_INDEX}::test_an_ngram_with_the_same_low_word_that_lies_at_anothers_home_is_not_it",),
    ),
    Mutation(
        "an-entry-too-far-from-home-wraps",
        "storage/record_log/live_slots.py",
        "if (np.int64(words[end]) & mask) == most or end - slot == _LONGEST_RUN:",
        "if end - slot == _LONGEST_RUN:",
        (f"{_INDEX}::test_entries_that_may_not_move_on_make_a_new_one_give_way",),
    ),
    Mutation(
        "a-footer-before-its-data",
        "storage/record_log/segment_writer.py",
        "            self._file.sync()\n            self._format.seal(",
        "            self._format.seal(",
        (f"{_FAULTS}::{_IN_ORDER}",),
    ),
    Mutation(
        "entries-before-their-header",
        "storage/record_log/segment_writer.py",
        "        self._file.sync()  # before an entry of the old life is written over\n",
        "",
        (f"{_FAULTS}::{_IN_ORDER}",),
    ),
)
