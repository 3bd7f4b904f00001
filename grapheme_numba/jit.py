"""How kernels are compiled: the flag sets, the cache folder, the threading layer and the threads.

Import this before anything that imports Numba: the cache folder has to be known when Numba starts.
"""

import contextlib
import ctypes
import glob
import importlib
import io
import itertools
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from grapheme_numba.errors import NoMemoryError, OutputError
from grapheme_numba.files import kernel_cache, locks


def _preload_tbb() -> bool:
    """Load the tbb wheel's library, which lies in <prefix>/lib, where no system loader looks; whether it is there.

    With it a parallel region costs 2 microseconds; GNU OpenMP costs 3 to 12 and aborts forked children.
    """
    library = Path(sys.prefix) / "lib" / "libtbb.so.12"
    try:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False  # Numba falls back to omp, and `threading_layer` says so.
    return True


_PACKAGE = Path(__file__).parent
_SOURCES = [Path(__file__), _PACKAGE / "float_mode.py", *sorted((_PACKAGE / "kernels").rglob("*.py"))]
if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(kernel_cache.choose(_SOURCES))
kernel_cache.make_or_refuse(Path(os.environ["NUMBA_CACHE_DIR"]))
_has_tbb = _preload_tbb()

import numba  # noqa: E402
from numba.core import caching, dispatcher, sigutils  # noqa: E402
from numba.core.caching import IndexDataCacheFile  # noqa: E402
from numba.core.compiler_lock import global_compiler_lock  # noqa: E402
from numba.core.registry import CPUDispatcher  # noqa: E402

# Where Numba puts kernels of these sources: below the cache's folder, named by the sources' own.
OWN_FOLDERS = {caching.UserProvidedCacheLocator.get_suitable_cache_subpath(str(source)) for source in _SOURCES}  # type: ignore[no-untyped-call]


class _CheckedCacheFile(IndexDataCacheFile):
    """Index and code of one kernel: each file ends with its digest, and one process at a time saves.

    Numba believes what it finds: an empty file ends the command, a flipped bit is a segmentation fault or another
    result. The digest stands behind the pickle, where Numba does not look; files that others have compiled, in a
    folder they share with these kernels, may lack it.

    Numba reads its index, takes the next free file name, and writes index and code without a lock: two
    processes that compile different signatures of one kernel take the same name, and then float32 calls
    run float64 code for good (3 processes saving 100 entries each: 11 wrong, 30 lost; none with the lock,
    `test_concurrent_compilers_keep_the_cache_right`).
    """

    def __init__(self, cache_path: str, filename_base: str, source_stamp: object) -> None:
        super().__init__(cache_path, filename_base, source_stamp)  # type: ignore[no-untyped-call]
        self._base = filename_base
        self._own = Path(cache_path).name in OWN_FOLDERS

    def save(self, key: object, data: object) -> None:
        """Save code and then its name in the index; where that fails, this process still has its kernel."""
        try:
            with locks.exclusive(Path(self._cache_path) / "save.lock"):
                self._save_in_order(key, data)
        except (OSError, OutputError) as error:
            kernel_cache.say_once(
                "unkept",
                f"compiled kernels cannot be kept in {self._cache_path} ({error}), so they are compiled anew "
                "next time; make room, or set NUMBA_CACHE_DIR to another folder of your own",
            )

    def _save_in_order(self, key: object, data: object) -> None:
        """Numba names code in the index before it is there: killed in between, a name may mean older code."""
        overloads = self._load_index()
        if not overloads:  # of another version, damaged, or none: what it named goes, and first the index itself
            Path(self._index_path).unlink(missing_ok=True)
            for path in Path(self._cache_path).glob(f"{glob.escape(self._base)}.*.nbc"):
                path.unlink(missing_ok=True)
        taken = set(overloads.values())
        free = (name for name in map(self._data_name, itertools.count(1)) if name not in taken)
        name = overloads.get(key) or next(free)
        self._save_data(name, data)  # type: ignore[no-untyped-call]
        if key not in overloads:
            self._save_index({**overloads, key: name})  # type: ignore[no-untyped-call]

    def _load_index(self) -> dict[object, str]:
        if not self._whole(Path(self._index_path)):
            return {}
        return super()._load_index()  # type: ignore[no-untyped-call]

    def _load_data(self, name: str) -> object:
        if not self._whole(Path(self._cache_path) / name):
            raise FileNotFoundError(name)  # which Numba takes for code that is not there yet
        return super()._load_data(name)  # type: ignore[no-untyped-call]

    def _whole(self, path: Path) -> bool:
        return not self._own or kernel_cache.is_whole(path)

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BinaryIO]:
        with super()._open_for_write(filepath) as file:
            content = io.BytesIO()
            yield content
            file.write(content.getvalue())
            file.write(kernel_cache.digest(Path(filepath).name, content.getbuffer()))


