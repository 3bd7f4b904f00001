"""Lines as long as the limit allows, of every kind that costs memory in its own way, and files that unpack to much.

`LINES` names each kind and makes one line of it, without its line end. No two kinds stress the same place.
"""

import random

import pyarrow as pa

from grapheme_numba.data.parquet.files import ParquetSink
from grapheme_numba.data.records import Limits, parse_example
from grapheme_numba.data.schema import to_arrow

SIZE = 15_700_000  # bytes of a line: just under the limit of 16 MiB
HEAD = b'{"id":"%s","domain":"%s","input_type":"text","input":{"text":"%s"},"expected_output":"%s"%s}'


def text_line(id=b"a", domain=b"d", text=b"t", answer=b"b", more=b"") -> bytes:
    """A line of input type text."""
    return HEAD % (id, domain, text, answer, more)


def filled(piece: bytes, size: int = SIZE) -> bytes:
    """The piece repeated to about `size` bytes, the commas between two of them included."""
    return b",".join([piece] * (size // (len(piece) + 1)))


def list_line(kind: bytes, name: bytes, numbers: bytes, more: bytes = b"") -> bytes:
    """A line of input type sequence or image."""
    return b'{"id":"a","domain":"d","input_type":"%s","input":{%s"%s":[%s]},"expected_output":"b"%s}' % (
        kind,
        b'"width":1024,"height":1024,' if kind == b"image" else b"",
        name,
        numbers,
        more,
    )


def _numbers(n: int = 1 << 20) -> bytes:
    draw = random.Random(1)
    return b",".join(b"0.%011d" % draw.randrange(10**11) for _ in range(n))


def _letters(size: int = SIZE) -> bytes:
    """Text that hardly shrinks when packed."""
    return random.Random(2).randbytes(size // 2).hex().encode()


def _extra(value: bytes) -> bytes:
    return text_line(more=b',"x":[%s]' % value)


LINES = {
    "values": lambda: list_line(b"sequence", b"values", _numbers()),
    "pixels": lambda: list_line(b"image", b"pixels", _numbers()),
    "values of one digit": lambda: list_line(b"sequence", b"values", filled(b"1", 1 << 21)),
    "values of the reference parser": lambda: list_line(b"sequence", b"values", _numbers(), b',"x":1'),
    "values beyond a double": lambda: list_line(b"sequence", b"values", filled(b"9007199254740993")),
    "floats in an unknown field": lambda: _extra(filled(b"1e15")),
    "values that are refused": lambda: list_line(b"sequence", b"values", _numbers()[:-2] + b'"]'),
    "text": lambda: text_line(text=_letters()),
    "text full of escapes": lambda: text_line(text=b"\\u00e9" * (SIZE // 6)),
    "text with one emoji, of the reference parser": lambda: text_line(
        text=_letters() + "\U0001f600".encode(), more=b',"x":1'
    ),
    "id": lambda: text_line(id=_letters()),
    "answer": lambda: text_line(answer=_letters()),
    "domain": lambda: text_line(domain=_letters()),
    "metadata": lambda: text_line(more=b',"metadata":{"a":"%s"}' % _letters()),
    "metadata of many objects, of the reference parser": lambda: text_line(
        more=b',"metadata":{"a":[%s]},"x":1' % filled(b'{"a":%d}' % 1234)
    ),
    "unknown field of text": lambda: _extra(b'"%s"' % _letters()),
    "unknown field of text with one emoji": lambda: _extra(b'"%s"' % (_letters() + "\U0001f600".encode())),
    "unknown field of many strings": lambda: _extra(filled('"\u0142"'.encode())),
    "unknown field of empty lists": lambda: _extra(filled(b"[]")),
    "unknown field of empty objects": lambda: _extra(filled(b"{}")),
    "unknown field of small objects": lambda: _extra(filled(b'{"":0}')),
    "unknown field of deep objects": lambda: _extra(filled(b'{"":' * 60 + b"0" + b"}" * 60)),
    "keys that come once": lambda: text_line(
        more=b',"x":{%s}' % b",".join(b'"%x":0' % i for i in range(SIZE // 10))
    ),
    "text that is refused": lambda: text_line(text=_letters(), more=b',"id":""'),
    "not UTF-8": lambda: text_line(text=_letters() + b"\xff"),
    "not closed": lambda: text_line(text=_letters())[:-1],
    "too long": lambda: text_line(text=b"x" * (17 << 20)),
}  # fmt: skip


def write_lines(file, names: list[str], n: int) -> None:
    """n lines of each kind, without a last line end; domains differ."""
    end = b""
    for name in names:
        line = LINES[name]()
        for i in range(n):
            file.write(end)
            file.write(line.replace(b'"domain":"d', b'"domain":"d%d' % i, 1) if name == "domain" else line)
            end = b"\n"


WIDE = Limits(line_bytes=1 << 30, numbers=1 << 30)


def _texts(rows: int, n: int) -> pa.Table:
    one = parse_example(text_line(text=b"x" * (n // rows)), WIDE)
    return pa.Table.from_batches([to_arrow([one])]).take(pa.array([0] * rows)).combine_chunks()


def _lists(rows: int, n: int) -> pa.Table:
    one = parse_example(list_line(b"sequence", b"values", filled(b"1", 2 * (n // rows // 8))), WIDE)
    return pa.Table.from_batches([to_arrow([one])]).take(pa.array([0] * rows)).combine_chunks()


BOMBS = {
    "texts of one row": lambda n: _texts(1, n),
    "texts of many rows": lambda n: _texts(1000, n),
    "numbers of one row": lambda n: _lists(1, n),
    "numbers of many rows": lambda n: _lists(1000, n),
}


def write_bomb(path, name: str, group: int, total: int) -> None:
    """A small Parquet file whose row groups unpack to `group` bytes each and `total` in all."""
    table = BOMBS[name](group)
    with ParquetSink(path) as sink:
        for _ in range(total // group):
            sink.write(table)
