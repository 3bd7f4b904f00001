"""`--tensorboard`: what an independent reader of event files finds is what metrics.jsonl holds."""

import struct
import sys

import pytest
from click.testing import CliRunner
from runs import small_data, train

from grapheme_numba.cli.train import main
from grapheme_numba.errors import StoppedEarly
from grapheme_numba.report.event_files import FOLDER, EventFiles

SMALL = ["--hidden", "16", "--fan-in", "8", "--epochs", "2", "--val-freq", "1", "--batch-size", "16"]


def crc32c(data):
    """CRC-32C bit by bit, as TensorFlow masks it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    """The records of a file in TFRecord framing, both check sums verified."""
    while data:
        length, check = struct.unpack("<QI", data[:12])
        assert check == crc32c(data[:8])
        (check,) = struct.unpack("<I", data[12 + length : 16 + length])
        assert check == crc32c(data[12 : 12 + length])
        yield data[12 : 12 + length]
        data = data[16 + length :]


def fields(data):
    """(number, value) of a protocol buffer's fields, by its wire format."""

    def varint():
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while data:
        number, kind = divmod(varint(), 8)
        if kind == 0:
            yield number, varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        part, data = data[:size], data[size:]
        yield number, struct.unpack({1: "<d", 5: "<f"}[kind], part)[0] if kind in (1, 5) else part


def read(folder):
    """{(tag, step): value} of a folder's event files in their order, and the versions they state."""
    found, versions = {}, set()
    for file in sorted(folder.iterdir(), key=lambda file: int(file.name.rsplit(".", 1)[1])):
        for record in records(file.read_bytes()):
            event = dict(fields(record))
            assert event[1] > 1.6e9  # seconds since 1970
            versions |= {event[3]} if 3 in event else set()
            if 7 in event:  # a session begins: what was written from this step on no longer counts
                found = {key: value for key, value in found.items() if key[1] < event.get(2, 0)}
            for number, value in fields(event.get(5, b"")):
                assert number == 1
                scalar = dict(fields(value))
                found[scalar[1].decode(), event.get(2, 0)] = scalar[2]
    assert versions == {b"brain.Event:2"}
    return found


def wanted(rows):
    """What the files should hold, by the rows of metrics.jsonl."""
    parts = {"training": {}, "validation": {}, "constant": {}}
    for row in rows:
        for name, one in {"all": row, **row["domains"]}.items():
            if row["kind"] == "epoch":
                values = {("training", "loss"): one["loss"], ("training", "exact"): one["exact"]}
            else:
                values = {
                    ("validation", key): one[field]
                    for key, field in zip(("loss", "exact", "mae"), ("mse", "exact", "mae"))
                }
                values |= {
                    ("constant", key): one[f"{field}_constant"] for key, field in (("loss", "mse"), ("mae", "mae"))
                }
            for (part, key), value in values.items():
                if value is not None:
                    parts[part][f"{key}/{name}", row["step"]] = value
        if row["kind"] == "epoch":
            for key, tag in (
                ("lr", "learning rate"),
                ("grad_norm", "gradient norm"),
                ("examples_per_s", "examples per second"),
            ):
                parts["training"][f"course/{tag}", row["step"]] = row[key]
    return parts


def check(run):
    """The files hold what the rows hold, to the precision of float32."""
    for part, values in wanted(run.journal.rows).items():
        assert read(run.folder / FOLDER / part) == pytest.approx(values, rel=1e-6)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


def observed(data, folder, **options):
    """A run with event files."""
    files = EventFiles()
    try:
        return train(data, folder, observer=files, **options)
    finally:
        files.close()


def test_the_files_tell_what_the_rows_tell(data, tmp_path):
    run = observed(data, tmp_path / "run")
    assert len(wanted(run.journal.rows)["training"]) == 3 * (3 + 2 * (1 + len(run.model.layout.names)))
    check(run)


def test_a_run_that_goes_on_leaves_no_trace_of_the_break(data, tmp_path):
    with pytest.raises(StoppedEarly, match="--max-steps 6 is reached"):
        observed(data, tmp_path / "run", max_steps=6)
    run = observed(data, tmp_path / "run", resume="auto", max_steps=None)
    assert len(list((run.folder / FOLDER / "training").iterdir())) == 2
    check(run)


def test_rows_taken_back_are_forgotten(data, tmp_path):
    """A rollback from epoch 3 to the end of epoch 1, and epoch 2 anew: nothing of epoch 3 is left."""
    files = EventFiles()
    run = train(data, tmp_path / "run")
    files.started(run)
    del run.journal.rows[4:]
    for row in run.journal.rows[2:]:
        row["loss" if row["kind"] == "epoch" else "mse"] = 0.125
    files.epoch_closed(run.journal.rows[2:])
    files.close()
    check(run)


def test_a_disk_that_fails_ends_the_files_and_not_the_run(data, tmp_path):
    def fail(run):
        files.new_writer = lambda *_: 1 / 0
        (run.folder / FOLDER).parent.mkdir(exist_ok=True)
        (run.folder / FOLDER).write_text("in the way")

    files = EventFiles()
    with pytest.warns(UserWarning, match="no more event files for TensorBoard: .*; the run continues without them"):
        run = train(data, tmp_path / "run", observer=files, before=fail)
    assert run.progress.epoch == 3
    files.close()


def test_the_flag_writes_the_files(data, tmp_path):
    result = CliRunner().invoke(
        main, ["agi", "--data", str(data), "--output", str(tmp_path / "run"), *SMALL, "--tensorboard"]
    )
    assert result.exit_code == 0, result.output
    assert ("loss/all", 8) in read(tmp_path / "run" / FOLDER / "validation")


def test_without_tensorboardx_the_flag_is_refused_before_training(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "tensorboardX.event_file_writer", raising=False)
    result = CliRunner().invoke(main, ["agi", "--data", str(data), "--output", str(tmp_path / "run"), "--tensorboard"])
    sentence = (
        "error: --tensorboard needs tensorboardX, which is not installed: pip install '.[tensorboard]' in a clone\n"
    )
    assert (result.exit_code, result.stderr, (tmp_path / "run").exists()) == (2, sentence, False)
