"""The verdict on the lines of one block."""

from typing import NamedTuple

import pyarrow as pa

from grapheme_numba.dataset.lines import Block
from grapheme_numba.dataset.records import Limits
from grapheme_numba.dataset.rejects import Reject, reject
from grapheme_numba.dataset.schema import to_arrow


class Parsed(NamedTuple):
    """`lines` that are not blank became rows or rejects."""

    rows: pa.RecordBatch
    rejects: list[Reject]
    lines: int


def too_long(block: Block, limits: Limits) -> Parsed:
    """The verdict on a block that stands for one line of too many bytes."""
    reason = f"the line has {block.too_long} bytes, more than the limit of {limits.line_bytes}"
    return Parsed(to_arrow([]), [reject(block, block.first_line, block.offset, block.data, reason)], 1)
