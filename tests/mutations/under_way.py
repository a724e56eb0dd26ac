"""Reads under way when somebody is interrupted, closes the store, or has no descriptors left."""

from tests.mutations import Mutation

LEFT = "tests/storage/direct/test_left_under_way.py"
ENGINES = "tests/storage/readers/test_engines.py"
SIGNALS = "tests/storage/readers/test_signals.py"
RING = "storage/readers/uring_engine.py"
HANDED = "tests/storage/direct/test_interrupted.py"
PIECES = "storage/direct/sorted_pieces.py"

CALLS = "engramctl/runtime/calls.py"
POOL = "tests/runtime/test_calls.py"

MUTATIONS = (
    Mutation(
        "an-ended-pool-takes-a-call", CALLS,
        "        if self.over:  # looked",
        "        if False:  # looked",
        (POOL + "::test_a_handler_ends_the_threads_in_the_middle_of_asking_them",
         POOL + "::test_an_end_waits_for_what_runs_and_cancels_the_others_when_asked"),
    ),
    Mutation(
        "a-call-nobody-makes-is-not-over", CALLS,
        "        for one in tuple(self._open) if cancel else ():",
        "        for one in ():",
        (POOL + "::test_an_end_waits_for_what_runs_and_cancels_the_others_when_asked",),
    ),
    Mutation(
        "an-end-takes-every-call-for-over", CALLS,
        "(self._cancelled and not self._begun)",
        "self._cancelled",
        (POOL + "::test_an_end_waits_for_what_runs_and_cancels_the_others_when_asked",),
    ),
    Mutation(
        "one-thread-makes-the-calls-of-three", CALLS,
        "            if len(self._threads) < self._count and not self.over:",
        "            if not self._threads and not self.over:",
        (POOL + "::test_there_is_a_thread_for_every_call_up_to_the_most",),
    ),
    Mutation(
        "idle-threads-are-forgotten", CALLS,
        "            idle.put(None)\n",
        "",
        (POOL + "::test_threads_that_wait_are_asked_again",),
    ),
    Mutation(
        "threads-begin-where-interrupts-come", CALLS,
        "_thread.start_new_thread(_begin, (thread, loop))",
        "_begin(thread, loop)",
        (POOL + "::test_an_interrupt_at_any_step_leaves_threads_that_work",),
    ),
    Mutation(
        "threads-of-nobody-stay", CALLS,
        "        weakref.finalize(self, self._calls.put, None).atexit = False\n",
        "",
        (POOL + "::test_threads_end_with_the_last_who_holds_them",),
    ),
    Mutation(
        "a-process-ends-over-its-calls", CALLS,
        "atexit.register(_end_all)\n",
        "",
        (POOL + "::test_a_process_ends_when_its_calls_are_over",),
    ),
    Mutation(
        "a-thread-that-is-not-given-makes-no-call", CALLS,
        "        loop.make()\n",
        "        pass\n",
        (POOL + "::test_without_another_thread_the_one_that_would_start_it_makes_the_calls",),
    ),
    Mutation(
        "next-read-waits-for-nothing", PIECES,
        "            self._drain()\n            try:\n",
        "            self._under_way.clear()\n            try:\n",
        (LEFT + "::test_a_second_interrupt_leaves_no_read_to_the_next_ones_memory",),
    ),
    Mutation(
        "interrupted-wait-counts-as-over", PIECES,
        "                if not pending.over():  # bytes may still come\n",
        "                if False:\n",
        (LEFT + "::test_memory_is_not_worked_in_while_waiting_for_its_bytes_fails",),
    ),
    Mutation(
        "broken-batch-is-told-for-ever", PIECES,
        "                if not pending.over():  # bytes may still come\n",
        "                if True:\n",
        (LEFT + "::test_a_batch_that_broke_is_told_once_and_the_other_is_waited_for",),
    ),
    Mutation(
        "batch-locks-its-own-handlers-out", RING,
        "        self._lock = threading.RLock()\n        self._waited_for",
        "        self._lock = threading.Lock()\n        self._waited_for",
        (SIGNALS + "::test_a_handler_closes_the_engine_whose_reads_it_interrupts",),
    ),
    Mutation(
        "ring-is-given-back-twice", RING,
        "        if self._ring is not ring:  # a",
        "        if False:  # a",
        (SIGNALS + "::test_a_ring_that_a_handler_gave_back_is_not_given_back_again",),
    ),
    Mutation(
        "interrupted-look-keeps-a-batch", RING,
        "                with self._lock:  # let go of wherever an interrupt comes\n"
        "                    self._walk(0)\n",
        "                self._lock.acquire()\n                self._walk(0)\n"
        "                self._lock.release()\n",
        (SIGNALS + "::test_looking_lets_go_of_a_batch_wherever_it_is_interrupted",),
    ),
    Mutation(
        "cancelled-reads-go-untold", "storage/readers/pread_engine.py",
        "                broke = StorageError(",
        "                StorageError(",
        (SIGNALS + "::test_reads_cancelled_by_closing_are_told_and_not_waited_for",),
    ),
    Mutation(
        "broken-ring-is-broken-for-ever", RING,
        "            code, self._state[FAILED] = int(self._state[FAILED]), 0",
        "            code = int(self._state[FAILED])",
        (ENGINES + "::test_a_ring_that_broke_is_told_and_then_tried_again",),
    ),
    Mutation(
        "broken-feeder-is-asked-for-ever", RING,
        "            self._feeding = None  # told",
        "            pass  # told",
        (ENGINES + "::test_a_ring_that_broke_is_told_and_then_tried_again",),
    ),
    Mutation(
        "refused-mapping-comes-out-raw", "storage/readers/ring.py",
        "        except OSError as error:  # it takes",
        "        except KeyError as error:  # it takes",
        (ENGINES + "::test_a_ring_that_cannot_be_mapped_begins_nothing",),
    ),
    Mutation(
        "batch-without-a-ring-counts-as-begun", RING,
        "            raise NotBegun(error.message, facts=error.facts, hint=error.hint) from error",
        "            raise",
        (ENGINES + "::test_a_ring_that_cannot_be_mapped_begins_nothing",),
    ),
    Mutation(
        "what-was-not-begun-breaks-the-memory", PIECES,
        "                    self._beginning = False\n                    raise",
        "                    raise",
        (HANDED + "::test_memory_is_worked_in_after_a_batch_that_found_no_ring",),
    ),
    Mutation(
        "what-was-not-begun-keeps-its-pages", "storage/direct/begins.py",
        "            fetch.batch = None\n",
        "            pass\n",
        (HANDED + "::test_a_batch_that_found_no_ring_keeps_no_memory",),
    ),
)  # fmt: skip
