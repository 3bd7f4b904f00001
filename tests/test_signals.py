"""SIGTERM and Ctrl-C save and stop, SIGUSR1 saves and the run continues, a second signal ends at once.

Random moments by the hundred are in `test_campaigns.py`.
"""

import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from runs import digest, small_data, train

from grapheme_numba.errors import StoppedEarly
from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.signals import StopRequest

ARGUMENTS = ["--hidden", "16", "--fan-in", "8", "--batch-size", "4", "--val-freq", "1", "--save-every", "5"]


def start(*arguments, **variables) -> subprocess.Popen:
    """A `grapheme-train` process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1", **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "grapheme_numba.cli.train", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


def wait_for(run: subprocess.Popen, words: str) -> None:
    """Read what the process prints until a line holds `words`."""
    for line in run.stdout:
        if words in line:
            return
    raise AssertionError(f"{words!r} was never printed: {run.stderr.read()}")


@pytest.mark.long
def test_a_signal_while_compiling_ends_within_five_seconds(tmp_path, data):
    """With an empty cache every kernel has to be compiled first, which takes far longer."""
    run = start(
        "agi", "--data", data, "--output", tmp_path / "run", *ARGUMENTS, NUMBA_CACHE_DIR=str(tmp_path / "cache")
    )
    wait_for(run, "compiling kernels")
    began = time.perf_counter()
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate()
    assert (run.returncode, "Traceback" in said) == (75, False), said
    assert time.perf_counter() - began < 5
    assert not (tmp_path / "run").exists()


def test_sigusr1_saves_and_goes_on(tmp_path, data):
    arguments = [*ARGUMENTS[:-1], "1000000", "--epochs", "100000"]
    run = start("agi", "--data", data, "--output", tmp_path / "run", *arguments, "--log-format", "json")
    wait_for(run, '"kind": "validation"')
    run.send_signal(signal.SIGUSR1)
    wait_for(run, "checkpoint_last")
    wait_for(run, '"kind": "epoch"')
    run.send_signal(signal.SIGTERM)
    run.communicate()
    assert run.returncode == 75


def test_a_second_signal_ends_at_once_and_leaves_the_last_checkpoint(tmp_path, data):
    run = start("agi", "--data", data, "--output", tmp_path / "run", *ARGUMENTS, "--epochs", "100000")
    wait_for(run, "validation  loss")
    for _ in range(20):
        run.send_signal(signal.SIGINT)
    run.communicate()
    assert run.returncode == 75
    assert checkpoints.read(tmp_path / "run" / "checkpoint_last").progress.step > 0


HELD = """
import ctypes
from grapheme_numba.signals import StopRequest
libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(128)
with StopRequest().listening():
    libc.pthread_mutex_lock(mutex)
    print("holding", flush=True)
    libc.pthread_mutex_lock(mutex)
"""


HELD_LATER = """
import ctypes, signal, sys
from grapheme_numba.signals import StopRequest
libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(128)
stop = StopRequest()
sys.setswitchinterval(1e-5)
with stop.listening(), stop.deferred():
    print("listening", flush=True)
    while stop.due() is None:
        signal.pause()
    for _ in range(10**6):  # the thread that waits for signals comes to run too
        pass
    libc.pthread_mutex_lock(mutex)
    print("holding", flush=True)
    libc.pthread_mutex_lock(mutex)
"""


def until(true) -> bool:
    """Whether a condition has come true within 20 seconds."""
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        pass
    return bool(true())


def told(run: subprocess.Popen, key: str) -> str:
    """What the kernel says of a process: its State, the signals it has handlers for (SigCgt)."""
    assert run.poll() is None
    with open(f"/proc/{run.pid}/status") as status:
        return next(line.split()[1] for line in status if line.startswith(f"{key}:"))


def is_caught(run: subprocess.Popen, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    return bool(int(told(run, "SigCgt"), 16) >> (number - 1) & 1)


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_second_sigterm_ends_a_native_call_that_holds_the_interpreter(first):
    """It waits for a lock for ever, and no thread of Python comes to run meanwhile."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen([sys.executable, "-c", HELD], stdout=subprocess.PIPE, text=True, env=variables)
    with run:
        assert run.stdout.readline() == "holding\n"
        while told(run, "State") != "S":  # until it waits
            pass
        assert is_caught(run, signal.SIGTERM)
        for number in dict.fromkeys((first, signal.SIGTERM)):
            run.send_signal(number)
        try:
            assert until(lambda: not is_caught(run, signal.SIGTERM)), "a second SIGTERM would find the handler again"
            run.send_signal(signal.SIGTERM)
            assert run.wait(timeout=20) == -signal.SIGTERM
        finally:
            run.kill()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_second_sigterm_ends_what_holds_the_interpreter_after_the_first_was_handled(first):
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen([sys.executable, "-c", HELD_LATER], stdout=subprocess.PIPE, text=True, env=variables)
    with run:
        assert run.stdout.readline() == "listening\n"
        run.send_signal(first)
        assert run.stdout.readline() == "holding\n"
        try:
            run.send_signal(signal.SIGTERM)
            assert run.wait(timeout=20) == -signal.SIGTERM
        finally:
            run.kill()


