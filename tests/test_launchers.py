"""The launchers in bin/: a ready clone starts without an installation, a changed one installs, an old Python is named.

The clone here is a copy with a stand-in for `.venv`, so nothing is downloaded.
"""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAUNCHERS = ["grapheme-train", "grapheme-data", "grapheme-bench", "test", "check"]


@pytest.fixture
def clone(tmp_path):
    """A clone in a folder with a space, whose .venv holds scripts that say how they were called."""
    root = tmp_path / "a clone"
    root.mkdir()
    shutil.copytree(ROOT / "bin", root / "bin")
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    (root / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "grapheme-train"):
        script(root / ".venv" / "bin" / name, f'echo {name} "$#" "$@"')
    return root


def script(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def stamped(root, extra="commands"):
    """Mark the stand-in as installed, as install.py would."""
    text = f"{root}\n{(root / 'setup.cfg').read_text()}{(root / 'pyproject.toml').read_text()}"
    (root / ".venv" / f"installed-{extra}").write_text(text.rstrip("\n"))


def call(path, *arguments, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run([str(path), *arguments], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_are_executable_shell(name):
    path = ROOT / "bin" / name
    assert path.stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["sh", "-n", str(path)], capture_output=True).returncode == 0


def test_a_ready_clone_starts_at_once(clone):
    stamped(clone)
    done = call(clone / "bin" / "grapheme-train", "agi", "--set", "a b=*")
    assert (done.returncode, done.stdout, done.stderr) == (0, "grapheme-train 3 agi --set a b=*\n", "")


def test_a_link_from_elsewhere_finds_its_clone(clone, tmp_path):
    stamped(clone)
    (tmp_path / "gt").symlink_to(clone / "bin" / "grapheme-train")
    assert call(tmp_path / "gt", "agi").stdout == "grapheme-train 1 agi\n"


def test_the_tests_want_their_own_stamp(clone):
    stamped(clone)
    stamped(clone, "test")
    assert call(clone / "bin" / "test").stdout.startswith("python 9 -m pytest -p no:benchmark -n 2")
    assert call(clone / "bin" / "test", "-k", "cycle").stdout == "python 6 -m pytest -p no:benchmark -k cycle\n"


@pytest.mark.parametrize("change", ["never installed", "setup.cfg changed", "folder moved"])
def test_what_is_not_ready_is_installed(clone, change, tmp_path):
    """Installation is handed to install.py with the clone's path; here a stand-in for Python says so."""
    if change != "never installed":
        stamped(clone)
    if change == "setup.cfg changed":
        with (clone / "setup.cfg").open("a") as file:
            file.write("# changed\n")
    if change == "folder moved":
        clone = clone.rename(tmp_path / "moved")
    script(tmp_path / "python", 'case "$1" in -c) exit 0 ;; *) echo "installer $*"; exit 3 ;; esac')
    done = call(clone / "bin" / "grapheme-train", "agi", PYTHON=str(tmp_path / "python"))
    assert (done.returncode, done.stdout) == (3, f"installer {clone}/bin/install.py {clone} \n")


def test_an_old_python_is_named(clone, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "readlink", "cat"):
        (tools / tool).symlink_to(shutil.which(tool))
    script(tools / "python3", 'case "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    done = call(clone / "bin" / "grapheme-train", PATH=str(tools))
    assert done.returncode == 70
    assert "error: Python 3.11 or newer is needed, but here is only: Python 3.9.2; install one" in done.stderr


@pytest.mark.long
def test_an_installation_that_fails_says_so_and_leaves_no_stamp(clone):
    """An index that cannot be reached: pip's words, one sentence of ours, exit 70, and the next start tries again."""
    shutil.rmtree(clone / ".venv")
    nowhere = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    nowhere |= {"PIP_NO_CACHE_DIR": "1", "PIP_FIND_LINKS": "", "PYTHON": sys.executable}
    done = call(clone / "bin" / "grapheme-train", **nowhere)
    assert done.returncode == 70
    assert "grapheme: installing . into" in done.stderr
    assert "error: pip failed (exit 1, its words are above); once the package index answers, run again" in done.stderr
    assert not list((clone / ".venv").glob("installed-*"))


def test_check_refuses_what_it_does_not_know(clone):
    stamped(clone, "test")
    done = call(clone / "bin" / "check", "--lonk")
    assert (done.returncode, done.stderr) == (
        2,
        "error: bin/check takes only --long, got: --lonk; to run chosen tests use bin/test\n",
    )
