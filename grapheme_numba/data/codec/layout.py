"""Where each domain enters and leaves the network: input and output ranges, and the answer's codec."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.answers import Answer, Decoded, LabelAnswer, answer_tables
from grapheme_numba.data.codec.calibration import Calibration
from grapheme_numba.data.codec.choice import check_forced, choose_answer
from grapheme_numba.data.codec.inputs import FieldCode, FieldTables, field_codes, field_tables, text_scaling
from grapheme_numba.data.records import INPUT_KINDS
from grapheme_numba.data.summary import DatasetSummary, DomainSummary
from grapheme_numba.errors import RecordError, few
from grapheme_numba.kernels.codec.tables import Answers, Inputs
from grapheme_numba.kernels.codec.text_tokens import NUMBER
from grapheme_numba.kernels.engine.embedding import Slots

VOCAB_SIZE = 257  # a token is a byte + 1; 0 is padding
MOST_TEXT = 1024  # tokens of a text's slice, unless asked for
SEQUENCE_SCALE = 8.0  # of values over their root mean square; those of 0.5 are small beside other inputs
BUCKETS = 4096  # of words and pairs of words
BAG = 1  # embedding rows of a bucket; with 2,048 buckets of 2 rows two-class reviews were right 66.8 % instead of 69.0


class DomainLayout(msgspec.Struct, frozen=True):
    """One domain's ranges. A value or pixel v enters as `(v - shift) * scale`; the columns of a table as `fields` say.

    n_token : tokens of a text; its numbers enter as values do, beyond `knee` by their logarithm. 0 is the code of
        layouts of old: every byte is a token, of a number too
    n_bag : embedding rows of a bucket of words, which enter after the tokens; n_word : words and pairs of words that a
        text may have
    spelled : whether the text enters token by token; else its words only
    calibration : of the confidences, found on validation examples
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
    n_token: int = 0
    n_bag: int = 0
    n_word: int = 0
    spelled: bool = True
    knee: float = 0.0
    calibration: Calibration | None = None

    @property
    def by_tokens(self) -> bool:
        """Whether its texts enter as tokens and words; in layouts of old each byte does."""
        return self.n_token > 0 or self.n_bag > 0


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
    n_token: int = 0
    n_bag: int = 0
    n_word: int = 0
    spelled: bool = True
    knee: float = 0.0

    def at(
        self, input_start: int, output_start: int, n_input: int | None = None, n_token: int | None = None
    ) -> DomainLayout:
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
            self.n_token if n_token is None else n_token,
            self.n_bag,
            self.n_word,
            self.spelled,
            self.knee,
        )


