"""`--input-noise`: which numbers move, how far, and that nothing but seed, epoch, row and column decides it."""

import csv
import json
import random

import numpy as np
import pytest
from runs import digest

import grapheme_numba as gn
from grapheme_numba.training.input_noise import InputNoise

MASK = (1 << 64) - 1


def split_mix(counter):
    """One step of SplitMix64's finaliser, on Python's own whole numbers."""
    bits = counter & MASK
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & MASK
    return bits ^ (bits >> 31)


def share_of(seed, epoch, row, column):
    stride = 0x9E3779B97F4A7C15
    key = split_mix(seed + stride * (epoch + 1))
    bits = split_mix(split_mix(key + stride * row) + stride * (column + 1))
    return ((bits >> 40) - (1 << 23)) / (1 << 23)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A dataset with a text, series of several lengths, pictures and a table, and a run on it."""
    folder = tmp_path_factory.mktemp("noise")
    rows, generator = [], random.Random(0)
    for i in range(60):
        values = [generator.randint(-9, 9) for _ in range(3 + i % 3)]
        pixels = [generator.randint(0, 4) / 4 for _ in range(4)]
        fields = {"size": generator.gauss(50, 9), "town": "ab"[i % 2], "age": None if i % 5 == 0 else i}
        for name, kind, given in (
            ("sum", "text", {"text": f"{i} + 1"}),
            ("series", "sequence", {"values": values}),
            ("picture", "image", {"width": 2, "height": 2, "pixels": pixels}),
            ("homes", "tabular", {"fields": fields}),
        ):
            rows.append({
                "id": f"{name}-{i}", "domain": name, "input_type": kind, "input": given,
                "expected_output": str(i % 4), "metadata": {},
            })  # fmt: skip
    data = folder / "data.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    run = gn.train("agi", data=str(data), output=str(folder / "run"), epochs=1, hidden=[8], split="none")
    return data, gn.load(str(run.folder)).layout


def batches(mixed, size, seed=0):
    data, layout = mixed
    return list(gn.open_dataset(str(data)).batches(layout, size, seed=seed))


def by_row(parts):
    return {int(row): values for part in parts for row, values in zip(part.rows, part.values, strict=True)}


def test_numbers_move_as_the_generator_says_and_nothing_else_moves(mixed):
    noise = InputNoise(mixed[1], 0.1, 7)
    names = mixed[1].names
    homes = next(domain for domain in mixed[1].domains if domain.name == "homes")
    spread = {"sum": 0.0, "series": 0.8, "picture": 0.1}
    for part in batches(mixed, 16):
        moved = noise(part, 3)
        for one, row in enumerate(part.rows):
            name = names[part.domain[one]]
            inputs = [label for field in homes.fields for label in field.inputs] if name == "homes" else []
            for column, before in enumerate(part.values[one]):
                if name == "homes":
                    width = 0.1 if inputs[column : column + 1] in (["size"], ["age"]) else 0.0
                else:
                    width = spread[name]
                share = share_of(7, 3, int(row), column) if before else 0.0
                assert moved.values[one, column] == pytest.approx(before + width * share, abs=1e-6)
        for other, kept in zip(moved._replace(values=part.values), part, strict=True):
            assert other is kept


def test_batches_and_their_order_change_nothing_and_each_epoch_is_another(mixed):
    noise = InputNoise(mixed[1], 0.1, 7)
    whole, cut = (
        by_row(noise(part, 3) for part in batches(mixed, 240)),
        by_row(noise(part, 3) for part in batches(mixed, 7, seed=5)),
    )
    assert whole.keys() == cut.keys()
    assert all(np.array_equal(whole[row], cut[row]) for row in whole)
    other, plain = by_row(noise(part, 4) for part in batches(mixed, 240)), by_row(batches(mixed, 240))
    assert any(not np.array_equal(other[row], whole[row]) for row in whole)
    assert any(not np.array_equal(plain[row], whole[row]) for row in whole)


def test_it_is_uniform(mixed):
    layout = mixed[1]
    noise = InputNoise(layout, 1.0, 0)
    part = batches(mixed, 240)[0]
    part = part._replace(
        domain=np.full(5000, layout.index("picture"), np.int32),
        values=np.ones((5000, layout.value_width), np.float32),
        rows=np.arange(5000),
    )
    shares = noise(part, 0).values[:, :4].ravel() - 1
    assert abs(shares).max() <= 1
    np.testing.assert_allclose(np.histogram(shares, 10, (-1, 1))[0] / shares.size, 0.1, atol=0.01)
    assert abs(np.corrcoef(noise(part, 0).values[:, :4], rowvar=False) - np.eye(4)).max() < 0.05


def test_a_run_resumes_to_the_same_bits_which_are_not_those_without_noise(tmp_path):
    table = tmp_path / "rows.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "y"])
        generator = random.Random(1)
        writer.writerows([a, b, a - b] for a, b in ((generator.random(), generator.random()) for _ in range(200)))
    common = {"data": str(table), "target": "y", "epochs": 4, "hidden": [8], "input_noise": 0.2}
    whole = gn.train("agi", output=str(tmp_path / "whole"), **common)
    with pytest.raises(gn.StoppedEarly):
        gn.train("agi", output=str(tmp_path / "cut"), max_steps=5, **common)
    cut = gn.train("agi", output=str(tmp_path / "cut"), resume="auto")
    plain = gn.train("agi", output=str(tmp_path / "plain"), **{**common, "input_noise": 0.0})
    bits = [digest(run.folder) for run in (whole, cut, plain)]
    assert bits[0] == bits[1] != bits[2]
