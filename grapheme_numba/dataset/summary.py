"""What a dataset holds, domain by domain: the facts that slices and codecs are made from."""

import msgspec

MOST_LABELS = 256  # distinct answers that are remembered as labels


class DomainSummary(msgspec.Struct, frozen=True):
    """One domain of a dataset.

    name, input_type : str
    n : number of examples
    longest_input : most UTF-8 bytes (text), values (sequence) or pixels (image) of one input
    longest_answer : most UTF-8 bytes of one answer
    labels : the distinct answers, sorted by their bytes; empty when there are more than MOST_LABELS
    numbers : every answer is a canonical decimal number
    decimals : most fraction digits of one answer (numbers only)
    fixed : every answer has exactly `decimals` fraction digits, trailing zeros kept
    largest : largest |answer| * 10**decimals (numbers only)
    value_low, value_high, value_rms : smallest, largest and root mean square of all values or pixels
    """

    name: str
    input_type: str
    n: int
    longest_input: int
    longest_answer: int
    labels: tuple[str, ...] = ()
    numbers: bool = False
    decimals: int = 0
    fixed: bool = False
    largest: int = 0
    value_low: float = 0.0
    value_high: float = 0.0
    value_rms: float = 0.0


class DatasetSummary(msgspec.Struct, frozen=True):
    """All domains of a dataset, sorted by name; `nameless` examples have none and are not among the n."""

    n: int
    domains: tuple[DomainSummary, ...]
    nameless: int = 0

    def domain(self, name: str) -> DomainSummary:
        """The summary of one domain (KeyError when the dataset has none of that name)."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)
