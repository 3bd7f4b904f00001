"""The router: which brain an input belongs to, by what it is made of, with a confidence.

Images go to the image brains, number sequences to the sequence brains. A text goes to math by the share
of digits and operators in it, more so when it holds an expression such as `3 * 4`; else to text.

Also here: which brains there are, from what the data needs and the user asks for, and which examples of a dataset
they take.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.answers import TextAnswer
from grapheme_numba.data.codec.layout import DomainNeeds, Layout
from grapheme_numba.data.records import INPUT_KINDS
from grapheme_numba.data.rejects import Reject
from grapheme_numba.data.stream.dataset import UNROUTED, Dataset, rerouting, unrouted_rows
from grapheme_numba.errors import RecordError, UsageError, few
from grapheme_numba.kernels.codec.column_facts import DIGITS, EXPRESSIONS, LETTERS, OPERATORS, text_evidence
from grapheme_numba.models.slices import allocate_brain_slices

BRAINS = {"math": "text", "text": "text", "timeseries": "sequence", "vision": "image"}
THRESHOLD = 0.6  # an even draw between two brains is a rejection


class Route(NamedTuple):
    """Where an input goes.

    brain : str, or None when no brain is sure enough
    confidence : float in [0, 1], of the best brain also when it is rejected
    alternatives : list of (brain, confidence) of all other brains that could read the input, best first;
        all of them when the input is rejected
    """

    brain: str | None
    confidence: float
    alternatives: list[tuple[str, float]]


class CognitiveRouter:
    """Chooses a brain for inputs that name none.

    Parameters
    ----------
    threshold : float
        Least confidence, in [0, 1]; below it an input is rejected.
    brains : mapping of brain name to input type, optional
        The brains to choose from; math, text, timeseries and vision without it.

    Raises
    ------
    UsageError
        The threshold is not in [0, 1], there is no brain, or an input type is unknown.
    """

    def __init__(self, threshold: float = THRESHOLD, brains: Mapping[str, str] | None = None):
        brains = dict(BRAINS if brains is None else brains)
        if not 0.0 <= threshold <= 1.0:
            raise UsageError(f"the router's threshold is {threshold}; it is a confidence, so give 0 to 1")
        if not brains or not set(brains.values()) <= INPUT_KINDS.keys():
            raise UsageError(f"the router knows brains {brains}; give at least one, each of {', '.join(INPUT_KINDS)}")
        self.threshold, self.names = threshold, tuple(brains)
        self._columns = {kind: [i for i, name in enumerate(brains) if brains[name] == kind] for kind in INPUT_KINDS}

    def route(self, input: Any) -> Route:
        """The brain for one input.

        Parameters
        ----------
        input : str, mapping, or array
            A text; a record's `input` with `text`, `values` or `pixels`; a sequence of numbers or an
            array of one axis (a number sequence); an array or nested list of two axes (an image).

        Raises
        ------
        RecordError
            The input is none of these.
        """
        scores = self.scores([input])[0]
        order = np.argsort(-scores, kind="stable")
        ranked = [(self.names[i], float(scores[i])) for i in order if scores[i] > 0]
        if not ranked or ranked[0][1] < self.threshold:
            return Route(None, ranked[0][1] if ranked else 0.0, ranked)
        return Route(*ranked[0], ranked[1:])

    def scores(self, inputs: Sequence[Any]) -> npt.NDArray[np.float64]:
        """Confidence (n, n_brain) of every brain, columns as `names`, for many inputs as in `route`."""
        scores = np.zeros((len(inputs), len(self.names)))
        texts, rows = [], []
        for row, (kind, content) in enumerate(map(_kind, inputs)):
            if kind == "text":
                texts.append(content.encode("utf-8", "replace"))
                rows.append(row)
            elif columns := self._columns[kind]:
                scores[row, columns] = 1.0 / len(columns)
        if texts:
            offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
            scores[rows] = self.text_scores(offsets, np.frombuffer(b"".join(texts) or b" ", np.uint8))
        return scores

    def text_scores(self, offsets: npt.NDArray[Any], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Confidence (n, n_brain) for texts in one buffer, as Arrow keeps them; nothing runs per text.

        Parameters
        ----------
        offsets : (n + 1,) int64
        data : (n_byte,) uint8, UTF-8
        """
        counts = np.empty((len(offsets) - 1, 4), np.int32)
        text_evidence(offsets, data, counts)
        symbols = counts[:, DIGITS] + counts[:, OPERATORS]
        visible = symbols + counts[:, LETTERS]
        share = symbols / np.maximum(visible, 1)
        p_math = np.where(counts[:, EXPRESSIONS] > 0, 0.5 + 0.5 * share, 0.5 * share) * (visible > 0)
        scores = np.zeros((len(counts), len(self.names)))
        columns = self._columns["text"]
        math = [i for i in columns if self.names[i] == "math"]
        other = [i for i in columns if self.names[i] != "math"]
        scores[:, math] = p_math[:, None] if other else (visible > 0)[:, None]
        if other:
            rest = (1.0 - p_math) * (visible > 0) if math else (visible > 0)
            scores[:, other] = (rest / len(other))[:, None]
        return scores

    def choose(
        self, kinds: npt.NDArray[Any], offsets: npt.NDArray[Any], data: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.int32]:
        """The brain (n,) int32 of each row, an index into `names`, or -1 where none is sure enough.

        Parameters
        ----------
        kinds : (n,) int
            0 text, 1 sequence, 2 image, as `INPUT_KINDS` numbers them.
        offsets : (n + 1,) int
        data : (n_byte,) uint8
            The texts as Arrow keeps them, empty where the input is no text.
        """
        scores = self.text_scores(offsets, data) * (np.asarray(kinds) == INPUT_KINDS["text"])[:, None]
        for kind, number in INPUT_KINDS.items():
            if kind != "text" and (columns := self._columns.get(kind)):
                scores[np.ix_(np.asarray(kinds) == number, columns)] = 1.0 / len(columns)
        best = scores.argmax(axis=1).astype(np.int32)
        best[(scores.max(axis=1) < self.threshold) | (scores.max(axis=1) == 0)] = -1
        return best

    def rejection(self, route: Route) -> str:
        """Why a rejected input was rejected, in one sentence."""
        if not route.alternatives:
            return f"no brain reads this input; the brains are {few(self.names)}"
        guesses = few(f"{name} {confidence:.2f}" for name, confidence in route.alternatives)
        return f"no brain is sure enough: {guesses}; the threshold is {self.threshold:.2f}"


