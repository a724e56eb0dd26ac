"""Rows of slower tiers on a device: brought, awaited, kept, split and joined."""

from tests.mutations import Mutation

ENDS = "tests/storage/pinned/test_staged_ends.py"
ROOMS = "tests/storage/pinned/test_rooms.py"
ARRIVALS = "tests/storage/pinned/test_arrivals.py"
STAGED = "tests/storage/tiers/test_staged.py"
SLOTS = "tests/storage/tiers/test_slots.py"
CACHE = "tests/storage/device/test_device_cache.py"
MIXTURE = "tests/storage/tiers/test_mixture.py"

MUTATIONS = (
    Mutation(
        "memory-is-reused-while-the-device-reads-it", "storage/pinned/rooms.py",
        "is_read = is_read and not read.query()",
        "is_read = False",
        (ROOMS + "::test_what_the_device_still_reads_is_nobody_elses",),
    ),
    Mutation(
        "records-are-kept-before-they-came", "storage/device/device_cache.py",
        "        self.stream.follow_event(event)\n",
        "",
        (ENDS + "::test_records_go_to_the_devices_cache_behind_the_event_that_brought_them",),
    ),
    Mutation(
        "rows-without-records-are-kept", "storage/device/device_cache.py",
        "                self.index.drop({layer: rows})  # their records may not be there\n",
        "",
        (CACHE + "::test_rows_whose_records_could_not_be_written_are_not_kept",),
    ),
    Mutation(
        "an-evicted-rows-record-is-written", "storage/cache/row_index.py",
        "            slots[last[slot]] = -1  # evicted again before its record was there\n",
        "            pass\n",
        (
            "tests/storage/cache/test_row_index.py"
            "::test_slots_that_are_written_at_once_are_those_of_different_rows",
        ),
    ),
    Mutation(
        "rows-that-never-came-are-kept", "storage/tiers/staged.py",
        "elif part.arrival.error is None:",
        "else:",
        ("tests/storage/tiers/test_staged_triton.py",),
    ),
    Mutation(
        "a-ticket-is-captured", "storage/tiers/staged.py",
        "        self._refuse_capture()\n        part: Staged = handle[layer]\n",
        "        part: Staged = handle[layer]\n",
        (ENDS + "::test_what_cannot_be_captured_is_refused_and_the_reason_told",),
    ),
    Mutation(
        "what-is-not-pinned-is-copied-before-it-came", "storage/pinned/arrivals.py",
        "if not self.queues or not arrival.room.is_pinned:",
        "if not self.queues:",
        (ARRIVALS + "::test_what_is_not_pinned_is_waited_for_by_the_host",),
    ),
    Mutation(
        "rows-that-never-came-look-like-rows", "storage/pinned/arrivals.py",
        "                arrival.records.fill_(_NEVER_CAME)\n",
        "                pass\n",
        (ARRIVALS + "::test_what_kept_rows_from_coming_is_told_once",),
    ),
    Mutation(
        "a-graph-waits-for-ever", "storage/pinned/arrivals.py",
        "            self.let_through(word)\n",
        "            pass\n",
        (ARRIVALS + "::test_closing_ends_every_wait_and_the_thread",),
    ),
    Mutation(
        "a-reserved-word-is-given-away", "storage/pinned/arrivals.py",
        "if word not in self._reserved and (",
        "if (",
        (ARRIVALS + "::test_a_reserved_word_is_nobody_elses",),
    ),
    Mutation(
        "a-slot-takes-the-rows-of-the-step-before", "storage/tiers/staged_slot.py",
        "            self._until_taken(line)\n",
        "            pass\n",
        (SLOTS + "::test_a_step_whose_rows_were_never_taken_is_told",),
    ),
    Mutation(
        "what-warming-reads-is-a-miss", "storage/direct/warming.py",
        ", counted=False)",
        ")",
        (MIXTURE + "::test_rows_brought_before_anybody_asked_are_served_by_host",),
    ),
    Mutation(
        "rows-for-the-device-fill-the-host-too", "storage/direct/direct_rows.py",
        "self.pieces.read(layer, row_ids, out, kept=False)",
        "self.pieces.read(layer, row_ids, out)",
        (STAGED + "::test_the_most_wanted_rows_are_brought_to_the_fastest_tier",),
    ),
    Mutation(
        "a-tier-twice", "storage/tiers/tier_list.py",
        "if sorted(set(names), key=TIERS.index) != names:",
        "if sorted(names, key=TIERS.index) != names:",
        ("tests/storage/tiers/test_tier_list.py",),
    ),
    Mutation(
        "missed-rows-count-each-time", "storage/cache/row_cache.py",
        "        self._count(len(missed), distinct_rows(missed), int(parted.counts[1]))\n",
        "        self._count(len(missed), len(missed), int(parted.counts[1]))\n",
        (MIXTURE + "::test_who_serves_what_is_as_in_a_dictionary",),
    ),
    Mutation(
        "stored-rows-lose-their-scales", "storage/io/gather.py",
        "        copy_bytes(scale, target + weight_bytes, scale_bytes)\n",
        "",
        ("tests/storage/tiers/test_stored_rows.py",),
    ),
)  # fmt: skip
