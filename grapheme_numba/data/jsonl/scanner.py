"""Blocks of JSONL to Arrow: the compiled scanner first, and `parse_example` for every line it is unsure of."""

import threading

import numpy as np
import pyarrow as pa

from grapheme_numba.data.jsonl.lines import Block, Parsed, reject, too_long
from grapheme_numba.data.records import DEFAULT_LIMITS, INPUT_TYPES, Limits, parse_example
from grapheme_numba.data.schema import SCHEMA, to_arrow
from grapheme_numba.data.threads import LARGE, exclusive_if_large
from grapheme_numba.errors import RecordError
from grapheme_numba.kernels.json.scanner import ACCEPTED, BLANK, MOST_DEPTH, MOST_KEYS, UNSURE, Out, scan_lines

MOST_DOMAINS = 256  # of one block; lines of further domains go to `parse_example`


class Scanner:
    """Parses blocks; its scratch memory serves block after block. One for each thread."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS):
        self.limits = limits
        self._size = self._lines = 0
        self._scratch = np.zeros((MOST_KEYS, 2), np.int64), np.zeros(MOST_DEPTH, np.int64)

    def _reserve(self, size: int, lines: int) -> None:
        """Make room for a block of so many bytes and lines."""
        if size > self._size:
            self._size = size + size // 4
            values = np.empty(self._size // 2 + 1, np.float64)
            self._texts = [np.empty(self._size, np.uint8) for _ in range(4)]
            self._values = values, values.view(np.uint64)
        if lines > self._lines:
            self._lines = lines + lines // 4
            self._offsets = [np.zeros(self._lines + 1, np.int32) for _ in range(5)]
            self._numbers = [np.empty(self._lines + 1, np.int32) for _ in range(4)]
            self._line = np.empty(self._lines + 1, np.int64), np.empty(self._lines, np.uint8)

    def _out(self) -> Out:
        (id_, text, answer, metadata), offset, number = self._texts, self._offsets, self._numbers
        texts = id_, offset[0], text, offset[1], answer, offset[2], metadata, offset[3]
        domains = np.empty((MOST_DOMAINS, 2), np.int64)
        return Out._make((*texts, *self._values, offset[4], number[0], domains, *number[1:], *self._line))

    def parse(self, block: Block) -> Parsed:
        """Parse and check every line of a block; blank lines are left out."""
        if block.too_long:
            return too_long(block, self.limits)
        data = block.data if block.data.endswith(b"\n") else block.data + b"\n"
        self._reserve(len(data), data.count(b"\n"))
        out = self._out()
        limits = self.limits
        view = np.frombuffer(data, np.uint8)
        n_line, n_row, n_domain = scan_lines(
            view, limits.line_bytes, limits.numbers, limits.nameless, self._scratch, out
        )
        status = out.line_status[:n_line]
        domains = [data[start:stop].decode() for start, stop in out.domains[:n_domain]]
        rows = _batch(out, n_row, domains)
        examples, rejects, order = [], [], []
        for line in np.flatnonzero(status == UNSURE).tolist():
            start = int(out.line_start[line])
            content = data[start : int(out.line_start[line + 1]) - 1].removesuffix(b"\r")
            try:
                examples.append(parse_example(content, limits))
                order.append(line)
            except RecordError as error:
                rejects.append(reject(block, block.first_line + line, block.offset + start, content, str(error)))
        del out
        checked = to_arrow(examples)
        examples.clear()
        if checked.num_rows and not n_row:
            rows = checked  # as it is: a long line would be copied three times below
        elif checked.num_rows:
            lines = np.concatenate([np.flatnonzero(status == ACCEPTED), order])
            both = pa.Table.from_batches([rows, checked]).unify_dictionaries().combine_chunks()
            rows = both.take(pa.array(np.argsort(lines, kind="stable"))).combine_chunks().to_batches()[0]
        return Parsed(rows, rejects, int(np.count_nonzero(status != BLANK)))


def _bits(mask: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(mask, bitorder="little"))


def _strings(offset: np.ndarray, data: np.ndarray, n: int, mask: np.ndarray | None = None) -> pa.StringArray:
    buffers = pa.py_buffer(offset[: n + 1].copy()), pa.py_buffer(data[: offset[n]].copy())
    return pa.StringArray.from_buffers(n, *buffers, None if mask is None else _bits(mask))


def _lists(values: pa.Array, offset: np.ndarray, mask: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    """The lists of the rows in `mask`, the others null; their numbers lie one after the other in `values`."""
    size = np.where(mask, np.diff(offset), 0)
    ends = np.concatenate([[0], np.cumsum(size)]).astype(np.int32)
    return pa.Array.from_buffers(kind, len(mask), [_bits(mask), pa.py_buffer(ends)], children=[values])


def _batch(out: Out, n: int, domains: list[str]) -> pa.RecordBatch:
    """The accepted rows as an Arrow batch with memory of its own."""
    kind, offset = out.kind[:n], out.value_offset[: n + 1]
    image, sequence = kind == 2, kind == 1
    numbers = out.values[: offset[n]]
    of_image = np.repeat(image, np.diff(offset))
    sides = [pa.array(side[:n], pa.int32(), mask=~image) for side in (out.width, out.height)]
    described = out.metadata_offset[1 : n + 1] > out.metadata_offset[:n]  # an object has at least two bytes
    columns = {
        "id": _strings(out.id_offset, out.id, n),
        "domain": pa.DictionaryArray.from_arrays(out.domain[:n].copy(), pa.array(domains, pa.string())),
        "input_type": pa.DictionaryArray.from_arrays(kind.copy(), pa.array(INPUT_TYPES)),
        "text": _strings(out.text_offset, out.text, n, kind == 0),
        "values": _lists(pa.array(numbers[~of_image]), offset, sequence, SCHEMA.field("values").type),
        "width": sides[0],
        "height": sides[1],
        "pixels": _lists(pa.array(numbers[of_image]), offset, image, SCHEMA.field("pixels").type),
        "expected_output": _strings(out.answer_offset, out.answer, n),
        "metadata": _strings(out.metadata_offset, out.metadata, n, described),
        "extra": pa.nulls(n, pa.string()),
        "input_extra": pa.nulls(n, pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


_local = threading.local()


def parse_block(block: Block, limits: Limits) -> Parsed:
    """`Scanner.parse` with a scanner of the calling thread; a large block has one of its own, which goes with it."""
    if len(block.data) > LARGE:
        with exclusive_if_large(len(block.data)):
            return Scanner(limits).parse(block)
    scanner = getattr(_local, "scanner", None)
    if scanner is None or scanner.limits != limits:
        scanner = _local.scanner = Scanner(limits)
    return scanner.parse(block)
