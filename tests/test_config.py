"""Config: every value checked, every error names key, origin and remedy, and config.toml comes back whole."""

import numpy as np
import pytest
from mutants import mutants
from runs import cli

from grapheme_numba.errors import GraphemeError, MissingInputError, UsageError
from grapheme_numba.training import config as configs
from grapheme_numba.training.config import MOST_BYTES, Config, parse_setting, read_config, to_toml
from grapheme_numba.training.run import with_decay


def test_later_layers_win():
    built = configs.build(("file", {"epochs": 3, "lr": 0.1}), ("--set", {"epochs": 4}), ("flags", {"epochs": 5}))
    assert (built.epochs, built.lr, built.seed) == (5, 0.1, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epohcs": 3}, r"unknown key 'epohcs' in the file; the nearest known key is 'epochs'"),
        ({"batch-sze": 3}, r"nearest known key is 'batch_size'"),
        ({"epochs": "many"}, r"epochs in the file: Expected `int`, got `str`, got 'many'"),
        ({"epochs": 0}, r"epochs in the file: Expected `int` >= 1"),
        ({"lr": float("nan")}, r"lr in the file: "),
        ({"lr": float("inf")}, r"lr in the file: wants a finite number, got inf"),
        ({"optimizer": "adm"}, r"optimizer in the file: wants one of sgd, momentum, adam, adamw, got 'adm'"),
        ({"hidden": []}, r"hidden in the file: wants at least one width"),
        ({"hidden": [4, 0]}, r"hidden in the file: Expected `int` >= 1"),
        ({"hidden": [4, 4], "depth": 2}, r"depth = 2 wants one hidden width, got"),
        ({"accumulate": "never"}, r"accumulate wants batch, epoch or a number of examples above 0, got 'never'"),
        ({"accumulate": "0"}, r"accumulate wants"),
        ({"brain": {"math": [3]}}, r"brain in the file: Expected `array` of length 2"),
        ({"route": "yes"}, r"route in the file: Expected `bool`"),
    ],
)
def test_a_bad_value_is_named_with_its_origin(values, message):
    with pytest.raises(UsageError, match=message):
        configs.build(("the file", values))


@pytest.mark.parametrize(
    ("key", "bad", "good"),
    [("epochs", "three", 1), ("lr", float("nan"), 0.1), ("hidden", [], [4]), ("accumulate", "never", "batch")],
)
def test_a_bad_value_is_refused_also_where_a_later_one_takes_its_place(key, bad, good):
    with pytest.raises(UsageError, match=f"{key} .*got"):
        configs.build(("the file", {key: bad}), ("the flags", {key: good}))


@pytest.mark.parametrize(("text", "expected"), [("batch", 1), ("epoch", None), ("500", 500)])
def test_accumulate_says_how_many_examples_make_a_step(text, expected):
    assert configs.accumulate_every(Config(accumulate=text)) == expected


def test_depth_repeats_one_width():
    assert configs.hidden_widths(Config(hidden=(7,), depth=3)) == (7, 7, 7)


def test_differences_leave_out_what_cannot_alter_results():
    assert configs.differences(Config(), Config(threads=2, max_steps=5, keep_last=9, output="x")) == []
    assert configs.differences(Config(), Config(lr=0.5)) == ["lr: 0.003 -> 0.5"]


def written(tmp_path, config):
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config, "agi"))
    return path


EVERYTHING = Config(
    data='a "quoted" \\ path\n', output="out", hidden=(3, 4), brain={"a b": (1, 2)}, max_time=1.5, warmup_steps=0
)


@pytest.mark.parametrize("config", [Config(), EVERYTHING])
def test_config_toml_comes_back_equal(tmp_path, config):
    values = read_config(written(tmp_path, config))
    assert configs.build(("file", values)) == config


def test_config_toml_names_every_key_with_its_meaning(tmp_path):
    text = written(tmp_path, Config()).read_text()
    for key in configs.KEYS:
        assert key in text
    assert "# Passes over the training data." in text


def test_the_old_name_of_a_key_is_refused_with_the_new_one(tmp_path):
    with pytest.raises(
        UsageError, match=r"the key 'shards' in --set is now called 'gradient_shards'; use the new name"
    ):
        configs.build(("--set", {"shards": 2}))
    path = tmp_path / "config.toml"
    path.write_text("shards = 2")
    result = cli("agi", "--config", path)
    assert (result.exit_code, "is now called 'gradient_shards'" in result.stderr) == (2, True)
    result = cli("agi", "--shards", "2")
    assert (result.exit_code, "--shards is now called --gradient-shards" in result.stderr) == (2, True)
    assert "--shards" not in cli("agi", "--help").stdout.replace("--gradient-shards", "")


