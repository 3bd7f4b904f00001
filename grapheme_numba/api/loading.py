"""`gn.load`: what a path holds, ready to use: the model of a run or checkpoint, or a network."""

import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast, overload

import msgspec

from grapheme_numba import arguments, jit
from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.rejects import NO_OFFSET
from grapheme_numba.data.sources.tables.frames import frame_file, is_frame
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.errors import MissingInputError, RecordError, UsageError, few
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.answer_sources import record_answers, source_of
from grapheme_numba.runs.checkpoint import MANIFEST, Checkpoint, restore_model
from grapheme_numba.runs.evaluate import evaluate_checkpoint, of_the_model
from grapheme_numba.runs.predict import Answer, Answerer, Refusal
from grapheme_numba.runs.predict_rows import RowsAnswerer
from grapheme_numba.runs.predict_table import TableAnswerer


class ArrowStream(Protocol):
    """A table in memory: a data frame of pandas or polars, an Arrow table, or what else exports Arrow streams."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The columns, as the Arrow C stream interface has them."""
        ...


Questions: TypeAlias = str | os.PathLike[str] | Sequence[Mapping[str, Any]] | ArrowStream


class Model:
    """The model of a checkpoint.

    Attributes
    ----------
    folder : Path
        Of the checkpoint.
    task : str
        The trainer it comes from.
    config : Config
        Of its run.
    layout : Layout
        Its domains, and where each enters and leaves the network.
    dag : DagNN
    network : BrainModel
        The network with its embedding, for batches of `Dataset.batches`.
    """

    def __init__(self, checkpoint: Checkpoint, folder: Path) -> None:
        self.folder, self.task, self.config = folder, checkpoint.task, checkpoint.config
        self.checkpoint = checkpoint
        self.network: BrainModel = restore_model(checkpoint)
        self.layout: Layout = self.network.layout
        self.dag: DagNN = self.network.dag

    def answerer(
        self,
        *,
        route: bool = False,
        threshold: float | None = None,
        batch_size: int = 256,
        nodes: Sequence[str] = (),
    ) -> Answerer:
        """What answers questions with this model, in a stream; see `predict` for the arguments."""
        arguments.whole("batch_size", batch_size, 1)
        arguments.flag("route", route)
        if threshold is not None and not arguments.is_number(threshold, 0, 1):
            raise UsageError(f"threshold is {arguments.shown(threshold)}; give a number from 0 to 1")
        nodes = arguments.listed("nodes", nodes, "a list of names")
        return Answerer(self.network, threshold=threshold, route_all=route, batch_size=batch_size, nodes=nodes)

    @overload
    def predict(
        self,
        questions: Questions,
        *,
        route: bool = ...,
        threshold: float | None = ...,
        batch_size: int = ...,
        nodes: Sequence[str] = ...,
        refusals: Literal["raise"] = ...,
    ) -> list[Answer]: ...

    @overload
    def predict(
        self,
        questions: Questions,
        *,
        route: bool = ...,
        threshold: float | None = ...,
        batch_size: int = ...,
        nodes: Sequence[str] = ...,
        refusals: Literal["keep"],
    ) -> list[Answer | Refusal]: ...

    def predict(
        self,
        questions: Questions,
        *,
        route: bool = False,
        threshold: float | None = None,
        batch_size: int = 256,
        nodes: Sequence[str] = (),
        refusals: Literal["raise", "keep"] = "raise",
    ) -> list[Any]:
        """Answer questions, in order.

        Parameters
        ----------
        questions : sequence of dict, path of a file, or table
            Dicts are records without an answer: `input_type`, `input`, and `domain` where no router is to choose the
            brain; one without `id` gets its place in the sequence. For a model of a table they may be its rows, column
            to cell. A file holds such records, or it is a table: CSV,
            TSV, Parquet, Arrow or JSON. A table in memory is a data frame of pandas or polars, or an Arrow table; it
            stays as it is, and an index is not read (`frame.reset_index()` makes it a column). The run knows how its
            table is read; a column of answers is not needed. Of a table, `id` is the cell of its column `id`, else
            the number of the row, from 1.
        route : bool
            Choose the brain by the input, not by `domain`.
        threshold : float, optional
            Least confidence of that choice.
        batch_size : int
            Questions run together.
        nodes : sequence of str
            Names of nodes whose activations stand beside each answer.
        refusals : {"raise", "keep"}
            What a question that cannot be answered does: raise, or leave a `Refusal` in its place.

        Returns
        -------
        list of Answer
            One for each question or row: `id`, `domain`, `answer` (a string), `confidence` in [0, 1] and, if asked
            for, `nodes`. `pandas.DataFrame(answers)` makes a table of them.

        Raises
        ------
        RecordError
            A question cannot be answered, or a table lacks a column that the model reads; the message says which.
        MissingInputError
            There is no such file.
        UsageError
            `refusals` or a node is not known, or `questions` is neither a path, a table nor a sequence of dicts.
        """
        if refusals not in ("raise", "keep"):
            raise UsageError(f"refusals = {refusals!r}; choose 'raise' or 'keep'")
        answerer = self.answerer(route=route, threshold=threshold, batch_size=batch_size, nodes=nodes)
        with self._results(questions, answerer) as results:
            answers = []
            for one in results:
                if isinstance(one, Refusal) and refusals == "raise":
                    place = "row" if one.byte == NO_OFFSET else "line"
                    raise RecordError(
                        f"{one.file}, {place} {one.line}: {one.reason}; refusals='keep' answers the others"
                    )
                answers.append(one)
        return answers

    @contextmanager
    def _results(self, questions: Any, answerer: Answerer) -> Iterator[Iterator[Answer | Refusal]]:
        mapping = of_the_model(self.config.table(), self.network)
        in_memory = not isinstance(questions, str | os.PathLike)
        if in_memory and not is_frame(questions):
            questions = _records(questions)
            if not self._are_rows(questions, mapping):
                yield answerer.answer_lines(as_lines(questions), "the questions")
                return
        if in_memory:
            with frame_file(questions) if is_frame(questions) else _rows_file(questions) as path:
                yield TableAnswerer(answerer, path, mapping, "the table").answers()
            return
        name = os.fspath(questions)
        if not Path(name).exists():
            raise MissingInputError(f"the input {name} does not exist; give a file or a list of records")
        with source_of(name, mapping, self.layout) as source:
            if source.kind in ("table", "layout"):
                reader = TableAnswerer if source.kind == "table" else RowsAnswerer
                yield reader(answerer, source.path, mapping).answers()
            else:
                yield record_answers(source, answerer, mapping)

    def _are_rows(self, questions: Sequence[Mapping[str, Any]], mapping: TableMapping) -> bool:
        """Whether dicts are rows of a table, column to cell, rather than records."""
        tables = mapping.target is not None or {one.input_type for one in self.layout.domains} == {"tabular"}
        return tables and bool(questions) and not any("input_type" in one or "input" in one for one in questions)

    def evaluate(
        self,
        data: "str | os.PathLike[str] | ArrowStream | None" = None,
        *,
        route: bool | None = None,
        unknown_domain: Literal["error", "skip"] | None = None,
        batch_size: int = 256,
        cache: bool = True,
    ) -> dict[str, dict[str, Any]]:
        """How good the answers are: domain to figures, and `all`.

        Parameters
        ----------
        data : path or table, optional
            A file, or a folder with a test (else a val) split; by default the data of the run. A table in memory, as
            `predict` takes it, needs the column of answers that the run was trained on.
        route, unknown_domain
            As in the configuration of a run, whose own values count by default.
        batch_size : int
        cache : bool
            Keep a converted copy of JSONL data beside it.

        Returns
        -------
        dict of str to dict
            `n`, `mse`, `mse_constant`, `exact`, `mae`, `mae_constant`: those of the best constant answer beside the
            model's; None where a figure has no meaning.

        Raises
        ------
        MissingInputError, RecordError
            The data is not there or not what it should be.
        """
        if is_frame(data):
            with frame_file(data) as file:
                return self.evaluate(
                    file, route=route, unknown_domain=unknown_domain, batch_size=batch_size, cache=False
                )
        path = None if data is None else os.fspath(cast("str | os.PathLike[str]", data))
        choice = {"route": route, "unknown_domain": unknown_domain}
        done = evaluate_checkpoint(
            self.checkpoint, self.network, path, choice=choice, batch_size=batch_size, cache=cache, note=warn
        )
        return {one.pop("domain"): one for one in done.figures}

    def __repr__(self) -> str:
        names = few(self.layout.names)
        return f"<Model {str(self.folder)!r}: {self.task}, {self.dag.n_edge:,} edges, domains {names}>"


