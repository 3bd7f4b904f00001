"""`gn.load`: what a path holds, ready to use: the model of a run or checkpoint, or a network."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import msgspec

from grapheme_numba import jit
from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.errors import MissingInputError, RecordError, UsageError
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.runs import run_folder, snapshot
from grapheme_numba.runs.checkpoint import MANIFEST, Checkpoint
from grapheme_numba.runs.evaluate import evaluate_checkpoint
from grapheme_numba.runs.predict import Answer, Answerer, Refusal


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
        self.network: BrainModel = snapshot.restore_model(checkpoint)
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
        return Answerer(self.network, threshold=threshold, route_all=route, batch_size=batch_size, nodes=nodes)

    @overload
    def predict(
        self,
        questions: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
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
        questions: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
        *,
        route: bool = ...,
        threshold: float | None = ...,
        batch_size: int = ...,
        nodes: Sequence[str] = ...,
        refusals: Literal["keep"],
    ) -> list[Answer | Refusal]: ...

    def predict(
        self,
        questions: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
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
        questions : sequence of dict, or path of a JSONL file
            Records without an answer: `input_type`, `input`, and `domain` where no router is to choose the brain.
            A dict without `id` gets its place in the sequence.
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

        Raises
        ------
        RecordError
            A question cannot be answered; the message says which and why.
        MissingInputError
            There is no such file.
        UsageError
            `refusals` or a node is not known, or `questions` is neither a path nor a sequence of dicts.
        """
        if refusals not in ("raise", "keep"):
            raise UsageError(f"refusals = {refusals!r}; choose 'raise' or 'keep'")
        answerer = self.answerer(route=route, threshold=threshold, batch_size=batch_size, nodes=nodes)
        if isinstance(questions, str | os.PathLike):
            source = os.fspath(questions)
            if not Path(source).is_file():
                raise MissingInputError(f"the input {source} does not exist; give a JSONL file or a list of records")
            results: Iterator[Answer | Refusal] = answerer.answer(source)
        else:
            results = answerer.answer_lines(as_lines(questions), "the questions")
        answers = []
        for one in results:
            if isinstance(one, Refusal) and refusals == "raise":
                raise RecordError(f"{one.file}, line {one.line}: {one.reason}; refusals='keep' answers the others")
            answers.append(one)
        return answers

    def evaluate(
        self,
        data: str | os.PathLike[str] | None = None,
        *,
        route: bool | None = None,
        unknown_domain: Literal["error", "skip"] | None = None,
        batch_size: int = 256,
        cache: bool = True,
    ) -> dict[str, dict[str, Any]]:
        """How good the answers are: domain to figures, and `all`.

        Parameters
        ----------
        data : path, optional
            A file, or a folder with a test (else a val) split; by default the data of the run.
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
        path = None if data is None else os.fspath(data)
        choice = {"route": route, "unknown_domain": unknown_domain}
        done = evaluate_checkpoint(
            self.checkpoint, self.network, path, choice=choice, batch_size=batch_size, cache=cache, note=warn
        )
        return {one.pop("domain"): one for one in done.figures}

    def __repr__(self) -> str:
        names = ", ".join(self.layout.names)
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
    path = Path(path)
    if path.suffix == ".safetensors" and not (path.parent / MANIFEST).is_file():
        from grapheme_numba.network.saved import load_network

        return load_network(path)
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


def as_lines(questions: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """The records as lines of JSON, with ids where they have none."""
    if isinstance(questions, Mapping) or not all(isinstance(one, Mapping) for one in questions):
        raise UsageError("questions must be a list of dicts, one per question, or the path of a JSONL file")
    for number, one in enumerate(questions):
        try:
            yield msgspec.json.encode({"id": str(number), **one})
        except (TypeError, ValueError) as error:
            raise UsageError(f"question {number} does not go into JSON: {error}; give plain Python values") from None


def warn(sentence: str) -> None:
    """A warning for whoever called."""
    warnings.warn(sentence, stacklevel=4)
