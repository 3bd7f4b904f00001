"""Which input and output nodes belong to which brain: contiguous, disjoint ranges in request order."""

import itertools
from collections.abc import Container, Iterable
from typing import Any, NamedTuple

from grapheme_numba.arguments import listed
from grapheme_numba.errors import UsageError


class BrainSlice(NamedTuple):
    """The contiguous ranges of input and output nodes that a brain owns.

    Both are Python ranges of positions: columns of `x` for the inputs, columns of `y` for the outputs.
    """

    input_range: range
    output_range: range
    brain: str

    @property
    def n_input(self) -> int:
        """The number of input nodes."""
        return len(self.input_range)

    @property
    def n_output(self) -> int:
        """The number of output nodes."""
        return len(self.output_range)


def allocate_brain_slices(requests: Iterable[tuple[str, int, int]]) -> dict[str, BrainSlice]:
    """Give every brain its own ranges, one after the other.

    Parameters
    ----------
    requests
        `(name, n_input, n_output)` for every brain.

    Returns
    -------
    dict[str, BrainSlice]
        By name, in the order of the requests; the ranges start at 0 and leave no gap.

    Raises
    ------
    UsageError
        No request, a request of another form, an empty or repeated name, or a size below 1.
    """
    slices: dict[str, BrainSlice] = {}
    input_start = output_start = 0
    for request in listed("requests", requests, "a list of (name, n_input, n_output)"):
        name, n_input, n_output = _checked(request, slices)
        slices[name] = BrainSlice(
            range(input_start, input_start + n_input), range(output_start, output_start + n_output), name
        )
        input_start += n_input
        output_start += n_output
    if not slices:
        raise UsageError("no brain was requested; give at least one (name, n_input, n_output)")
    return slices


def check_disjoint(slices: Iterable[BrainSlice]) -> None:
    """Refuse slices made by hand that are empty, not contiguous, or share a node with another brain's.

    Raises
    ------
    UsageError
        Naming the brains and the ranges at fault.
    """
    slices = list(slices)
    for side in ("input", "output"):
        ranges = sorted(((getattr(one, f"{side}_range"), one.brain) for one in slices), key=lambda pair: pair[0].start)
        for owned, brain in ranges:
            if len(owned) == 0 or owned.step != 1 or owned.start < 0:
                raise UsageError(
                    f"brain '{brain}' has the {side} range {owned.start}..{owned.stop}; "
                    "a brain needs at least one node, in one rising run from 0 or later"
                )
        for (owned, brain), (following, other) in itertools.pairwise(ranges):
            if following.start < owned.stop:
                raise UsageError(
                    f"brains '{brain}' and '{other}' overlap: {side} nodes {owned.start}..{owned.stop} and "
                    f"{following.start}..{following.stop}; let allocate_brain_slices place them, or move one"
                )


def parse_brain_request(text: str) -> tuple[str, int, int]:
    """Read `NAME=INPUTS,OUTPUTS`, the form of the `--brain` flag.

    Raises
    ------
    UsageError
        The text has another form, or a size is not a whole number of at least 1.
    """
    name, equals, sizes = text.partition("=")
    parts = sizes.split(",")
    if not equals or not name.strip() or len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"'{text}' is not a brain request; write NAME=INPUTS,OUTPUTS, for example vision=64,10")
    return _checked((name.strip(), int(parts[0]), int(parts[1])), {})


def _checked(request: Any, taken: Container[str]) -> tuple[str, int, int]:
    try:
        name, n_input, n_output = request
        n_input, n_output = int(n_input), int(n_output)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(
            f"the brain request {request!r} is not (name, n_input, n_output) with whole numbers, "
            "for example ('vision', 64, 10)"
        ) from None
    if not isinstance(name, str) or not name:
        raise UsageError(f"the brain request {request!r} has no name; the first part must be a non-empty string")
    if name in taken:
        raise UsageError(f"brain '{name}' is requested twice; give each brain one request")
    if n_input < 1 or n_output < 1:
        raise UsageError(
            f"brain '{name}' asks for {n_input} inputs and {n_output} outputs; each brain needs at least one of both"
        )
    return name, n_input, n_output
