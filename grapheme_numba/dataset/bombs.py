"""How much a row group may unpack to: what our own writer can make of lines within the limits, and no more."""

from grapheme_numba.dataset.grouping import GROUP_BYTES, GROUP_ROWS, LISTS, LONG_DOMAIN
from grapheme_numba.dataset.records import DEFAULT_LIMITS
from grapheme_numba.errors import RecordError

LEVELS = 4 << 20  # beside the content: lengths, definition and repetition levels, dictionaries of numbers
# Domains up to LONG_DOMAIN bytes are not counted where row groups are cut. Unknown fields are written anew, where
# `1e15,` becomes `1000000000000000.0,`; nothing gets longer than that.
ASIDE = {"domain": GROUP_ROWS * LONG_DOMAIN + GROUP_BYTES, "extra": 4 * DEFAULT_LIMITS.line_bytes + LEVELS}
SEVERAL = {"content": GROUP_BYTES + LEVELS, "numbers": 0, **ASIDE}
# A row alone may hold more than GROUP_BYTES: the strings of one line, and 8 bytes for each of its numbers.
ALONE = {"content": DEFAULT_LIMITS.line_bytes + LEVELS, "numbers": 8 * DEFAULT_LIMITS.numbers + LEVELS, **ASIDE}
# Lines beyond the default limits make larger groups. They are read where the file is of a size to match: real text
# shrinks to a third or a quarter, and a small file never unpacks to much. 256 MiB for every file, as it was, let
# one of 4 MB take 2.1 GB as batches and 2.7 GB in `inspect`.
MOST_TIMES_FILE = 8
MOST_GROUP_BYTES = 256 << 20  # in any case


def refuse_bomb(sizes: dict[str, int], rows: int, file_bytes: int, index: int, path) -> None:
    """RecordError when a row group unpacks to more than it may.

    sizes : bytes that each column unpacks to; rows, index : of the row group; file_bytes : of the whole file
    """
    allowed = ALONE if rows == 1 else SEVERAL
    found, unpacked = dict.fromkeys(allowed, 0), sum(sizes.values())
    for name, size in sizes.items():
        found[_kind(name, rows)] += size
    usual = all(found[kind] <= most for kind, most in allowed.items())
    most = max(MOST_TIMES_FILE * file_bytes, sum(allowed.values()) if usual else allowed["content"])
    if unpacked > min(most, MOST_GROUP_BYTES):
        raise RecordError(
            f"{path}: row group {index} unpacks to {unpacked} bytes, more than the limit of "
            f"{min(most, MOST_GROUP_BYTES)}; convert the JSONL again"
        )


def _kind(name: str, rows: int) -> str:
    """Which allowance a column is counted in."""
    if name == "domain":
        return name
    if name in ("extra", "input_extra"):
        return "extra"
    return "numbers" if rows == 1 and name in LISTS else "content"