caching.IndexDataCacheFile = _CheckedCacheFile  # type: ignore[misc]


COMPILE_ROOM = 256 << 20  # bytes of address space; with less LLVM ends the process, and OpenBLAS tries again for ever
_compile = CPUDispatcher.compile
_add_overload = CPUDispatcher.add_overload
_compiling = threading.local()  # `depth`: how many kernels this thread compiles, each for the one before
_waits: dict[str, Callable[[], None]] = {}  # kernel -> what is called before it is compiled


def wait_before(kernels: tuple[str, ...], wait: Callable[[], None]) -> None:
    """Call `wait` before these kernels, as `module.name`, are loaded or compiled: another process compiles them."""
    _waits.update(dict.fromkeys(kernels, wait))


def _compile_in_room(self: Any, signature: Any) -> Any:
    """Load or compile a kernel, or say that there is not enough memory for it."""
    if not self.py_func.__module__.startswith("grapheme_numba."):
        return _compile(self, signature)
    if _waits and (wait := _waits.get(f"{self.py_func.__module__}.{self.py_func.__name__}")) is not None:
        wait()
    left = _room_left()
    if left < COMPILE_ROOM:
        raise NoMemoryError(
            f"kernels cannot be compiled: of the memory that this process may address, {int(left) >> 20} MB are left "
            f"and {COMPILE_ROOM >> 20} MB are wanted; raise the limit (ulimit -v), or use fewer --threads"
        )
    try:
        with global_compiler_lock:
            return _compile_for_caller(self, signature)
    except MemoryError:
        raise NoMemoryError(
            "there is not enough memory to compile kernels; free some, or raise the limit (ulimit -v)"
        ) from None


def _compile_for_caller(self: Any, signature: Any) -> Any:
    """Load or compile a kernel: what another kernel calls gets no entry for Python, and none gets one for C.

    Entries unpack every array of every argument, a fifth of the time that compiling takes. Without one a kernel must
    not be known to calls from Python, which would jump to address 0: these compile it again. Left as they are: LLVM
    optimises inner kernels before they are inlined and emits code for them; neither saved more than a twentieth.
    """
    depth = getattr(_compiling, "depth", 0)
    arguments = tuple(sigutils.normalize_signature(signature)[0])  # type: ignore[no-untyped-call]
    if depth == 0 and arguments in self.__dict__.get("inner_overloads", ()):
        self.inner_overloads.remove(arguments)
        del self.overloads[arguments]
    wrappers = {"no_cfunc_wrapper": True, "no_cpython_wrapper": depth > 0}
    options = self._compiler.targetoptions
    self._compiler.targetoptions = {**options, **wrappers}
    _compiling.depth = depth + 1
    try:
        return _compile(self, signature)
    finally:
        _compiling.depth = depth
        self._compiler.targetoptions = options


def _is_inner() -> bool:
    """Whether this thread compiles a kernel for another one."""
    return getattr(_compiling, "depth", 0) > 1


def _add_for_caller(self: Any, result: Any) -> None:
    """Make a compiled kernel known to its callers: to calls from Python only with an entry for them."""
    if not (_is_inner() and self.py_func.__module__.startswith("grapheme_numba.")):
        _add_overload(self, result)
        return
    arguments = tuple(result.signature.args)
    self.overloads[arguments] = result
    self.__dict__.setdefault("inner_overloads", set()).add(arguments)


