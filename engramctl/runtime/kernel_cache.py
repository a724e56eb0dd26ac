"""numba's `njit`, its compiled code kept in a folder that is ours alone and named by all kernels.

numba stamps compiled code with the one file that holds the function, while helpers of other files
are compiled into it: after an edit there, or a `git pull`, it would run the old code. And it loads
what it finds, so whoever may write to the folder runs code as us. Hence every kernel here is
compiled with this `njit`: the folder is named by a hash of all kernel sources, and one that is not
ours, that others may write to, or that is a link is never used. Without any folder kernels are
compiled in every run.

numba names what it compiled by module, function, types and a number that counts from 1 in every
process. Functions that one factory made differ by the number alone; so code that two processes kept
may have one name for two of them, and who loads both runs one in the other's place. Hence every
process counts from a random number.
"""

import contextlib
import functools
import hashlib
import itertools
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.sigutils import normalize_signature

Function = TypeVar("Function", bound=Callable[..., Any])
KEPT_FOLDERS = 4  # of different sources, side by side: a checkout goes back and forth
_PACKAGE = Path(__file__).parents[1]
_NAME = re.compile(r"engramctl-[0-9a-f]{20}")
_KERNELS = re.compile(
    rb"^(?:from|import) (?:numba|engramctl\.runtime\.kernel_cache)\b", re.MULTILINE
)
_CONSTANTS = re.compile(
    rb"^from (engramctl[\w.]*) import (?:[^(\n]*|\([^)]*)\b[A-Z][A-Z0-9_]+\b", re.MULTILINE
)


def _number_anew() -> None:
    """Count functions from a number that no other process has; see above."""
    FunctionIdentity._unique_ids = itertools.count(secrets.randbits(62))


_number_anew()
os.register_at_fork(after_in_child=_number_anew)

# A child forked while another thread compiles would wait for ever for the lock that thread holds.
os.register_at_fork(
    before=global_compiler_lock.acquire,
    after_in_parent=global_compiler_lock.release,
    after_in_child=global_compiler_lock.release,
)


def njit(*, cache: bool = False, **options: Any) -> Callable[[Any], Any]:
    """Return numba's decorator; with `cache` the code is kept in `kernel_folder`, if there is one.

    Args:
        cache: keep compiled code for the next process.
        options: as numba's own.
    """

    def decorate(function: Any) -> Any:
        kernel = numba.njit(**options)(function)
        if cache and not numba.config.DISABLE_JIT and kernel_folder() is not None:
            kernel._cache = _KernelCache(function)
        return kernel

    return decorate


def compiled(function: Function) -> Function:
    """Compile on the first call, without the GIL, and keep it: `njit(nogil=True, cache=True)`."""
    return cast(Function, njit(nogil=True, cache=True)(function))


def c_callback(signature: Any, function: Callable[..., Any]) -> int:
    """Compile a function for C to call, now or in an earlier process, and return its address.

    Args:
        signature: numba's, of its result and its arguments.
        function: must raise nothing; it is called without the GIL.
    """
    callback: Any = _callbacks.get(function)
    if callback is None:
        callback = CFunc(function, normalize_signature(signature), locals={}, options={})
        if kernel_folder() is not None:
            callback._cache = _KernelCache(function)
        callback.compile()
        _callbacks[function] = callback  # its code lives as long
    return int(callback.address)


_callbacks: dict[Any, Any] = {}


@functools.cache
def kernel_folder() -> Path | None:
    """Return the folder of compiled kernels, made if it was missing; None: there is none to use.

    Tried in turn: below NUMBA_CACHE_DIR, in the package's `__pycache__`, in the user's cache. Never
    the temporary folder, where others can be first.
    """
    name = f"engramctl-{kernel_key()}"
    for place in _places():
        folder = place / name
        with contextlib.suppress(OSError):
            if not folder.exists():
                _forget_old(place)
            if _made_private(folder):
                tempfile.TemporaryFile(dir=folder).close()
                return folder
    return None