def _kind(input: Any) -> tuple[str, Any]:
    """The input type and, for a text, the text."""
    if isinstance(input, Mapping):
        for key, kind in (("text", "text"), ("values", "sequence"), ("pixels", "image"), ("fields", "tabular")):
            if key in input:
                return kind, input[key]
    elif isinstance(input, str):
        return "text", input
    elif isinstance(input, (Sequence, np.ndarray)):
        try:
            axes = np.asarray(input, dtype=np.float64).ndim
        except (TypeError, ValueError):
            axes = 0
        if axes in (1, 2):
            return ("sequence", "image")[axes - 1], None
    raise RecordError(
        f"cannot route an input of type {type(input).__name__}; give a text, a record's input with text, values "
        "or pixels, a list of numbers, or an image of two axes"
    )


def with_brains(
    dataset: Dataset,
    *,
    brains: Iterable[str] = (),
    layout: Layout | None = None,
    route: bool = False,
    threshold: float = THRESHOLD,
    unknown_domain: str = "error",
) -> Dataset:
    """The dataset as brains take it: routed on request, unknown domains left out on request.

    Parameters
    ----------
    dataset : Dataset
    brains : iterable of str
        Brains besides math, text, timeseries and vision, while there is no layout yet.
    layout : Layout, optional
        The model's; its domains are the brains.
    route : bool
        Choose the brain by the input. What no brain is sure of is left out; `rejects_of` names it.
    threshold : float
        Least confidence of the router.
    unknown_domain : {"error", "skip"}
        "skip" leaves domains without a brain out.

    Returns
    -------
    Dataset
        A view.

    Raises
    ------
    RecordError
        The dataset holds examples without a domain, or with one that `layout` does not know, and
        `unknown_domain` is "error".
    """
    kinds = {one.name: one.input_type for one in (layout or dataset.summary()).domains}
    known = set(kinds) if layout else set(BRAINS) | set(brains)
    if route:
        router = router_of(kinds, known, threshold)
        dataset = dataset.view([UNROUTED], rerouting(router.choose, router.names))
    elif dataset.summary().nameless and unknown_domain == "error":
        raise RecordError(
            f"{dataset.summary().nameless} examples of {dataset.path} name no domain; choose one by what each holds "
            "with --route, or leave them out with --unknown-domain skip"
        )
    elif dataset.summary().nameless:
        dataset = dataset.view([UNROUTED])
    unknown = [one.name for one in dataset.summary().domains if one.name not in known]
    if unknown and unknown_domain == "skip":
        return dataset.view(unknown)
    if unknown and layout:
        held = few(one.name for one in dataset.summary().domains)
        raise RecordError(
            f"{dataset.path} holds the domains {held}, but the model has brains for {few(layout.names)}: "
            f"none for {few(unknown)}; leave such examples out with --unknown-domain skip, "
            "or train a model with them"
        )
    return dataset


def router_of(kinds: Mapping[str, str], known: Iterable[str], threshold: float) -> CognitiveRouter:
    """The router among the brains `known`, whose input types are those of `kinds` or of the usual brains."""
    return CognitiveRouter(threshold, {name: kind for name, kind in (BRAINS | dict(kinds)).items() if name in known})


