"""Whole files: every writer of the package leaves the old file or the new one, whichever operation fails."""

import errno
import os
import stat

import pytest
from faults import Faults

from grapheme_numba.data.jsonl.convert import convert, export
from grapheme_numba.data.parquet.sinks import RowTable
from grapheme_numba.errors import OutputError
from grapheme_numba.files import storage
from grapheme_numba.files.storage import WholeFile, mode_of, write_file
from grapheme_numba.graph.formats.dispatch import save_graph
from grapheme_numba.graph.named import named_graph


def stream(path, text):
    """Write through the streaming writer, in pieces larger and smaller than its buffer."""
    with WholeFile(path) as file:
        file.write(text.encode() * 3)
        file.write(b"x" * (storage.BUFFER + 1))


def named(text):
    weights, activations = [0.5, float(len(text))], ["linear", "tanh", "linear"]
    return named_graph([0, 1], [1, 2], ["a", text, "c"], weights=weights, activations=activations)


def graph(path, text):
    save_graph(named(text), path)


def network(path, text):
    named(text).to_onnx(path)


def rows(path, text):
    with RowTable(path, {"a": "text"}) as table:
        table.write({"a": [text]})


def converted(path, text):
    source = path.with_name("source.jsonl")
    source.write_text("".join(f'{{"id":"{text}{i}","domain":"d","input_type":"text","input":{{"text":"q"}},'
                              f'"expected_output":"{i}"}}\n' for i in range(3)))  # fmt: skip
    convert([source], path)


def exported(path, text):
    with pytest.MonkeyPatch.context() as patch:  # the conversion before it is no part of the export
        for name, real in REAL.items():
            patch.setattr(storage, name, real)
        converted(path.with_name("source.parquet"), text)
    export(path.with_name("source.parquet"), path)


REAL = {name: getattr(storage, name) for name in Faults.NAMES}
WRITERS = {
    "bytes": ("a.bin", lambda path, text: write_file(path, text.encode())),
    "stream": ("a.bin", stream),
    "edge list": ("a.csv", graph),
    "Parquet edge list": ("a.parquet", graph),
    "GraphML": ("a.graphml", graph),
    "sparse matrix": ("a.npz", graph),
    "neat-python": ("a.json", graph),
    "ONNX": ("a.onnx", network),
    "table of rows": ("a.parquet", rows),
    "conversion": ("a.parquet", converted),
    "export": ("a.jsonl", exported),
}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("kind", WRITERS)
def test_each_operation_of_each_writer_can_fail(tmp_path, kind, code):
    """The file at the end is byte for byte the old one or the new one, and nothing half-written stays."""
    name, save = WRITERS[kind]
    contents = []
    for text in ("old", "newer"):
        (tmp_path / text).mkdir()
        save(tmp_path / text / name, text)
        contents.append((tmp_path / text / name).read_bytes())
    assert contents[0] != contents[1]
    at, said = 0, "none yet"
    while said is not None:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        save(folder / name, "old")
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, at, code)
            try:
                save(folder / name, "newer")
                said = None
            except OutputError as error:
                said = str(error)
        assert said is None or os.strerror(code) in said
        assert (folder / name).read_bytes() in (contents if said is not None else contents[1:])
        assert not list(folder.glob(f"{storage.TEMPORARY}*"))
    assert at > 4


def test_what_a_dead_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    orphan = tmp_path / f"{storage.TEMPORARY}1-0123abcd-a"
    orphan.write_text("left by a killed process")
    other = tmp_path / f"{storage.TEMPORARY}1-0123abcd-b-a"
    other.write_text("for another file")
    first = WholeFile(tmp_path / "a")
    first.write(b"first")
    assert not orphan.exists()
    assert other.exists()
    second = WholeFile(tmp_path / "a")
    storage.sweep(tmp_path)
    assert not other.exists()
    second.write(b"second")
    second.finish()
    first.finish()
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_taken_for_an_orphan_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    real, taken = storage.create, []

    def create_and_lose(path, mode):
        descriptor = real(path, mode)
        if not taken:
            path.unlink()
        taken.append(path)
        return descriptor

    monkeypatch.setattr(storage, "create", create_and_lose)
    write_file(tmp_path / "a", b"there")
    assert len(taken) == 2
    assert (tmp_path / "a").read_bytes() == b"there"


def test_links_in_place_of_half_written_files_lead_nowhere(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f"{storage.TEMPORARY}1-0123abcd-a").symlink_to(tmp_path / "mine")
    (tmp_path / "run" / f"{storage.TEMPORARY}1-0123abcd-b").symlink_to(tmp_path / "mine")
    write_file(tmp_path / "run" / "a", b"new")
    storage.sweep(tmp_path / "run")
    assert (tmp_path / "mine").read_text() == "mine"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_has_the_mode_that_the_umask_gives(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_file(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_what_is_made_from_private_files_is_private(tmp_path):
    for name, mode in (("a", 0o644), ("b", 0o640), ("c", 0o400)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    assert mode_of([tmp_path / "a"]) == 0o644
    assert mode_of([tmp_path / "a", tmp_path / "b"]) == 0o640
    assert mode_of([tmp_path / "a", tmp_path / "c"]) == 0o600
    assert mode_of(["-", tmp_path / "nothing"]) == 0o666
