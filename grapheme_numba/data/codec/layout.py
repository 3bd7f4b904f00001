"""Where each domain enters and leaves the network: input and output ranges, and the answer's codec."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.answers import Answer, Decoded, LabelAnswer, answer_tables
from grapheme_numba.data.codec.choice import check_forced, choose_answer
from grapheme_numba.data.codec.tabular import FieldCode, FieldTables, field_codes, field_tables
from grapheme_numba.data.records import INPUT_KINDS
from grapheme_numba.data.summary import DatasetSummary, DomainSummary
from grapheme_numba.errors import RecordError, few
from grapheme_numba.kernels.codec.tables import Answers, Inputs

VOCAB_SIZE = 257  # a token is a byte + 1; 0 is padding
MOST_TEXT = 1024  # bytes of a text's slice, unless asked for


class DomainLayout(msgspec.Struct, frozen=True):
    """One domain's ranges. A value or pixel v enters as `(v - shift) * scale`; the columns of a table as `fields` say.

    reason : why its answers are of that kind
    """

    name: str
    input_type: str
    input_start: int
    n_input: int
    output_start: int
    n_output: int
    answer: Answer
    shift: float = 0.0
    scale: float = 1.0
    reason: str = ""
    fields: tuple[FieldCode, ...] = ()


class DomainNeeds(msgspec.Struct, frozen=True):
    """What a domain needs before ranges are given out: sizes, codec and scaling."""

    name: str
    input_type: str
    n_input: int
    n_output: int
    answer: Answer
    shift: float = 0.0
    scale: float = 1.0
    reason: str = ""
    fields: tuple[FieldCode, ...] = ()

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
            self.reason,
            self.fields,
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
    def of(cls, domains: Sequence[DomainLayout], embedding_dim: int) -> "Layout":
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
        """The domains' names, in order."""
        return tuple(d.name for d in self.domains)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def _column(self, field: str) -> npt.NDArray[np.int32]:
        return np.array([getattr(d, field) for d in self.domains], np.int32)

    @cached_property
    def input_start(self) -> np.ndarray:
        """(n_domain,) int32: first input of each domain."""
        return self._column("input_start")

    @cached_property
    def input_size(self) -> np.ndarray:
        """(n_domain,) int32: number of inputs of each domain."""
        return self._column("n_input")

    @cached_property
    def output_start(self) -> np.ndarray:
        """(n_domain,) int32: first output of each domain."""
        return self._column("output_start")

    @cached_property
    def output_size(self) -> np.ndarray:
        """(n_domain,) int32: number of outputs of each domain."""
        return self._column("n_output")

    @cached_property
    def input_kind(self) -> np.ndarray:
        """(n_domain,) int32: 0 text, 1 sequence, 2 image, 3 tabular."""
        return np.array([INPUT_KINDS[d.input_type] for d in self.domains], np.int32)

    @cached_property
    def is_label(self) -> np.ndarray:
        """(n_domain,) bool: whether the answers of each domain are classes, whose outputs are logits."""
        return np.array([isinstance(d.answer, LabelAnswer) for d in self.domains])

    @cached_property
    def answers(self) -> Answers:
        """The codecs as the tables that kernels read."""
        return answer_tables([d.answer for d in self.domains])

    @cached_property
    def inputs(self) -> Inputs:
        """The input slices as the tables that kernels read."""
        per_token = [self.embedding_dim if d.input_type == "text" else 1 for d in self.domains]
        return Inputs(
            kind=self.input_kind,
            length=self.input_size // np.array(per_token, np.int32),
            shift=np.array([d.shift for d in self.domains]),
            scale=np.array([d.scale for d in self.domains]),
            fields=self._fields.fields,
        )

    @cached_property
    def _fields(self) -> FieldTables:
        return field_tables([d.fields for d in self.domains])

    @property
    def field_numbers(self) -> dict[str, int]:
        """The number of each field that a tabular domain has, by its name."""
        return self._fields.numbers

    def index(self, name: str) -> int:
        """The index of a domain by name; RecordError when the layout has none of that name."""
        if name not in self._places:
            raise RecordError(
                f"domain {name!r} is unknown to this model, which knows {few(self.names)}; "
                "train with examples of it, or remove them"
            )
        return self._places[name]

    def decode(self, domain: int, outputs: np.ndarray) -> Decoded:
        """Answers and confidences of outputs (n, n_output of that domain); wider rows are allowed."""
        answer = self.domains[domain].answer
        return answer.decode(np.ascontiguousarray(outputs[:, : answer.n_output], np.float32))

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings: fit for JSON and TOML."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Layout":
        """The inverse of `to_dict`; msgspec.ValidationError names the path of a wrong field."""
        return msgspec.convert(plain, cls)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def _scaling(domain: DomainSummary) -> tuple[float, float]:
    """(shift, scale): sequences by their root mean square, pixels from their range to [0, 1]."""
    if domain.input_type == "sequence":
        return 0.0, 0.5 / domain.value_rms if domain.value_rms > 0 else 1.0
    if domain.input_type == "image" and domain.value_high > domain.value_low:
        return domain.value_low, 1.0 / (domain.value_high - domain.value_low)
    return 0.0, 1.0


def domain_needs(
    summary: DatasetSummary,
    embedding_dim: int,
    text_length: int | None = None,
    answer: Mapping[str, str] | None = None,
) -> list[DomainNeeds]:
    """Sizes, codecs and scaling per domain, in the summary's order, so that ranges can be given out.

    answer : the kind of answer of some domains, where it is not to be found out (`choice.choose_answer`)

    text_length : bytes that a text may have; None for the longest of the domain, rounded up to 4, and at most
        MOST_TEXT: longer texts do not fit and are reported
    """
    needs, forced = [], answer or {}
    check_forced(forced, [domain.name for domain in summary.domains])
    for domain in summary.domains:
        n_input = domain.longest_input
        if domain.input_type == "text":
            n_input = (text_length or min(max(_round_up(n_input, 4), 4), MOST_TEXT)) * embedding_dim
        fields = field_codes(domain.fields, domain.n)
        if domain.input_type == "tabular":
            n_input = max(sum(field.n_input for field in fields), 1)
        codec, reason = choose_answer(domain, forced.get(domain.name))
        shift, scale = _scaling(domain)
        sizes = n_input, codec.n_output
        needs.append(DomainNeeds(domain.name, domain.input_type, *sizes, codec, shift, scale, reason, fields))
    return needs


def shared_layout(
    summary: DatasetSummary,
    embedding_dim: int,
    text_length: int | None = None,
    answer: Mapping[str, str] | None = None,
) -> Layout:
    """One input slice per input type, shared by the domains of that type; an output slice per domain.

    Tables share none: the columns of each are its own.

    A shared slice is as wide as its widest domain, and so is each domain's range in it. Sequences end at
    the slice's last node whatever domain they are of.
    """
    needs = domain_needs(summary, embedding_dim, text_length, answer)
    keys = [(need.input_type, need.name if need.input_type == "tabular" else "") for need in needs]
    start, width, free = {}, {}, 0
    for key in sorted(set(keys), key=lambda key: (INPUT_KINDS[key[0]], key[1])):
        width[key] = max(need.n_input for need, own in zip(needs, keys, strict=True) if own == key)
        start[key] = free
        free += width[key]
    domains, output = [], 0
    for need, key in zip(needs, keys, strict=True):
        domains.append(need.at(start[key], output, width[key]))
        output += need.n_output
    return Layout.of(domains, embedding_dim)
