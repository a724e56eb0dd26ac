"""The handler of SIGBUS: native code that covers a mapping of ours that faulted.

It looks the address up among `watched_maps`, writes down where the fault was, puts zero pages over
the whole mapping (one call, so that a file cut under thousands of rows is one fault and not
thousands, each with a mapping of its own) and returns: the kernel that faulted reads zeros, and who
called it finds the word and throws its output away. No Python, no lock and no memory of its own: a
thread may be anywhere. Whatever is not ours goes to the handler before.
"""

import ctypes
import os
import signal
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from engramctl.errors import StorageError
from engramctl.runtime.kernel_cache import c_callback
from engramctl.storage.io.watched_maps import (
    BEFORE,
    FAULTED,
    FIRST_SLOT,
    NUM_WORDS,
    SLOT_WORDS,
    WORDS,
)
from engramctl.storage.readers.system_calls import syscall
from engramctl.storage.record.intrinsics import as_pointer

_SYMBOL = "engramctl_watched_maps"
_SIGBUS = int(signal.SIGBUS)
_MMAP = {"x86_64": 9, "aarch64": 222}.get(os.uname().machine, 0)  # the number of the call
_READ, _FIXED_PRIVATE = 1, 0x4032  # MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE
# Of siginfo_t: words of 4 bytes, and of 8. Codes: no such place, the object's own, memory broken.
_CODE, _ADDRESS = 2, 2
_FIRST_OF_PLACE, _LAST_OF_PLACE = 2, 4
_REPEATED = 4  # up to here, and from 1 on, the instruction faults again when a handler returns
# struct sigaction: a handler, 128 bytes of mask, flags; in words of 8 bytes.
_ACTION_WORDS, _FLAGS_WORD = 19, 17
_DEFAULT, _IGNORE = 0, 1
_SIGINFO, _ONSTACK, _NODEFER, _RESETHAND = 0x4, 0x08000000, 0x40000000, 0x80000000

_sigaction = types.ExternalFunction("sigaction", types.int32(types.int32, types.intp, types.intp))
_raise = types.ExternalFunction("raise", types.int32(types.int32))
_libc = ctypes.CDLL(None, use_errno=True)


@intrinsic
def _words_address(typingctx: Any) -> Any:
    """Return the address of WORDS: by name, so that compiled code can be kept for later."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        module, byte = builder.module, ir.IntType(8)
        place = module.globals.get(_SYMBOL) or ir.GlobalVariable(module, byte, _SYMBOL)
        return builder.ptrtoint(place, ir.IntType(64))

    return types.int64(), codegen


@intrinsic
def _call(typingctx: Any, address: Any, number: Any, info: Any, context: Any) -> Any:
    """Call a signal handler; one that wants its first argument only does not see the others."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word, half = ir.IntType(64), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [half, word, word])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int32, types.int64, types.int64), codegen


def _handle(number: Any, info: Any, context: Any) -> None:
    """Cover the mapping that faulted, or have the handler before ours do what it does."""
    words = carray(as_pointer(_words_address()), (NUM_WORDS,), np.int64)
    code = carray(as_pointer(info), (4,), np.int32)[_CODE]
    address = carray(as_pointer(info), (4,), np.int64)[_ADDRESS]
    if _FIRST_OF_PLACE <= code <= _LAST_OF_PLACE:
        for slot in range(FIRST_SLOT, NUM_WORDS, SLOT_WORDS):
            start, end = words[slot], words[slot + 1]
            if start <= address < end:
                words[slot + 2] = address  # both before the pages are zeros
                words[FAULTED] = 1
                size = end - start
                if syscall(_MMAP, start, size, _READ, _FIXED_PRIVATE, -1, 0) == start:
                    return
                break
    before = words[BEFORE]
    if before in (_DEFAULT, _IGNORE):
        repeated = 1 <= code <= _REPEATED
        if repeated or before == _DEFAULT:
            _sigaction(_SIGBUS, _words_address() + 8 * BEFORE, 0)
            if not repeated:
                _raise(_SIGBUS)
        return
    if words[BEFORE + _FLAGS_WORD] & _RESETHAND:
        words[BEFORE] = _DEFAULT
    _call(before, number, info, context)


def install() -> None:
    """Set the handler, unless it is set; see `catch_bus_errors`."""
    if not _MMAP:
        raise StorageError(
            "SIGBUS cannot be caught here",
            facts={"machine": os.uname().machine, "known": "x86_64, aarch64"},
            hint="read rows with a budget_bytes, or on the host tier: neither maps files",
        )
    llvmlite.binding.add_symbol(_SYMBOL, WORDS.ctypes.data)
    ours = c_callback(types.void(types.int32, types.int64, types.int64), _handle)
    before = np.zeros(_ACTION_WORDS, np.int64)
    _set_action(None, before)
    if before[0] == ours:
        return
    if _installed and before[0] not in (_DEFAULT, _IGNORE):
        raise StorageError(
            "another handler of SIGBUS was set after ours",
            hint="call catch_bus_errors once, after faulthandler.enable() and the like",
        )
    WORDS[BEFORE : BEFORE + _ACTION_WORDS] = before
    action = before.copy()  # with its mask, for the sake of the handler we may have to call
    action[0] = ours
    kept = int(before[_FLAGS_WORD]) & _NODEFER if before[0] not in (_DEFAULT, _IGNORE) else 0
    action[_FLAGS_WORD] = _SIGINFO | _ONSTACK | kept
    _set_action(action, None)
    _installed.append(True)


_installed: list[bool] = []


def _set_action(new: Any, old: Any) -> None:
    """Call sigaction."""
    new, old = (None if one is None else ctypes.c_void_p(one.ctypes.data) for one in (new, old))
    if _libc.sigaction(_SIGBUS, new, old) != 0:
        code = ctypes.get_errno()
        raise StorageError("the system refused to set a handler of SIGBUS", facts={"errno": code})
