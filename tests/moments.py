"""What a training process is doing right now, for a test that wants to hit it there.

The process publishes its phase in a file mapped into memory, which outlives any kind of death. A test
waits until a phase is entered for the n-th time, lets a moment pass, and strikes.
"""

import mmap
from pathlib import Path

PHASES = ("start", "conversion", "compile", "step", "validation", "save")
POSITION = 8 * len(PHASES) + 8  # where the number of batches stands, behind the phase and its counts


class Moments:
    """The published phase of a process. The file is made here and may be opened before the process starts."""

    def __init__(self, path: Path):
        if not path.exists():
            path.write_bytes(bytes(128))
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 128)

    def get(self, at: int) -> int:
        """The number at a byte."""
        return int.from_bytes(self.map[at : at + 8], "little")

    def put(self, at: int, value: int) -> None:
        """Store a number at a byte."""
        self.map[at : at + 8] = value.to_bytes(8, "little")

    @property
    def phase(self) -> str:
        """What the process is, or was last, doing."""
        return PHASES[self.get(0)]

    def visits(self, phase: str) -> int:
        """How often `phase` was entered."""
        return self.get(8 + 8 * PHASES.index(phase))

    @property
    def batches(self) -> int:
        """How many batches of how many epochs the process has learned from."""
        return self.get(POSITION)

    def enter(self, phase: str) -> None:
        """Publish `phase`."""
        index = PHASES.index(phase)
        self.put(8 + 8 * index, self.get(8 + 8 * index) + 1)
        self.put(0, index)


def publish(path: Path) -> Moments:
    """Make this process publish its phases to `path`, by wrapping what the phases consist of.

    The names of the cached kernels it loads are written to `kernels` beside `path`.
    """
    from numba.core.caching import IndexDataCacheFile
    from numba.core.dispatcher import _FunctionCompiler

    from grapheme_numba.runs import run_folder, session
    from grapheme_numba.training import loop, metrics
    from grapheme_numba.training.run import Run

    now = Moments(path)

    def wrapped(owner, name, phase):
        real = getattr(owner, name)

        def inside(*arguments, **options):
            before = now.phase
            now.enter(phase)
            try:
                return real(*arguments, **options)
            finally:
                now.put(0, PHASES.index(before))

        setattr(owner, name, inside)

    wrapped(session, "open_splits", "conversion")
    wrapped(_FunctionCompiler, "compile", "compile")
    wrapped(IndexDataCacheFile, "save", "compile")
    wrapped(loop, "train", "step")
    wrapped(metrics, "evaluate", "validation")
    wrapped(run_folder, "save_last", "save")
    wrapped(run_folder, "save_best", "save")
    load, pause = IndexDataCacheFile.load, Run.pause

    def named(cache, key):
        with path.with_name("kernels").open("a") as file:
            file.write(f"{cache._index_name.removesuffix('.nbi')}\n")
        return load(cache, key)

    IndexDataCacheFile.load = named

    def counted(run):
        per_epoch = -(-run.train.n_rows // run.config.batch_size)
        now.put(POSITION, run.progress.epoch * per_epoch + run.progress.batch)
        pause(run)

    Run.pause = counted
    return now
