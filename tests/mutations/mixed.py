"""Mixtures in use: rows on their way, steps that failed half-way, slots and stores that end."""

from tests.mutations import Mutation

CACHE = "tests/storage/device/test_device_cache.py"
ARRIVALS = "tests/storage/pinned/test_words_and_slots.py"
PINNED = "tests/storage/pinned/test_pinned.py"
PINNED_ENDS = "tests/storage/tiers/test_pinned_ends.py"
WORDS = "tests/storage/pinned/test_compiled_words.py"
SLOTS = "tests/storage/tiers/test_slot_ends.py"
STAGED = "tests/storage/tiers/test_staged.py"

MUTATIONS = (
    Mutation(
        "a-word-given-back-keeps-its-number", "storage/pinned/arrivals.py",
        "            self.write(word, self.number(word))\n            self._reserved",
        "            self._reserved",
        (ARRIVALS + "::test_a_word_that_was_a_slot_s_says_nothing_of_the_rows_of_others",),
    ),
    Mutation(
        "rows-that-no-thread-takes-on-are-awaited", "storage/pinned/arrivals.py",
        "            self._fail(arrival, error)\n            raise\n", "            raise\n",
        (ARRIVALS + "::test_rows_that_no_thread_takes_on_are_told_to_whoever_waits",),
    ),
    Mutation(
        "a-child-keeps-the-words-of-its-parent", "storage/pinned/arrivals.py",
        "        renew_in_children(self)\n", "",
        (ARRIVALS + "::test_a_forked_child_knows_of_no_rows_on_their_way",),
    ),
    Mutation(
        "a-child-has-no-memory-of-closed-views", "storage/pinned/pinned.py",
        "    advise(memory.address, whole_pages(memory.num_bytes), _DOFORK)\n", "",
        (PINNED + "::test_a_view_that_outlives_close_is_a_forked_child_s_as_well",),
    ),
    Mutation(
        "slots-take-every-word", "storage/pinned/arrivals.py",
        ">= WORDS // 2:", ">= WORDS:",
        (ARRIVALS + "::test_slots_leave_words_for_tickets",),
    ),
    Mutation(
        "a-step-that-failed-is-waited-for", "storage/tiers/staged_slot.py",
        "                self._pass_over(line)\n", "                pass\n",
        (SLOTS + "::test_a_step_that_could_not_be_asked_for_leaves_the_slot_as_it_was",),
    ),
    Mutation(
        "a-slot-that-never-was-keeps-its-words", "storage/tiers/staged_slot.py",
        "        except BaseException:\n            self.let_go()\n",
        "        except BaseException:\n",
        (SLOTS + "::test_a_slot_that_cannot_be_made_takes_no_words",),
    ),
    Mutation(
        "a-child-waits-for-the-thread-of-its-parent", "storage/tiers/staged_slot.py",
        "            if not store.usage.generation:", "            if True:",
        (SLOTS + "::test_a_forked_child_closes_a_slot_whose_rows_its_parent_reads",),
    ),
    Mutation(
        "a-join-that-fails-holds-the-next-step-back", "storage/tiers/staged_slot.py",
        "            finally:  # `seen` goes on in any case, and `ask` waits for as much\n",
        "            except ZeroDivisionError:\n",
        (SLOTS + "::test_a_join_that_fails_counts_as_read_where_streams_wait",),
    ),
    Mutation(
        "a-child-waits-for-the-stream-of-its-parent", "storage/tiers/staged.py",
        'kept = ("cache",) if not self.usage.generation else ()',
        'kept = ("cache",)',
        (SLOTS + "::test_a_forked_child_closes_a_store_without_its_stream",),
    ),
    Mutation(
        "records-freed-while-they-are-kept", "storage/device/device_cache.py",
        "        self.stream.keep(records)\n", "",
        (CACHE + "::test_what_is_kept_follows_its_event_and_outlives_its_copy",),
    ),
    Mutation(
        "records-kept-before-they-came", "storage/device/device_cache.py",
        "        self.stream.follow_event(event)\n", "",
        (CACHE + "::test_what_is_kept_follows_its_event_and_outlives_its_copy",),
    ),
    Mutation(
        "a-slot-leads-no-stream", "storage/tiers/staged_slot.py",
        "            store.cache.stream.lead()\n", "            pass\n",
        (SLOTS + "::test_a_slot_keeps_rows_before_it_reads_over_them_and_leads_the_step",),
    ),
    Mutation(
        "a-slot-reads-over-what-is-kept", "storage/tiers/staged_slot.py",
        "        cache.stream.finish()  # `records` is read into again now\n", "",
        (SLOTS + "::test_a_slot_keeps_rows_before_it_reads_over_them_and_leads_the_step",),
    ),
    Mutation(
        "slots-of-the-mode-they-were-made-in", "storage/requests/gives_slots.py",
        "with torch.inference_mode(False):", "if True:",
        (SLOTS + "::test_what_was_opened_in_inference_mode_is_used_in_any",),
    ),
    Mutation(
        "stores-of-the-mode-they-were-opened-in", "storage/tiers/store.py",
        "with torch.inference_mode(False):", "if True:",
        (SLOTS + "::test_what_was_opened_in_inference_mode_is_used_in_any",),
    ),
    Mutation(
        "rows-of-a-step-that-failed-are-those-before", "storage/tiers/staged_slot.py",
        "room, line.arrival = line.room(len(rows)), None", "room = line.room(len(rows))",
        (SLOTS + "::test_records_that_a_failed_step_wrote_over_are_not_kept",),
    ),
    Mutation(
        "rows-are-waited-for-that-nobody-brings", "storage/tiers/staged_slot.py",
        "if not captured and not line.owed:", "if False:",
        (SLOTS + "::test_rows_of_a_slot_are_waited_for_once_after_they_were_asked_for",),
    ),
    Mutation(
        "slots-that-are-dropped-are-freed", "storage/requests/gives_slots.py",
        "self._slots = (*self._slots, slot)", "pass",
        (SLOTS + "::test_closing_a_store_closes_its_slots_and_drops_none_before",),
    ),
    Mutation(
        "a-store-frees-what-a-slot-still-uses", "storage/requests/slot.py",
        "        with self._closing:\n", "        if True:\n",
        (SLOTS + "::test_a_slot_is_freed_once_by_whoever_closes_it",),
    ),
    Mutation(
        "a-device-that-fails-keeps-what-it-pinned", "storage/tiers/pinned_host.py",
        "        finally:\n            self._let_go()\n",
        "        except KeyError:\n            self._let_go()\n",
        (PINNED_ENDS + "::test_a_device_that_fails_at_the_end_keeps_no_memory",),
    ),
    Mutation(
        "a-copy-of-a-buffer-is-captured", "storage/tiers/pinned_host.py",
        "        self.refuse_capture(ids)\n", "",
        (PINNED_ENDS + "::test_row_ids_on_the_host_are_not_captured",),
    ),
    Mutation(
        "rows-behind-a-word-may-be-old", "storage/pinned/triton_words.py",
        "tl.store(seen, _fence(number))", "tl.store(seen, number)",
        (WORDS + "::test_what_the_host_wrote_before_a_word_is_seen_behind_it",),
    ),
    Mutation(
        "a-word-is-looked-at-once", "storage/pinned/triton_words.py",
        "        while tl.load(word, volatile=True) < number:\n            pass\n        tl.store",
        "        while tl.load(word) < number:\n            pass\n        tl.store",
        (WORDS + "::test_what_the_host_wrote_before_a_word_is_seen_behind_it",),
    ),
    Mutation(
        "positions-are-the-asking-stream-s", "storage/tiers/staged.py",
        "self.cache.stream.lead(part.held, *part.places)", "self.cache.stream.lead(part.held)",
        (STAGED + "::test_positions_of_kept_rows_are_there_for_whatever_stream_waits",),
    ),
    Mutation(
        "positions-come-on-the-asking-stream", "storage/device/device_cache.py",
        "        with self.stream.queue():\n            return self._there(numbers)\n",
        "        return self._there(numbers)\n",
        (STAGED + "::test_positions_of_kept_rows_are_there_for_whatever_stream_waits",),
    ),
)  # fmt: skip
