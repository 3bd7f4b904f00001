"""A disk on which one operation of `files.storage` fails."""

import os

from grapheme_numba.files import storage


class Faults:
    """Counts the operations on the disk and lets the `at`-th fail, or write only half of its bytes and then fail."""

    NAMES = ("create", "write", "fsync", "rename", "make_folder", "remove")

    def __init__(self, monkeypatch, at: int | None, code: int):
        self.seen, self.at, self.code = 0, at, code
        for name in self.NAMES:
            monkeypatch.setattr(storage, name, self.wrapped(name, getattr(storage, name)))

    def wrapped(self, name, real):
        def operation(*arguments):
            self.seen += 1
            if self.seen == self.at:
                if name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise OSError(self.code, os.strerror(self.code))
            return real(*arguments)

        return operation
