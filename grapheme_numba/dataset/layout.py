"""Where each domain enters and leaves the network: input and output ranges, and the answer's codec."""

from functools import cached_property

import msgspec
import numpy as np

from grapheme_numba.dataset.answers import Answer, Decoded, LabelAnswer, NumberAnswer, TextAnswer
from grapheme_numba.dataset.summary import DatasetSummary, DomainSummary
from grapheme_numba.errors import RecordError

VOCAB_SIZE = 257  # a token is a byte + 1; 0 is padding
INPUT_KINDS = {"text": 0, "sequence": 1, "image": 2}
MOST_ONE_HOT = 256  # labels; an image domain with more distinct answers gets a number or text codec


class DomainLayout(msgspec.Struct, frozen=True):
    """One domain's ranges. A value or pixel v enters as `(v - shift) * scale`."""

    name: str
    input_type: str
    input_start: int
    n_input: int
    output_start: int
    n_output: int
    answer: Answer
    shift: float = 0.0
    scale: float = 1.0


class DomainNeeds(msgspec.Struct, frozen=True):
    """What a domain needs before ranges are given out: sizes, codec and scaling."""

    name: str
    input_type: str
    n_input: int
    n_output: int
    answer: Answer
    shift: float = 0.0
    scale: float = 1.0

    def at(self, input_start: int, output_start: int, n_input: int | None = None) -> DomainLayout:
        """This domain placed at the given first input and output."""
        return DomainLayout(
            self.name,
            self.input_type,
            input_start,
            self.n_input if n_input is None else n_input,
            output_start,
            self.n_output,
            self.answer,
            self.shift,
            self.scale,
        )


class Layout(msgspec.Struct, frozen=True, dict=True):
    """All domains of a model. Domain d of a batch is `domains[d]`.

    text_length : columns of `Batch.tokens`, the widest text slice in bytes
    value_width : columns of `Batch.values`, the widest numeric slice
    """

    domains: tuple[DomainLayout, ...]
    text_length: int
    embedding_dim: int
    value_width: int
    vocab_size: int = VOCAB_SIZE

    @classmethod
    def of(cls, domains, embedding_dim: int) -> "Layout":
        """The layout of these placed domains; the widths of a batch follow from them."""
        texts = [d.n_input // embedding_dim for d in domains if d.input_type == "text"]
        values = [d.n_input for d in domains if d.input_type != "text"]
        return cls(tuple(domains), max(texts, default=0), embedding_dim, max(values, default=0))

    @property
    def n_input(self) -> int:
        return max(d.input_start + d.n_input for d in self.domains)

    @property
    def n_output(self) -> int:
        return max(d.output_start + d.n_output for d in self.domains)

    @property
    def n_target(self) -> int:
        """Columns of `Batch.targets`: the widest output slice."""
        return max(d.n_output for d in self.domains)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(d.name for d in self.domains)

    def _column(self, field):
        return np.array([getattr(d, field) for d in self.domains], np.int32)

    @cached_property
    def input_start(self) -> np.ndarray:
        return self._column("input_start")

    @cached_property
    def input_size(self) -> np.ndarray:
        """(n_domain,) int32: number of inputs of each domain."""
        return self._column("n_input")

    @cached_property
    def output_start(self) -> np.ndarray:
        return self._column("output_start")

    @cached_property
    def output_size(self) -> np.ndarray:
        """(n_domain,) int32: number of outputs of each domain."""
        return self._column("n_output")

    @cached_property
    def input_kind(self) -> np.ndarray:
        """(n_domain,) int32: 0 text, 1 sequence, 2 image."""
        return np.array([INPUT_KINDS[d.input_type] for d in self.domains], np.int32)

    def index(self, name: str) -> int:
        """The index of a domain by name; RecordError when the layout has none of that name."""
        if name not in self.names:
            raise RecordError(
                f"domain {name!r} is unknown to this model, which knows {', '.join(self.names)}; "
                "train with examples of it, or remove them"
            )
        return self.names.index(name)

    def decode(self, domain: int, outputs: np.ndarray) -> Decoded:
        """Answers and confidences of outputs (n, n_output of that domain); wider rows are allowed."""
        answer = self.domains[domain].answer
        return answer.decode(np.ascontiguousarray(outputs[:, : answer.n_output], np.float32))

    def to_dict(self) -> dict:
        """Plain dicts, lists, numbers and strings: fit for JSON and TOML."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_dict(cls, plain: dict) -> "Layout":
        """The inverse of `to_dict`; msgspec.ValidationError names the path of a wrong field."""
        return msgspec.convert(plain, cls)


def answer_codec(summary: DomainSummary) -> Answer:
    """The codec for a domain's answers: labels for images, else numbers where all are, else text."""
    raise NotImplementedError


def domain_needs(summary: DatasetSummary, embedding_dim: int, text_length: int | None = None) -> list[DomainNeeds]:
    """Sizes, codecs and scaling per domain, in the summary's order, so that ranges can be given out."""
    raise NotImplementedError


def shared_layout(summary: DatasetSummary, embedding_dim: int, text_length: int | None = None) -> Layout:
    """One input slice per input type, shared by the domains of that type; an output slice per domain."""
    raise NotImplementedError
