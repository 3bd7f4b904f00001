"""`grapheme-train agi --external DIR`: published files join a real run, and stay as they are to the byte."""

import hashlib
import json

from click.testing import CliRunner
from runs import small_data

from grapheme_numba.cli.train import main


def traces(folder):
    """Digest, size and time of change of every file of a folder."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_size,
            path.stat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_with_external_files_leaves_them_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    small_data(tmp_path / "data")
    mine = tmp_path / "mine"
    (mine / "math").mkdir(parents=True)
    gsm = [{"question": f"Ann has {i} apples. How many?", "answer": f"{i}\n#### {i}"} for i in range(20)]
    (mine / "gsm.jsonl").write_text("".join(json.dumps(one) + "\n" for one in gsm))
    for i in range(6):
        problem = {"problem": f"What is ${i}+1$?", "solution": rf"$\boxed{{{i + 1}}}$", "level": "1", "type": "Algebra"}
        (mine / "math" / f"{i}.json").write_text(json.dumps(problem))
    before = traces(mine)
    run = ["--data", tmp_path / "data", "--output", tmp_path / "run", "--external", mine, "--max-external", 5]
    small = ["--hidden", "16", "--fan-in", 8, "--epochs", 1, "--log-format", "plain"]
    done = CliRunner().invoke(main, ["agi", *map(str, [*run, *small])])
    assert done.exit_code == 0, done.output
    assert f"imported 5 gsm8k examples from {mine}" in done.output
    assert f"imported 5 math examples from {mine}" in done.output
    assert traces(mine) == before
    epoch = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert (epoch["domains"]["gsm8k"]["n"], epoch["domains"]["competition_math"]["n"]) == (5, 5)
