"""Every line of a block to the judge: the slow way that needs no compiled code."""

from grapheme_numba.dataset.lines import Block, split_lines
from grapheme_numba.dataset.records import Limits, parse_example
from grapheme_numba.dataset.rejects import reject
from grapheme_numba.dataset.schema import to_arrow
from grapheme_numba.dataset.verdict import Parsed, too_long
from grapheme_numba.errors import RecordError


def judge_block(block: Block, limits: Limits) -> Parsed:
    """Judge every line of a block; blank lines are left out."""
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
