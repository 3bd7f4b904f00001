"""Which kind of answer a domain has, and why: decided from all answers of the training data, never from a few."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from grapheme_numba.data.codec.answers import (
    HEADROOM,
    LARGEST_NUMBER,
    Answer,
    LabelAnswer,
    NumberAnswer,
    RealAnswer,
    TextAnswer,
    shortened,
)
from grapheme_numba.data.summary import MOST_LABELS, DomainSummary
from grapheme_numba.errors import UsageError

KINDS = ("number", "label", "text")
SHOWN = 3  # rare classes in a sentence
MOST_CLASSES, LEAST_OF_A_CLASS = 20, 20  # whole numbers are classes where they are so few and come so often
NUMERAL = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+|E[+-]\d+)?"
MOST_SPELLINGS = 4  # of each such number
FEWEST_CHAR, MOST_CHAR = 16, 64  # of a text answer's code; longer answers do not fit and are reported
MAGNITUDE, WAVE = 10.0, 0.1  # else the loss is mostly that of sines and cosines that nobody can learn
FINEST = 1e-6  # of the largest deviation: what is left of it when a float32 holds eight times as much
BEYOND = 8.0  # times the largest deviation of the training answers still fits


class Choice(NamedTuple):
    """The codec of a domain's answers, and the sentence that says why it is that one."""

    answer: Answer
    reason: str


def choose_answer(domain: DomainSummary, forced: str | None = None) -> Choice:
    """The codec for a domain's answers.

    In this order: whole numbers of at most 20 distinct values, each seen 20 times or more, are labels (beside
    pictures however often: a number there names what is on them); finite numbers are numbers; at most 1,000
    distinct answers, each seen twice or more, are labels (beside pictures it is enough that a quarter of
    the answers repeat: rare classes should not make all of them texts); else answers are texts.

    forced : one of KINDS, instead of that order

    Raises UsageError where the forced kind cannot be had.
    """
    if forced is not None:
        return _forced(domain, forced)
    numerals, least = domain.numerals, min(domain.label_counts, default=0)
    n_distinct = len(domain.labels)
    all_numbers = numerals.spread.n == domain.n_answer > 0
    if all_numbers and numerals.whole and 0 < n_distinct <= MOST_SPELLINGS * MOST_CLASSES:
        answer, least = _by_value(domain)
        n_distinct, more = len(answer.labels), ", however written" if answer.also else ""
        if n_distinct <= MOST_CLASSES and least >= LEAST_OF_A_CLASS:
            return Choice(answer, f"{n_distinct} whole numbers{more}, each seen {least} times or more")
        if n_distinct <= MOST_CLASSES and domain.input_type == "image":
            return Choice(answer, f"{n_distinct} whole numbers{more} beside pictures")
    if all_numbers:
        return _number(domain)
    if domain.input_type == "image" and 0 < 4 * n_distinct <= 3 * domain.n_answer:
        return Choice(LabelAnswer(domain.labels), f"{n_distinct} distinct answers beside {domain.n_answer} pictures")
    if least >= 2:
        return Choice(LabelAnswer(domain.labels), f"{n_distinct} distinct answers, each seen {_times(least)} or more")
    return Choice(_text(domain), _why_text(domain))


def _by_value(domain: DomainSummary) -> tuple[LabelAnswer, int]:
    """Labels that are all numbers, those of one value as one, written as most often; and the fewest times one comes."""
    groups: dict[Decimal | str, list[tuple[int, str]]] = {}
    for label, count in zip(domain.labels, domain.label_counts, strict=True):
        plain = re.sub(r"[\s,'_\u00a0\u202f]", "", label)
        key = Decimal(plain) if re.fullmatch(NUMERAL, plain) else label  # 5E3 is a code as likely as 5000
        groups.setdefault(key, []).append((count, label))
    chosen = [sorted(group, key=lambda one: (-one[0], one[1].encode())) for group in groups.values()]
    chosen.sort(key=lambda group: group[0][1].encode())
    also = tuple((text, place) for place, group in enumerate(chosen) for _, text in group[1:])
    return LabelAnswer(tuple(group[0][1] for group in chosen), also), min(sum(n for n, _ in group) for group in chosen)


