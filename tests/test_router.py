"""The router: kinds of input, confidence, threshold, rejection, many rows at once."""

import json
from pathlib import Path

import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.models.router import CognitiveRouter

SHIPPED = Path(__file__).parent.parent / "data" / "mixed_agi"


@pytest.mark.parametrize(
    ("input", "brain"),
    [
        ("12 + 7", "math"),
        ("3*(4 - 2)", "math"),
        ("What is 12 + 7?", "math"),
        ({"text": "20 - 3"}, "math"),
        ("capital of France?", "text"),
        ("Is 7 prime?", "text"),
        ("où est Zoë?", "text"),
        ([1, 2, 3.5], "timeseries"),
        (np.arange(4), "timeseries"),
        ({"values": [1.0]}, "timeseries"),
        ([[0, 1], [1, 0]], "vision"),
        (np.zeros((8, 8)), "vision"),
        ({"width": 2, "height": 1, "pixels": [0, 1]}, "vision"),
    ],
)
def test_the_brain_of_an_input(input, brain):
    found, confidence, alternatives = CognitiveRouter(0.6).route(input)
    assert found == brain
    assert 0.6 <= confidence <= 1.0
    assert all(name != brain and 0 < other <= confidence for name, other in alternatives)


def test_a_bare_number_is_neither_math_nor_text():
    router = CognitiveRouter(0.6)
    route = router.route("7")
    assert route == (None, 0.5, [("math", 0.5), ("text", 0.5)])
    assert router.rejection(route) == "no brain is sure enough: math 0.50, text 0.50; the threshold is 0.60"
    assert CognitiveRouter(0.5).route("7").brain == "math"


@pytest.mark.parametrize("input", ["", "   ", "?!"])
def test_a_text_without_content_is_rejected(input):
    router = CognitiveRouter(0.1)
    assert router.route(input) == (None, 0.0, [])
    assert "no brain reads this input; the brains are math" in router.rejection(router.route(input))


def test_only_the_brains_there_are():
    router = CognitiveRouter(0.6, {"chat": "text", "vision": "image"})
    assert router.route("12 + 7") == ("chat", 1.0, [])
    assert router.route([1, 2]).brain is None
    assert CognitiveRouter(0.6, {"math": "text"}).route("hello") == ("math", 1.0, [])
    assert CognitiveRouter(0.6, {"left": "image", "right": "image"}).route([[1]]) == (
        None,
        0.5,
        [("left", 0.5), ("right", 0.5)],
    )


def test_generated_examples_go_where_their_domain_says():
    records = list(generate(250, "train", seed=5))
    router = CognitiveRouter(0.6)
    scores = router.scores([record["input"] for record in records])
    best = [router.names[i] for i in scores.argmax(axis=1)]
    agree = np.mean([name == record["domain"] for name, record in zip(best, records, strict=True)])
    assert agree >= 0.99
    one_by_one = [router.route(record["input"]).brain for record in records[:40]]
    assert one_by_one == best[:40]


def test_the_shipped_examples_go_where_their_domain_says():
    lines = [line for path in sorted(SHIPPED.glob("*.jsonl")) for line in path.read_text().splitlines()]
    records = [json.loads(line) for line in lines]
    router = CognitiveRouter(0.6)
    scores = router.scores([record["input"] for record in records])
    sure = scores.max(axis=1) >= 0.6
    right = [router.names[i] == record["domain"] for i, record in zip(scores.argmax(axis=1), records, strict=True)]
    assert len(records) >= 4000
    assert np.mean(sure & right) >= 0.99


def test_texts_in_one_buffer_score_as_one_by_one():
    texts = ["1 + 2", "", "hello", "x = 3", "über 9"]
    encoded = [text.encode() for text in texts]
    router = CognitiveRouter()
    offsets = np.cumsum([0, *map(len, encoded)])
    together = router.text_scores(offsets, np.frombuffer(b"".join(encoded), np.uint8))
    assert together.tolist() == [router.scores([text])[0].tolist() for text in texts]


@pytest.mark.parametrize("input", [3, None, {"sound": 1}, ["a", "b"], [[[1]]], b"12"])
def test_what_is_no_input(input):
    with pytest.raises(gn.RecordError, match="cannot route an input of type"):
        CognitiveRouter().route(input)


def test_bad_routers():
    with pytest.raises(gn.UsageError, match=r"threshold is 1\.5"):
        CognitiveRouter(1.5)
    with pytest.raises(gn.UsageError, match="each of text, sequence, image, tabular"):
        CognitiveRouter(0.5, {"ears": "sound"})
    with pytest.raises(gn.UsageError, match="at least one"):
        CognitiveRouter(0.5, {})