class _CacheForCallers(caching.FunctionCache):
    """Names a kernel in the index of its file by whether it has an entry for Python."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        key = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call]
        return (*key, "inner") if _is_inner() else key


def _room_left() -> float:
    """Bytes of address space that this process may still take; infinite without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # not on Linux
        return float("inf")
    return max(0, limit - used)


CPUDispatcher.compile = _compile_in_room  # type: ignore[method-assign, assignment]
CPUDispatcher.add_overload = _add_for_caller  # type: ignore[method-assign, assignment]
dispatcher.FunctionCache = _CacheForCallers  # type: ignore[attr-defined]


def _takes_several_callers() -> bool:
    """Whether the threading layer that Numba will choose may be entered by several Python threads at once."""
    layer = numba.config.THREADING_LAYER.lower()  # type: ignore[attr-defined]
    if _has_tbb and layer in ("default", "tbb", "safe", "threadsafe", "forksafe"):
        return True
    by_default = numba.config.THREADING_LAYER_PRIORITY  # type: ignore[attr-defined]
    choices = {"default": by_default, "forksafe": ("tbb", "workqueue")}
    for name in choices.get(layer, (layer,)):
        if name == "workqueue":
            return False
        try:  # what Numba does with the first parallel kernel
            importlib.import_module(f"numba.np.ufunc.{name}pool")
        except ImportError:
            continue
        return True
    return True


def _let_one_caller_in() -> None:
    """Let parallel kernels wait for each other: two in a workqueue at once would abort the process."""
    call, lock = CPUDispatcher.__call__, [threading.RLock()]

    def one_at_a_time(self: Any, *args: Any, **options: Any) -> Any:
        if not self.targetoptions.get("parallel"):
            return call(self, *args, **options)
        with lock[0]:
            return call(self, *args, **options)

    CPUDispatcher.__call__ = one_at_a_time  # type: ignore[method-assign, assignment]
    # A child has none of the threads that might hold it.
    os.register_at_fork(after_in_child=lambda: lock.__setitem__(0, threading.RLock()))


if not _takes_several_callers():
    _let_one_caller_in()

# No fast-math: the same source must give the same bits in every kernel it is inlined into, so nothing
# may be reassociated or contracted behind our back (and `isnan` must survive). Kernels that want fused
# multiply-adds or several partial sums say so themselves (`kernels/engine/simd.py`, fixed-chunk sums).
SERIAL = {"cache": True, "error_model": "numpy", "nogil": True}
PARALLEL = {**SERIAL, "parallel": True}
# Only for a sum whose value no order changes (of zeros and NaNs): several partial sums side by side, as many as the
# processor's registers hold.
SUMS = {**SERIAL, "fastmath": {"reassoc", "nsz"}}
# For functions whose arguments are vectors: a call would pass them through memory.
INLINE = {**SERIAL, "forceinline": True}
# For kernels that take many arrays through many small functions and allocate none: no reference counts, whose
# atomic adds cost half of the time (encoding a row: 300 ns instead of 600; scanning JSON: 660 MB/s instead of 420).
BORROWED = {**SERIAL, "_nrt": False}
BORROWED_INLINE = {**INLINE, "_nrt": False}


def cache_in_use() -> bool:
    """Whether the cache folder holds any compiled kernel, but for the one that looks at the floating-point mode."""
    found = Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbi")
    return any(not path.name.startswith("float_mode.") for path in found)


def set_threads(n_thread: int | None) -> int:
    """Set the number of kernel threads (None: all cores this process may use); return it."""
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(most if n_thread is None else max(1, min(int(n_thread), most)))
    return numba.get_num_threads()


def n_threads() -> int:
    """The number of threads the next kernel call uses."""
    return numba.get_num_threads()


def threading_layer() -> str:
    """The threading layer in use (tbb, omp or workqueue); only known after the first parallel kernel."""
    try:
        return str(numba.threading_layer())  # type: ignore[attr-defined]
    except ValueError:
        return "not started"