def check_forced(forced: Mapping[str, str], names: Sequence[str]) -> None:
    """Raise UsageError for `--answer` of a domain that is not there, or of no kind."""
    for name, kind in forced.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
            raise UsageError(f"--answer {name}={kind}: no domain is called {name!r}; the nearest name is {near!r}")
        if kind not in KINDS:
            raise UsageError(f"--answer {name}={kind}: an answer is one of {', '.join(KINDS)}")


def _forced(domain: DomainSummary, kind: str) -> Choice:
    reason = f"as --answer {domain.name}={kind} says"
    if kind == "text":
        return Choice(_text(domain), reason)
    if kind == "label":
        if not domain.labels:
            raise UsageError(
                f"--answer {domain.name}=label: its answers have more than {MOST_LABELS} distinct values, and a "
                "label takes one output for each; leave the option out, or choose number or text"
            )
        numbers = domain.numerals.spread.n == domain.n_answer
        return Choice(_by_value(domain)[0] if numbers else LabelAnswer(domain.labels), reason)
    if not domain.numerals.spread.n:
        raise UsageError(
            f"--answer {domain.name}=number: none of its {domain.n_answer} answers is a number "
            f"(the first is {shortened(domain.numerals.other or '')}); choose label or text"
        )
    return Choice(_number(domain).answer, reason)


def _number(domain: DomainSummary) -> Choice:
    """The standardised code where it holds every digit of the data, else the exact one for whole numbers.

    A column of a table has the standardised one in any case: its values depend on the input by chance, and sines
    and cosines of them are mostly noise.
    """
    numerals = domain.numerals
    reason = "all are whole numbers" if numerals.whole else "all are numbers"
    limit = max(math.ceil(domain.largest * HEADROOM), 1)
    real = real_answer(domain)
    exact = domain.numbers and not domain.decimals and limit <= LARGEST_NUMBER and domain.input_type != "tabular"
    if exact and real.decimals < 0:
        return Choice(NumberAnswer(0, limit, magnitude=MAGNITUDE, wave=WAVE), reason)
    return Choice(real, reason)


def real_answer(domain: DomainSummary) -> RealAnswer:
    """The standardised code of a domain's numbers."""
    spread = domain.numerals.spread
    largest = max(spread.high - spread.mean, spread.mean - spread.low)
    if largest == 0:
        largest = max(abs(spread.mean), 1.0)
    decimals = min(domain.numerals.decimals, math.floor(-math.log10(largest * FINEST)))
    return RealAnswer(
        mean=spread.mean,
        std=spread.std or 1.0,
        decimals=decimals,
        reach=BEYOND * largest,
        low=spread.low,
        high=spread.high,
        fixed=domain.fixed and domain.decimals == decimals,
    )


def _text(domain: DomainSummary) -> TextAnswer:
    return TextAnswer(min(max(-(-domain.longest_answer // 8) * 8, FEWEST_CHAR), MOST_CHAR))


def _why_text(domain: DomainSummary) -> str:
    """Why a domain's answers are neither numbers nor labels."""
    numerals = domain.numerals
    if not domain.n_answer:
        return "no example has an answer"
    n_other = domain.n_answer - numerals.spread.n
    if numerals.spread.n:
        head = f"{n_other} of {domain.n_answer} are no numbers, as {shortened(numerals.other or '')}"
    else:
        head = "none is a number"
    if not domain.labels:
        return f"{head}, and more than {MOST_LABELS} are distinct"
    rare = [label for label, n in zip(domain.labels, domain.label_counts, strict=True) if n < 2]
    n_class = len(domain.labels)
    shown = ", ".join(map(shortened, rare[:SHOWN])) + (f" and {len(rare) - SHOWN} more" if len(rare) > SHOWN else "")
    reason = f"{head}, and {len(rare)} of {n_class} distinct ones {'comes' if len(rare) == 1 else 'come'} once: {shown}"
    if 4 * n_class > 3 * domain.n_answer:  # texts of their own rather than classes
        return reason
    return f"{reason}; --answer {domain.name}=label makes a class of each"


def _times(n: int) -> str:
    return "twice" if n == 2 else f"{n} times"