def rejects_of(dataset: Dataset, layout: Layout, threshold: float) -> Iterator[Reject]:
    """Yield a `Reject` for every example that a routed dataset leaves out, with the reason."""
    router = router_of({one.name: one.input_type for one in layout.domains}, set(layout.names), threshold)
    for row, name, given in unrouted_rows(dataset.tables(["id", "domain", "input_type", "text", "values", "pixels"])):
        yield Reject(str(dataset.path), reason=router.rejection(router.route(given)), row=row, id=name)


BITS = 8  # outputs per byte of a text answer


def place_brains(
    needs: Sequence[DomainNeeds],
    requests: Mapping[str, Sequence[int]],
    embedding_dim: int,
    unknown_domain: str = "error",
) -> Layout:
    """Give each domain of the data the slices of its own brain.

    math, text, timeseries and vision are brains without a request, each as large as its data and
    codes need; a request changes a brain's size or adds a brain for another domain.

    Parameters
    ----------
    needs : sequence of DomainNeeds
        What each domain of the data needs.
    requests : mapping of name to (n_input, n_output)
        Brains to change or add.
    embedding_dim : int
    unknown_domain : {"error", "skip"}
        What a domain without a brain is; skipped domains have no place in the layout.

    Raises
    ------
    UsageError
        A request for a brain that no domain of the data has, or of a size its codes cannot have.
    RecordError
        A domain without a brain, or no domain with one.
    """
    domains = [need.name for need in needs]
    unknown = [name for name in requests if name not in domains]
    if unknown:
        raise UsageError(
            f"brain {few(map(repr, unknown))} is requested, but the data holds only the domains "
            f"{few(domains)}; ask for one of these, or add examples of that domain"
        )
    brains = [name for name in domains if name in BRAINS or name in requests]
    with_brain = set(brains)
    unplaced = [need for need in needs if need.name not in with_brain]
    if unplaced and (unknown_domain == "error" or not brains):
        flags = few((f"--brain {need.name}={need.n_input},{need.n_output}" for need in unplaced), sep=" ")
        raise RecordError(
            f"no brain for domain {few(need.name for need in unplaced)}: the data holds the domains "
            f"{few(domains)}, the brains are {few(brains) or 'none of them'}; add {flags}"
            + (", or leave such examples out with --unknown-domain skip" if brains else "")
        )
    placed = [_resized(need, requests.get(need.name), embedding_dim) for need in needs if need.name in with_brain]
    slices = allocate_brain_slices((need.name, need.n_input, need.n_output) for need in placed)
    return Layout.of(
        [need.at(slices[need.name].input_range.start, slices[need.name].output_range.start) for need in placed],
        embedding_dim,
    )


def _resized(need: DomainNeeds, request: Sequence[int] | None, embedding_dim: int) -> DomainNeeds:
    """The need with the sizes of a request, where codec and input can have them."""
    if request is None:
        return need
    n_input, n_output = _pair(need.name, request)
    n_token = n_input // embedding_dim - need.n_bag if need.input_type == "text" else 0
    if need.input_type == "text" and (n_token < need.spelled or n_input % embedding_dim):
        words = f" and its words {need.n_bag * embedding_dim}" if need.n_bag else ""
        raise UsageError(
            f"brain '{need.name}' asks for {n_input} inputs; a token takes {embedding_dim}{words}, "
            f"so ask for a multiple of {embedding_dim} (its longest text needs {need.n_input})"
        )
    if need.input_type == "tabular" and n_input != need.n_input:
        raise UsageError(
            f"brain '{need.name}' asks for {n_input} inputs, but its columns have {need.n_input}; "
            f"ask for {need.n_input},{need.n_output}"
        )
    answer = need.answer
    if isinstance(answer, TextAnswer):
        if n_output < BITS or n_output % BITS:
            raise UsageError(
                f"brain '{need.name}' asks for {n_output} outputs; a byte of its answers takes {BITS}, "
                f"so ask for a multiple of {BITS} (its longest answer needs {need.n_output})"
            )
        answer = TextAnswer(n_output // BITS)
    elif n_output != need.n_output:
        raise UsageError(
            f"brain '{need.name}' asks for {n_output} outputs, but the code of its answers has {need.n_output}; "
            f"ask for {n_input},{need.n_output}"
        )
    return msgspec.structs.replace(need, n_input=n_input, n_output=n_output, answer=answer, n_token=n_token)


def _pair(name: str, request: Sequence[int]) -> tuple[int, int]:
    if len(request) != 2 or min(request) < 1:
        raise UsageError(f"brain '{name}' asks for {list(request)}; give two sizes of at least 1, INPUTS,OUTPUTS")
    return request[0], request[1]