def test_unreadable_configs_are_refused(tmp_path):
    path = tmp_path / "c.toml"
    with pytest.raises(MissingInputError, match=r"cannot read the config .*; check the path"):
        read_config(path)
    path.write_bytes(b"epochs = \xff")
    with pytest.raises(UsageError, match="is not TOML"):
        read_config(path)
    path.write_text("epochs 3")
    with pytest.raises(UsageError, match=r"is not TOML: .*correct the line"):
        read_config(path)
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match="larger than"):
        read_config(path)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("epochs=3", ("epochs", 3)),
        ("lr=1e-3", ("lr", 0.001)),
        ("optimizer=sgd", ("optimizer", "sgd")),
        ("hidden=[3, 4]", ("hidden", [3, 4])),
        ("data=a=b", ("data", "a=b")),
    ],
)
def test_set_takes_toml_values_and_plain_words(setting, expected):
    assert parse_setting(setting) == expected


@pytest.mark.parametrize("setting", ["epochs", "=3"])
def test_set_without_key_or_value_is_refused(setting):
    with pytest.raises(UsageError, match="--set wants key=value"):
        parse_setting(setting)


def check_config_mutants(tmp_path, n: int) -> tuple[int, int]:
    """(mutants, refused); whatever is not refused is a whole, valid config, which comes back from a file of its own."""
    whole = to_toml(Config(), "agi").encode()
    path = tmp_path / "c.toml"
    n_mutant = refused = 0
    for changed in mutants(whole, n, 11):
        path.write_bytes(changed)
        n_mutant += 1
        try:
            config = configs.build(("file", read_config(path)))
        except GraphemeError:
            refused += 1
            continue
        assert configs.build(("file", read_config(written(tmp_path, config)))) == config
    return n_mutant, refused


def test_a_mutant_of_a_config_is_refused_or_valid(tmp_path):
    n_mutant, refused = check_config_mutants(tmp_path, 300)
    assert 0 < refused < n_mutant


@pytest.mark.long
def test_three_thousand_mutants_of_a_config(tmp_path, figure):
    n_mutant, refused = check_config_mutants(tmp_path, 3000)
    figure("damaged config.toml", f"{refused} of {n_mutant} refused, {n_mutant - refused} valid, no crash")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"optimizer": "adamw"}, 9.0 / 10),
        ({"optimizer": "adamw", "weight_decay": 0.5}, 0.5),
        ({"optimizer": "adamw", "weight_decay": 0.0}, 0.0),
        ({"optimizer": "adam"}, 0.0),
    ],
)
def test_a_decay_that_nobody_gave_falls_with_the_root_of_the_steps(values, wanted):
    config = configs.build(("the test", values))
    assert with_decay(config, 9.0, 100).weight_decay == pytest.approx(wanted)
    assert with_decay(config, 9.0, 400).weight_decay == pytest.approx(wanted / 2 if wanted == 0.9 else wanted)


def test_values_of_python_are_taken_as_toml_would_hold_them(tmp_path):
    given = {
        "hidden": 8, "input": "a,b", "seed": np.int64(3), "lr": np.float32(0.5), "split": (0.8, 0.2), "accumulate": 5,
        "graph": tmp_path / "g.csv",
    }  # fmt: skip
    found = configs.build(("gn.train", given))
    assert (found.hidden, found.input, found.seed, found.lr) == ((8,), ("a,b",), 3, 0.5)
    assert (found.split, found.accumulate, found.graph) == ("0.8,0.2", "5", str(tmp_path / "g.csv"))
    assert configs.build(("--set", {"hidden": "64, 32"})).hidden == (64, 32)
    for wrong in (
        {"hidden": "a,b"},
        {"hidden": 0},
        {"hidden": True},
        {"seed": np.ones(2)},
        {"target": 2},
        {"hidden": ""},
    ):
        with pytest.raises(UsageError, match=f"{next(iter(wrong))} in gn.train: "):
            configs.build(("gn.train", wrong))
    with pytest.raises(UsageError, match="no Unicode"):
        configs.build(("gn.train", {"epochs": "a\ud800"}))