def test_a_second_sigterm_is_said_where_the_interpreter_is_free(tmp_path, data):
    run = start("agi", "--data", data, "--output", tmp_path / "run", *ARGUMENTS, "--epochs", "100000")
    wait_for(run, "validation  loss")
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate()
    assert run.returncode == 75
    assert "SIGTERM was received" in said


def test_a_stop_during_validation_comes_back_to_the_validation(tmp_path, data):
    """The rows of an epoch are written once, whether its validation was interrupted or not."""
    train(data, tmp_path / "whole", batch_size=4)
    stop = StopRequest()

    def before(run):
        real = run.val

        class Stopping:
            def __getattr__(self, name):
                return getattr(real, name)

            def batches(self, *arguments, **options):
                for number, batch in enumerate(real.batches(*arguments, **options)):
                    if number == 1 and run.progress.epoch == 1:
                        stop.reason = "SIGTERM was received"
                    yield batch

        run.val = Stopping()

    # one batch of validation is 256 examples: make the data larger than that
    many = small_data(tmp_path / "many", 300)
    train(many, tmp_path / "whole2", batch_size=32)
    with pytest.raises(StoppedEarly, match="stopped at epoch 2, step 20 because SIGTERM was received"):
        train(many, tmp_path / "run", batch_size=32, stop=stop, before=before)
    train(many, tmp_path / "run", resume="auto")
    assert digest(tmp_path / "run") == digest(tmp_path / "whole2")
    lines = [(f / "metrics.jsonl").read_text().count("\n") for f in (tmp_path / "run", tmp_path / "whole2")]
    assert lines == [6, 6]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_predict_and_evaluate_end_with_a_sentence_and_no_half_written_file(tmp_path, data, number):
    train(data, tmp_path / "run", epochs=1)
    folder = tmp_path / "answers"
    folder.mkdir()
    predict = start("predict", tmp_path / "run", "--output", folder / "a.jsonl", "--rejects", folder / "r.jsonl")
    many = small_data(tmp_path / "many", 3) / "test.jsonl"
    many.write_text(many.read_text() * 60_000)  # seconds of work, so that the signal comes before the end
    evaluate = start("evaluate", tmp_path / "run", "--data", many)
    predict.stdin.write('{"id": "a", "input_type": "text", "input": {"text": "1 + 1"}}\n' * 300)
    predict.stdin.flush()
    while len(list(folder.iterdir())) < 2:  # it has begun to answer, and waits for more questions
        time.sleep(0.01)
    wait_for(evaluate, "converting")
    for run in (predict, evaluate):
        run.send_signal(number)
    for run in (predict, evaluate):
        _, said = run.communicate(timeout=60)
        assert (run.returncode, said.count("\n")) == (75, 1), said
        assert said == f"error: stopped because {number.name} was received; run the same command again\n"
    assert not list(folder.iterdir())


def test_inside_the_loop_a_signal_waits_to_be_asked_for():
    stop = StopRequest()
    with stop.listening(), stop.deferred():
        signal.raise_signal(signal.SIGTERM)
        assert stop.due() == "SIGTERM was received"


def test_outside_the_loop_a_signal_raises_where_the_program_stands():
    """And what it interrupts does not take it for an error of its own."""
    stop = StopRequest()

    def interrupted():
        with stop.listening():
            try:
                signal.raise_signal(signal.SIGINT)
            except Exception:
                pytest.fail("taken for an error")

    with pytest.raises(StoppedEarly, match="stopped because SIGINT was received; run the same command again"):
        interrupted()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert "signals" not in [thread.name for thread in threading.enumerate()]


def test_an_error_that_follows_from_an_interruption_is_a_stop():
    """In a callback of C the interruption is dropped, and what was half done fails later."""

    def interrupted():
        with StopRequest().listening():
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGTERM)
            raise RuntimeError("no compiled object yet")

    with pytest.raises(StoppedEarly, match="stopped because SIGTERM was received; run the same command again"):
        interrupted()

    def failed():
        with StopRequest().listening():
            raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        failed()


def test_what_is_half_made_when_a_signal_comes_goes_without_a_word(monkeypatch):
    """Parts of the compiler fail in `__del__` when their `__init__` did not end, and Python prints a traceback."""
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)

    class Half:
        def __init__(self):
            signal.raise_signal(signal.SIGTERM)

        def __del__(self):
            raise AttributeError("half made")

    def interrupted():
        with StopRequest().listening():
            Half()

    with pytest.raises(StoppedEarly) as caught:
        interrupted()
    del caught
    gc.collect()
    assert said == []
    assert sys.unraisablehook == said.append


def test_sigusr1_leaves_a_word():
    stop = StopRequest()
    with stop.listening():
        signal.raise_signal(signal.SIGUSR1)
        assert stop.take_save()
        assert not stop.take_save()


def test_a_time_limit_is_due_when_it_is_over():
    stop = StopRequest()
    stop.limit(1000.0)
    assert stop.due() is None
    stop.limit(0.0)
    assert re.search("--max-time is over", stop.due())
