"""One SHA-256 for a run on every class of processor: kernels compiled for x86-64 without fused multiply-adds, for AVX2
and for the machine at hand, beside a C library, a NumPy and a BLAS that believe the same."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ranks import MPIEXEC, command, environment

from grapheme_numba.bench import selftest

ROOT = Path(__file__).parents[1]
WIDE = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
CLASSES = {
    "this machine": {},
    "AVX2": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+popcnt,+movbe",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F",
        "NPY_DISABLE_CPU_FEATURES": WIDE,
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "x86-64 without FMA": {
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": "",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
        "NPY_DISABLE_CPU_FEATURES": f"{WIDE} FMA3 AVX2 F16C AVX",
        "OPENBLAS_CORETYPE": "Prescott",
    },
}
SMALL = {"epochs": 2, "hidden": (24, 24), "fan_in": 8, "val_freq": 1}
TABLE = {"data": str(ROOT / "data/penguins.csv"), "split": "0.8,0.1,0.1"}
RUNS = {
    "agi": ("agi", {}),
    "unified": ("unified", {}),
    "unified, a step per batch": ("unified", {"accumulate": "batch", "structural_weight": "sqrt"}),
    "labels of a table": ("agi", {**TABLE, "target": "species", "lr_schedule": "cosine"}),
    "numbers of a table": ("agi", {**TABLE, "target": "body_mass_g", "lr_schedule": "step", "activation": "selu"}),
    "sgd": ("agi", {"optimizer": "sgd", "lr": 0.01, "activation": "gelu"}),
    "momentum": ("agi", {"optimizer": "momentum", "lr": 0.01, "activation": "tanh"}),
    "adam": ("agi", {"optimizer": "adam", "activation": "sin", "warmup_steps": 5}),
    "adamw": ("unified", {"optimizer": "adamw", "lr": 0.001, "activation": "silu"}),
    "drop and grow": ("agi", {"evolve": "rigl", "evolve_every": 5, "activation": "elu"}),
    "pruned": ("agi", {"prune_to": 0.3, "clip_grad_norm": 0.1, "activation": "softplus"}),
    "a batch in parts": ("agi", {"gradient_shards": 2, "activation": "gaussian"}),
}
CHILD = """
import contextlib, hashlib, json, sys
import grapheme_numba as gn
from grapheme_numba.bench import selftest
runs, folder = json.loads(sys.argv[1]), sys.argv[2]
digests = {"self-test": selftest.trained_digest()}
for name, (trainer, options) in runs.items():
    with contextlib.suppress(gn.StoppedEarly):  # at max_steps
        gn.train(trainer, output=f"{folder}/{name}", **options)
    with open(f"{folder}/{name}/checkpoint_last/model.safetensors", "rb") as file:
        digests[name] = hashlib.sha256(file.read()).hexdigest()
print(json.dumps(digests))
"""


def digests(kind: str, runs: dict, folder: Path) -> dict[str, str]:
    """SHA-256 of the last checkpoint of each run, made by a process that takes itself for another processor."""
    command = [sys.executable, "-c", CHILD, json.dumps(runs), str(folder)]
    done = subprocess.run(command, env={**os.environ, **CLASSES[kind]}, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.long
def test_whole_runs_have_the_same_bits_on_every_processor(tmp_path, figure):
    runs = {name: (trainer, {**SMALL, **options}) for name, (trainer, options) in RUNS.items()}
    found = {kind: digests(kind, runs, tmp_path / kind) for kind in CLASSES}
    same = [name for name in found["this machine"] if len({each[name] for each in found.values()}) == 1]
    figure("runs with one SHA-256 on three classes of processor", f"{len(same)} of {len(runs) + 1}")
    assert same == ["self-test", *runs]


@pytest.mark.long
def test_a_run_resumed_on_another_processor_has_the_same_bits(tmp_path):
    options = {**SMALL, "epochs": 4}
    whole = digests("this machine", {"whole": ("agi", options)}, tmp_path)["whole"]
    digests("x86-64 without FMA", {"cut": ("agi", {**options, "max_steps": 70})}, tmp_path)
    assert digests("AVX2", {"cut": ("agi", {**options, "resume": "auto"})}, tmp_path)["cut"] == whole


def test_the_digest_of_the_documentation_is_the_one_that_doctor_expects():
    assert selftest.DIGEST in (ROOT / "docs/reliability.md").read_text()


def test_a_machine_with_other_bits_is_found(monkeypatch):
    monkeypatch.setattr(selftest, "trained_digest", lambda: hashlib.sha256(b"other").hexdigest())
    threads, processor = selftest.bits()
    assert threads.passed
    assert not processor.passed


@pytest.mark.long
def test_ranks_on_different_processors_give_the_bits_of_one(tmp_path):
    """Rank 0 as on this machine, rank 1 as on one without fused multiply-adds."""
    options = ("--epochs", 2, "--hidden", "24,24", "--fan-in", 8, "--gradient-shards", 2, "--threads", 1)
    found = []
    for kinds in (("this machine",), ("this machine", "x86-64 without FMA")):
        words = [] if len(kinds) == 1 else [str(MPIEXEC)]
        for number, kind in enumerate(kinds):
            words += [":"] * (number > 0) + (["-n", "1"] if words else [])
            words += ["env", *(f"{name}={value}" for name, value in CLASSES[kind].items())]
            words += command(1, "agi", "--output", tmp_path / str(len(kinds)), *options)
        done = subprocess.run(words, env=environment(), capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        found.append((tmp_path / str(len(kinds)) / "checkpoint_last" / "model.safetensors").read_bytes())
    assert found[0] == found[1]
