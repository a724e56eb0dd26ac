"""The lock of the row cache: who is kept out, and what an interrupt leaves."""

from tests.mutations import Mutation

LOCK = "storage/cache/shared_lock.py"
SHARED = ("tests/storage/cache/test_shared_lock.py",)
INTERRUPTED = ("tests/storage/cache/test_shared_lock_interrupted.py",)
DONE = (
    "        with self.quick:\n"
    "            if self._readers:\n"
    "                return False\n"
    "            work()\n"
    "        return True\n"
)

MUTATIONS = (
    Mutation(
        "readers-do-not-keep-changes-out", LOCK,
        "            self._readers.add(reader)\n",
        "",
        SHARED,
    ),
    Mutation(
        "new-readers-go-first", LOCK,
        "            if self._changing:\n                return False\n",
        "",
        SHARED,
    ),
    Mutation(
        "nobody-wakes-who-wants-to-change", LOCK,
        "            self._changing.tell()\n",
        "            pass\n",
        SHARED,
    ),
    Mutation(
        "nobody-wakes-readers-held-up", LOCK,
        "            self._held_up.tell()\n",
        "            pass\n",
        SHARED,
    ),
    Mutation(
        "readers-wait-until-they-may-leave", LOCK,
        "        self._readers.discard(reader)\n",
        "        with self.quick:\n            self._readers.discard(reader)\n",
        INTERRUPTED,
    ),
    Mutation(
        "an-interrupted-reader-stays-counted", LOCK,
        "            return self.quick\n",
        "            return _Shared(self)\n",
        INTERRUPTED,
    ),
    Mutation(
        "an-interrupted-change-stays-wanted", "engramctl/runtime/waiting.py",
        "        finally:\n            self._notices.discard(notice)\n",
        "        except KeyError:\n            raise\n        else:\n"
        "            self._notices.discard(notice)\n",
        INTERRUPTED,
    ),
    Mutation(
        "an-interrupt-lets-go-the-lock-of-another", LOCK,
        DONE,
        "        try:\n            self.quick.acquire()\n"
        + DONE.partition("\n")[2].replace("        return True\n", "            return True\n")
        + "        finally:\n            self.quick.release()\n",
        INTERRUPTED,
    ),
    Mutation(
        "an-interrupt-keeps-the-lock-held", LOCK,
        DONE,
        "        self.quick.acquire()\n        try:\n"
        + DONE.partition("\n")[2].replace("        return True\n", "            return True\n")
        + "        finally:\n            self.quick.release()\n",
        INTERRUPTED,
    ),
)  # fmt: skip
