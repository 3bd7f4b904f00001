"""The errors of grapheme_numba: one root, few children, each with the exit code of the command line.

A message says what was wrong, what came, what was wanted and what to do. The library raises these;
only the command line turns them into one line on stderr and an exit code.
"""

from collections.abc import Iterable, Sequence


class GraphemeError(Exception):
    """Root of every error raised on purpose. `exit_code` is what a command returns for it."""

    exit_code = 70

    def __init__(self, *arguments: object) -> None:
        # One sentence on one line, also where it shows a value whose text has several.
        if arguments and isinstance(arguments[0], str) and "\n" in arguments[0]:
            arguments = (" ".join(arguments[0].split()), *arguments[1:])
        super().__init__(*arguments)


def few(names: Iterable[object], most: int = 5, sep: str = ", ") -> str:
    """The first names and how many more there are, for a message: data may have thousands of domains."""
    listed = list(map(str, names))
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return sep.join(listed[:most]) + more


class UsageError(GraphemeError, ValueError):
    """A flag, configuration key or argument that cannot be meant."""

    exit_code = 2


class ShapeError(GraphemeError, ValueError):
    """An array of the wrong shape, dtype or content (NaN, id out of range)."""

    exit_code = 65


class GraphError(GraphemeError, ValueError):
    """Edges or nodes that do not make a usable directed acyclic graph."""

    exit_code = 65


class CycleError(GraphError):
    """The edges contain a cycle. `nodes` holds one cycle in order, without repeating the first."""

    def __init__(self, nodes: Iterable[int], names: Sequence[str] | None = None) -> None:
        self.nodes = list(nodes)
        shown = [str(node if names is None else names[node]) for node in self.nodes]
        path = shown if len(shown) <= 12 else [*shown[:6], "...", *shown[-5:]]
        super().__init__(
            f"the graph has a cycle of {len(shown)} nodes: {' -> '.join([*path, shown[0]])}; "
            "a network needs a directed acyclic graph, so remove at least one of these edges"
        )


class RecordError(GraphemeError, ValueError):
    """A record or data file that does not hold what the schema asks for."""

    exit_code = 65


class MissingInputError(GraphemeError, FileNotFoundError):
    """A file, folder or stream that should be read is not there."""

    exit_code = 66


class CheckpointError(GraphemeError, ValueError):
    """A checkpoint that is damaged, of another shape, or of an unknown version."""

    exit_code = 65


class NonFiniteError(GraphemeError, ArithmeticError):
    """A NaN or an infinity where training needs a finite number."""


class NoMemoryError(GraphemeError, MemoryError):
    """Memory that the machine, or a limit on this process, does not give."""


class OutputError(GraphemeError, OSError):
    """A file that could not be written (disk full, no permission, a failing device)."""

    exit_code = 74


class StoppedEarly(GraphemeError):
    """A signal or a limit stopped the work after saving what is needed to go on."""

    exit_code = 75