def kernel_key() -> str:
    """Return the hash of all sources that end up in compiled code: kernels and their constants."""
    files = dict(_sources())
    texts = {name: file.read_bytes() for name, file in files.items()}
    kernels = {name for name, text in texts.items() if _KERNELS.search(text)}
    constants = {found.decode() for name in kernels for found in _CONSTANTS.findall(texts[name])}
    digest = hashlib.sha256()
    for name in sorted(kernels | (constants & texts.keys())):
        digest.update(b"%s %d\n" % (name.encode(), len(texts[name])))
        digest.update(texts[name])
    return digest.hexdigest()[:20]


def _sources() -> Iterator[tuple[str, Path]]:
    """Give name and file of every module of the package, wherever its parts are installed."""
    roots = {"engramctl": str(_PACKAGE)}
    for part in ("engramctl.hashing", "engramctl.storage"):
        spec = find_spec(part)
        for folder in spec.submodule_search_locations or () if spec else ():
            roots[part] = folder
    for package, root in roots.items():
        for folder, _, names in os.walk(root):
            inner = os.path.relpath(folder, root)
            parts = [package] if inner == "." else [package, *inner.split(os.sep)]
            for name in names:
                if name.endswith(".py"):
                    yield ".".join([*parts, name[:-3]]), Path(folder, name)


def _places() -> Iterator[Path]:
    """Give the folders to keep kernels in, best first; those that are not safe are left out."""
    if numba.config.CACHE_DIR:  # the user's word: only our folder below it is looked at
        chosen = Path(numba.config.CACHE_DIR)
        with contextlib.suppress(OSError):
            chosen.mkdir(parents=True, exist_ok=True)
            yield chosen
    bytecode = _PACKAGE / "__pycache__"
    with contextlib.suppress(OSError):
        if _made_private(bytecode, 0o755):
            yield bytecode
    home = os.path.expanduser("~")  # stays "~" without HOME and without a passwd entry
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    with contextlib.suppress(OSError):
        if os.path.isabs(cache):
            user = Path(os.path.realpath(cache))
            ours = user / "engramctl"
            if not _exchangeable(user) and _made_private(user) and _made_private(ours):
                yield ours


def _made_private(folder: Path, mode: int = 0o700) -> bool:
    """Make a folder if it is missing; whether it is ours, no link, and no one else may write."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode)
    facts = folder.lstat()
    ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()
    return ours and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _exchangeable(folder: Path) -> bool:
    """Whether anyone may put another folder in the place of this one."""
    modes = [parent.stat().st_mode for parent in folder.parents]
    return any(mode & stat.S_IWOTH and not mode & stat.S_ISVTX for mode in modes)


def _forget_old(place: Path) -> None:
    """Remove the folders of older sources, all but the newest few."""
    old = [Path(entry) for entry in os.scandir(place) if _NAME.fullmatch(entry.name)]
    old.sort(key=lambda folder: folder.lstat().st_mtime)
    for folder in old[: max(0, len(old) - KEPT_FOLDERS + 1)]:
        shutil.rmtree(folder, ignore_errors=True)


class _Locator(_CacheLocator):  # type: ignore[misc]
    """Where numba keeps one function of ours."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def get_cache_path(self) -> str:
        return str(kernel_folder())

    def get_source_stamp(self) -> str:
        return ""  # the folder's name is the stamp

    def get_disambiguator(self) -> str:
        return f"{self._function.__module__}-{self._function.__code__.co_firstlineno}"

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> "_Locator":
        return cls(py_func)


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _KernelCache(FunctionCache):  # type: ignore[misc]
    """A cache that is only ever a help: what it cannot read or write is compiled anew.

    Two processes that save at once may give two signatures of a function one file (numba takes no
    lock), so what was loaded must be what was asked for.
    """

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
            if found is None or found.signature.args == normalize_signature(sig)[0]:
                return found
            raise ValueError("the code of another signature")
        except Exception:  # cut short by a power loss, say
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):  # a full disk, say
            super().save_overload(sig, data)
