"""What `evaluate` and `predict` do with a checkpoint."""

import json
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from grapheme_numba import jit
from grapheme_numba.cli.tables import score_table
from grapheme_numba.data.splits import find_splits, split_file
from grapheme_numba.data.stream.dataset import open_dataset
from grapheme_numba.errors import MissingInputError, RecordError
from grapheme_numba.files.whole_file import WholeFile
from grapheme_numba.tasks import find_task
from grapheme_numba.training import metrics, run_folder, snapshot
from grapheme_numba.training.admitting import admitted, left_out
from grapheme_numba.training.answering import Answer, Answerer
from grapheme_numba.training.checkpoint import Checkpoint


def load(path: str, threads: int | None) -> tuple[Checkpoint, Path]:
    """The checkpoint at `path` and its folder; damaged ones that were passed over are named on stderr."""
    jit.set_threads(threads)
    checkpoint, folder, damaged = run_folder.find(path)
    for sentence in damaged:
        click.echo(f"warning: {sentence}", err=True)
    return checkpoint, folder


def show_scores(path, data, choice, batch_size, threads, cache, log_format, quiet) -> None:
    """Evaluate and print: an aligned table, or one JSON object per domain and one for all.

    `choice` holds route and unknown_domain where they are given; the checkpoint's own count where not.
    """
    checkpoint, folder = load(path, threads)
    as_json = log_format == "json"

    def say(text):
        if not quiet:
            click.echo(text, err=as_json)

    file = test_file(data, checkpoint.config.data)
    given = {key: value for key, value in choice.items() if value is not None}
    config = msgspec.structs.replace(checkpoint.config, **given)
    dataset = open_dataset(file, cache=cache, progress=say, nameless=config.route)
    model = snapshot.restore_model(checkpoint)
    dataset = admitted(find_task(checkpoint.task), dataset, config, model.layout)
    if sentence := left_out(dataset):
        say(sentence)
    scores = metrics.evaluate(model, dataset, snapshot.restore_constants(checkpoint), batch_size)
    plain = [{key: getattr(score, key) for key in metrics.COLUMNS} for score in scores]
    if as_json:
        for score in plain:
            click.echo(json.dumps(score))
        return
    say(f"{folder} (after {checkpoint.progress.epoch} epochs) on {file}")
    click.echo(score_table(plain))
    unfit = scores[-1].n_unfit
    if unfit:
        say(f"{unfit} examples are too long for this model or have answers it cannot form; they count as wrong")


def test_file(data: str | None, trained_on: str | None) -> Path:
    """The file to evaluate: as given, or the test split (else the validation split) of a folder."""
    if data is not None and (Path(data).is_file() or not Path(data).exists()):
        return Path(data)
    splits = find_splits(data or trained_on)
    folder = splits.train.parent
    found = split_file(folder, "test") or splits.val
    if found is None:
        raise MissingInputError(f"{folder} holds neither a test nor a val file; name the file with --data")
    return found


def answer_lines(path, source, target, rejects, route, threshold, batch_size, threads, nodes=()) -> None:
    """Answer every line of `source`; refuse the lines that cannot be answered, each with its reason."""
    if source != "-" and not Path(source).is_file():
        raise MissingInputError(f"the input {source} does not exist; give a JSONL file or - for standard input")
    checkpoint, _ = load(path, threads)
    model = snapshot.restore_model(checkpoint)
    answerer = Answerer(model, threshold=threshold, route_all=route, batch_size=batch_size, nodes=nodes)
    n_refused = n_answered = 0
    with sink(target, False) as write, sink(rejects, True) as refuse:
        for one in answerer.answer(source):
            if isinstance(one, Answer):
                n_answered += 1
                told = {key: value for key, value in one._asdict().items() if value is not None}
                write(json.dumps(told, ensure_ascii=False))
            else:
                n_refused += 1
                refuse(json.dumps(one._asdict(), ensure_ascii=False))
    if n_refused:
        raise RecordError(
            f"{n_refused} of {n_refused + n_answered} lines have no answer; the reasons stand "
            f"{f'in {rejects}' if rejects else 'above'}, all other lines were answered"
        )


@contextmanager
def sink(target: str | None, err: bool):
    """A function that writes a line to a file (which appears when it is whole) or to stdout or stderr."""
    if target is None or target == "-":
        yield lambda text: click.echo(text, err=err)
        return
    file = WholeFile(Path(target))
    try:
        yield lambda text: file.write(text.encode() + b"\n")
    except BaseException:
        file.abandon()
        raise
    file.finish()