class Layout(msgspec.Struct, frozen=True, dict=True):
    """All domains of a model. Domain d of a batch is `domains[d]`.

    text_length : columns of `Batch.tokens`, the tokens and words of the longest text
    value_width : columns of `Batch.values`, the widest numeric slice, or tokens of the longest text
    """

    domains: tuple[DomainLayout, ...]
    text_length: int
    embedding_dim: int
    value_width: int
    vocab_size: int = VOCAB_SIZE
    n_bucket: int = 0

    @classmethod
    def of(cls, domains: Sequence[DomainLayout], embedding_dim: int) -> "Layout":
        """The layout of these placed domains; the widths of a batch follow from them."""
        texts = [d for d in domains if d.input_type == "text"]
        n_column = [(d.n_token if d.by_tokens else d.n_input // embedding_dim) + d.n_word for d in texts]
        values = [d.n_token if d.input_type == "text" else d.n_input for d in domains]
        vocab_size, n_bag = VOCAB_SIZE, max((d.n_bag for d in texts), default=0)
        if any(d.by_tokens for d in texts):
            vocab_size = NUMBER + 1 + BUCKETS * n_bag
        widths = max(n_column, default=0), embedding_dim, max(values, default=0)
        return cls(tuple(domains), *widths, vocab_size, BUCKETS if n_bag else 0)

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
        texts = np.array([d.input_type == "text" for d in self.domains])
        return Inputs(
            kind=self.input_kind,
            length=np.where(texts, self.slots.n_token, self.input_size),
            shift=np.array([d.shift for d in self.domains]),
            scale=np.array([d.scale for d in self.domains]),
            valued=np.array([d.by_tokens for d in self.domains]),
            knee=np.array([d.knee for d in self.domains]),
            n_bag=self.slots.n_bag,
            n_word=self._column("n_word"),
            spelled=np.array([d.spelled for d in self.domains]),
            n_bucket=self.n_bucket,
            fields=self._fields.fields,
        )

    @cached_property
    def slots(self) -> Slots:
        """Where examples enter, as kernels read it."""
        n_token = [d.n_token or (0 if d.n_bag else d.n_input // self.embedding_dim) for d in self.domains]
        columns = self.input_kind, self.input_start, self.input_size
        return Slots(*columns, np.array(n_token, np.int32), self._column("n_bag"))

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
        answer, calibration = self.domains[domain].answer, self.domains[domain].calibration
        own = np.ascontiguousarray(outputs[:, : answer.n_output], np.float32)
        decoded = answer.decode(own)
        if calibration is None:
            return decoded
        return Decoded(decoded.answers, calibration.of(answer.score(own)).astype(np.float32))

    def calibrated(
        self, calibrations: Sequence[Calibration | None], variances: Sequence[tuple[float, ...]]
    ) -> "Layout":
        """This layout with what validation examples say of each domain: how sure it is, and how far its code is off."""
        domains = []
        for domain, calibration, own in zip(self.domains, calibrations, variances, strict=True):
            answer = msgspec.structs.replace(domain.answer, variances=own) if own else domain.answer
            domains.append(msgspec.structs.replace(domain, answer=answer, calibration=calibration))
        return msgspec.structs.replace(self, domains=tuple(domains))

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
        return 0.0, SEQUENCE_SCALE / domain.value_rms if domain.value_rms > 0 else 1.0
    if domain.input_type == "image" and domain.value_high > domain.value_low:
        return domain.value_low, 1.0 / (domain.value_high - domain.value_low)
    return 0.0, 1.0


def text_needs(domain: DomainSummary, codec: Answer, text_length: int | None) -> dict[str, Any]:
    """How the texts of a domain enter: token by token, by their words, or both.

    Texts that have words and are answered with labels enter by their words alone. Places of letters are what a network
    learns by heart: with both, 62 % of two-class reviews were right instead of 67, and 94 % of questions in wordings
    that were not trained on instead of 100 (validation examples, one seed).
    """
    text = domain.text
    spelled = not (text.n_word and isinstance(codec, LabelAnswer))
    n_token = text_length or min(max(_round_up(text.longest, 4), 4), MOST_TEXT)
    n_word = min(max(2 * text.n_gram, 32), 2 * MOST_TEXT) if text.n_word else 0
    return {
        "n_token": n_token if spelled else 0,
        "n_bag": BAG if text.n_word else 0,
        "n_word": n_word,
        "spelled": spelled,
    }


def domain_needs(
    summary: DatasetSummary,
    embedding_dim: int,
    text_length: int | None = None,
    answer: Mapping[str, str] | None = None,
) -> list[DomainNeeds]:
    """Sizes, codecs and scaling per domain, in the summary's order, so that ranges can be given out.

    answer : the kind of answer of some domains, where it is not to be found out (`choice.choose_answer`)

    text_length : tokens that a text may have; None for the longest of the domain, rounded up to 4, and at most
        MOST_TEXT: longer texts do not fit and are reported
    """
    needs, forced = [], answer or {}
    check_forced(forced, [domain.name for domain in summary.domains])
    for domain in summary.domains:
        n_input, shift, scale = domain.longest_input, *_scaling(domain)
        codec, reason = choose_answer(domain, forced.get(domain.name))
        text: dict[str, Any] = {}
        if domain.input_type == "text":
            shift, scale, knee = text_scaling(domain.text)
            text = {**text_needs(domain, codec, text_length), "knee": knee}
            n_input = (text["n_token"] + text["n_bag"]) * embedding_dim
        fields = field_codes(domain.fields, domain.n)
        if domain.input_type == "tabular":
            n_input = max(sum(field.n_input for field in fields), 1)
        names, sizes = (domain.name, domain.input_type), (n_input, codec.n_output)
        needs.append(DomainNeeds(*names, *sizes, codec, shift, scale, reason, fields, **text))
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
    start, width, n_token, free = {}, {}, {}, 0
    for key in sorted(set(keys), key=lambda key: (INPUT_KINDS[key[0]], key[1])):
        group = [need for need, own in zip(needs, keys, strict=True) if own == key]
        n_token[key] = max(need.n_token for need in group)
        words = max(need.n_bag for need in group) * embedding_dim
        width[key] = n_token[key] * embedding_dim + words if n_token[key] else max(need.n_input for need in group)
        start[key] = free
        free += width[key]
    domains, output = [], 0
    for need, key in zip(needs, keys, strict=True):
        domains.append(need.at(start[key], output, width[key], n_token[key]))
        output += need.n_output
    return Layout.of(domains, embedding_dim)