def load(path: str | os.PathLike[str]) -> Model | DagNN:
    """What `path` holds.

    Parameters
    ----------
    path : path
        A run's folder (its best checkpoint, else its newest), a checkpoint's folder, or a `.safetensors` file that
        `DagNN.save` wrote.

    Returns
    -------
    Model or DagNN

    Raises
    ------
    MissingInputError
        There is nothing there.
    CheckpointError
        It is damaged, of a newer version, or something else.
    """
    path = arguments.path("path", path)
    if path.suffix == ".safetensors" and not (path.parent / MANIFEST).is_file():
        return DagNN.load(path)
    return load_model(path.parent if path.suffix == ".safetensors" else path)


def load_model(path: str | os.PathLike[str], threads: int | None = None) -> Model:
    """The model of the run or checkpoint in the folder `path`, as `load`, on so many kernel threads.

    A damaged checkpoint that is passed over is a warning.
    """
    jit.set_threads(threads)
    checkpoint, folder, damaged = run_folder.find(path)
    for sentence in damaged:
        warn(sentence)
    return Model(checkpoint, folder)


def _records(questions: Any) -> list[Mapping[str, Any]]:
    """Questions in memory that are no table, or UsageError."""
    more = "; collect() the frame first" if type(questions).__name__ == "LazyFrame" else ""
    wanted = f"a list of dicts, one per question, the path of a file, or a data frame{more}"
    whole = not more and isinstance(questions, Iterable) and not isinstance(questions, str | bytes | Mapping)
    given: list[Any] = list(questions) if whole else [None]
    if not all(isinstance(one, Mapping) for one in given):
        raise UsageError(f"questions must be {wanted}, not {arguments.shown(questions)}")
    return given


@contextmanager
def _rows_file(rows: Sequence[Mapping[str, Any]]) -> Iterator[Path]:
    """Rows as a table in a file, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="grapheme-rows-") as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in as_lines(rows)))
        yield path


def as_lines(questions: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """The records as lines of JSON, with ids where they have none."""
    for number, one in enumerate(questions):
        try:
            yield msgspec.json.encode({"id": str(number), **one})
        except (TypeError, ValueError) as error:
            raise UsageError(f"question {number} does not go into JSON: {error}; give plain Python values") from None


def warn(sentence: str) -> None:
    """A warning for whoever called."""
    warnings.warn(sentence, stacklevel=4)
