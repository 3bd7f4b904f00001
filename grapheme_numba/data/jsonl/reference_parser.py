"""A block parsed line by line with `parse_example`: slower than the scanner, but without compiled code."""

from typing import NamedTuple

import pyarrow as pa

from grapheme_numba.data.jsonl.lines import Block, split_lines
from grapheme_numba.data.records import Limits, parse_example
from grapheme_numba.data.rejects import Reject, reject
from grapheme_numba.data.schema import to_arrow
from grapheme_numba.errors import RecordError


class Parsed(NamedTuple):
    """`lines` that are not blank became rows or rejects."""

    rows: pa.RecordBatch
    rejects: list[Reject]
    lines: int


def too_long(block: Block, limits: Limits) -> Parsed:
    """The result for a block that stands for one line of too many bytes."""
    reason = f"the line has {block.too_long} bytes, more than the limit of {limits.line_bytes}"
    return Parsed(to_arrow([]), [reject(block, block.first_line, block.offset, block.data, reason)], 1)


def parse_line_by_line(block: Block, limits: Limits) -> Parsed:
    """Parse and check every line of a block; blank lines are left out."""
    if block.too_long:
        return too_long(block, limits)
    examples, rejects = [], []
    lines = list(split_lines(block))
    for number, offset, content in lines:
        try:
            examples.append(parse_example(content, limits))
        except RecordError as error:
            rejects.append(reject(block, number, offset, content, str(error)))
    return Parsed(to_arrow(examples), rejects, len(lines))
