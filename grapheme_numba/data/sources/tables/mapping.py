"""Which column of a table is what, and how the table is written: saved with a run, used again for prediction."""

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, cast, get_args

import msgspec

from grapheme_numba.errors import UsageError

ID = "id"  # a column of this name is the examples' id where its values do not repeat
SHOWN = 20  # column names in a message
ColumnKind: TypeAlias = Literal["number", "date", "text"]


class TableMapping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The columns of a table, and how its text is to be read; None or empty is found out from the data.

    target : column of the expected answer; None only where answers are not needed
    inputs, drop : names or globs of columns; without `inputs`, all columns that are nothing else
    id, weight : columns; domain : a column, else the name of the domain
    split : a column of train, val and test, or shares as `0.8,0.1,0.1`, or `none`
    delimiter, decimal : one character each; delimiter `space` is any run of blanks
    encoding : a name that Python knows; header : whether the first row holds names
    missing : marks of missing cells, instead of the usual ones; comment : start of lines to leave out
    kinds : name or glob of a column -> `number`, `date` or `text`, where the rule for whole columns is not wanted
    layout : `row` makes tabular inputs, or a text of a single column of free text; `cells` tabular inputs in any case;
        `values` a sequence or a text, as input columns were joined before
    image_size : of pictures, which are rows too, as `pictures.looks_of` reads it
    """

    target: str | None = None
    inputs: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    id: str | None = None
    domain: str | None = None
    weight: str | None = None
    split: str | None = None
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = ()
    comment: str | None = None
    kinds: dict[str, ColumnKind] = {}
    layout: Literal["row", "cells", "values"] = "row"
    image_size: str | None = None


class Roles(NamedTuple):
    """The columns of one table by what they are; `domain` and `id` are None where no column is meant."""

    target: str | None
    inputs: tuple[str, ...]
    id: str | None
    domain: str | None
    weight: str | None
    split: str | None

    @property
    def used(self) -> list[str]:
        """All columns that are read, inputs first, each once."""
        more = (self.target, self.id, self.domain, self.weight, self.split)
        return list(dict.fromkeys([*self.inputs, *(name for name in more if name is not None)]))


def kinds_of(values: Sequence[str]) -> dict[str, ColumnKind]:
    """`COLUMN=number`, `date` or `text`, several, as a mapping. Raises UsageError."""
    kinds: dict[str, ColumnKind] = {}
    for one in values:
        name, _, kind = one.rpartition("=")
        if not name or kind not in get_args(ColumnKind):
            raise UsageError(f"--kind {one}: wants COLUMN=number, COLUMN=date or COLUMN=text")
        kinds[name] = cast(ColumnKind, kind)
    return kinds


def shares_of(split: str) -> tuple[float, float, float] | None:
    """The shares of train, val and test that `0.8,0.1,0.1` says; None for a column's name. Raises UsageError."""
    try:
        shares = [float(part) for part in split.split(",")]
    except ValueError:
        return None
    if len(shares) not in (2, 3) or not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(f"--split {split}: wants two or three shares with sum 1, as 0.8,0.1,0.1, or a column, or none")
    return shares[0], shares[1], shares[2] if len(shares) == 3 else 0.0


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _one(name: str, names: Sequence[str], flag: str, path: Path) -> str:
    if name in names:
        return name
    low = {one.lower(): one for one in names}
    near = difflib.get_close_matches(name.lower(), low, n=1)
    hint = f"; did you mean {low[near[0]]!r}?" if near else ""
    raise UsageError(f"{path} has no column {name!r}, only {_listed(names)} ({flag}){hint}")


def _several(patterns: Sequence[str], names: Sequence[str], flag: str, path: Path) -> list[str]:
    found: list[str] = []
    left = list(patterns)
    while left:
        # Names are separated by commas, and some have commas themselves.
        size = next((size for size in range(len(left), 0, -1) if ",".join(left[:size]) in names), 1)
        pattern, left = ",".join(left[:size]), left[size:]
        if pattern in names:
            found.append(pattern)
            continue
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if not matching:
            _one(pattern, names, flag, path)
        found += matching
    return list(dict.fromkeys(found))


def refuse_twice(names: Sequence[str], path: Path) -> None:
    """UsageError where two columns have one name."""
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(
            f"{path} has two columns named {twice[0]!r}; rename one, or read it without its header (--no-header)"
        )


def roles_of(mapping: TableMapping, names: Sequence[str], path: Path, *, answers: bool = True) -> Roles:
    """What each column of a table is. `answers` : a target has to be there.

    Raises UsageError for columns that are not there, come twice or are wanted as two things.
    """
    refuse_twice(names, path)
    if answers and mapping.target is None:
        raise UsageError(f"{path} is a table; name the column of the answers with --target, of {_listed(names)}")
    target = mapping.target
    if target is not None and (answers or target in names):
        target = _one(target, names, "--target", path)
    else:
        target = None
    split = mapping.split
    if split is None or split == "none" or shares_of(split) is not None:
        split = None
    else:
        split = _one(split, names, "--split", path)
    weight = None if mapping.weight is None else _one(mapping.weight, names, "--weight", path)
    domain = mapping.domain if mapping.domain in names else None
    given_id = None if mapping.id is None else _one(mapping.id, names, "--id", path)
    taken = {target, split, weight, domain, given_id} - {None}
    drop = set(_several(mapping.drop, names, "--drop", path))
    if target in drop:
        raise UsageError(f"column {target!r} is both --target and --drop; which one is it?")
    if mapping.inputs:
        inputs = _several(mapping.inputs, names, "--input", path)
        plain = set(mapping.inputs)
        for name in inputs:
            if name in taken and name in plain and name != given_id:
                raise UsageError(f"column {name!r} is both an input and the target, domain, weight or split")
        inputs = [name for name in inputs if name not in taken or name in plain]
    else:
        inputs = [name for name in names if name not in taken]
    inputs = [name for name in inputs if name not in drop]
    if not inputs:
        raise UsageError(f"{path} has no column left to be an input; it has {_listed(names)}")
    return Roles(target, tuple(inputs), given_id, domain, weight, split)
