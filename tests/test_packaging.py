"""What a user installs: wheel and source archive, in an empty environment outside of the clone, trained there."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def interpreter(name):
    """The path of an interpreter that starts, or None; a shim of pyenv may stand for one it was not told to use."""
    path = shutil.which(name)
    if path is None or subprocess.run([path, "--version"], capture_output=True).returncode == 0:
        return path
    versions = (Path(path).parent.parent / "versions").glob(f"{name.removeprefix('python')}*/bin/{name}")
    return next(map(str, sorted(versions, reverse=True)), None)


PYTHONS = {
    name: path for name in ("python3.11", "python3.12", "python3.13", "python3.14") if (path := interpreter(name))
} or {f"python3.{sys.version_info.minor}": sys.executable}


def run(*command, cwd, **variables):
    """A finished process with its output as text; nothing of this clone is importable in it."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "NUMBA_CACHE_DIR")}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment | variables, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """(wheel, source archive), built from the files that git tracks."""
    folder = tmp_path_factory.mktemp("built")
    tracked = run("git", "ls-files", "-z", cwd=ROOT).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    built = run(sys.executable, "-m", "build", "--outdir", folder, folder / "source", cwd=folder)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.mark.long
def test_the_archives_hold_the_package_and_nothing_else(archives):
    wheel, source = archives
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "grapheme_numba").rglob("*.py")}
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    assert package <= names
    assert {name.split("/")[0] for name in names} == {"grapheme_numba"}
    assert "grapheme_numba/py.typed" in names
    with tarfile.open(source) as file:
        assert package <= {name.split("/", 1)[1] for name in file.getnames() if "/" in name}


@pytest.mark.long
@pytest.mark.parametrize("kind", ["wheel", "source"])
@pytest.mark.parametrize("python", PYTHONS)
def test_an_empty_environment_installs_and_trains(archives, python, kind, tmp_path):
    """Outside of the clone, with no cache: the missing data is said before anything compiles, then a run ends well."""
    archive = archives[kind == "source"]
    bin_folder, home = tmp_path / "environment" / "bin", {"HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    made = run(PYTHONS[python], "-m", "venv", tmp_path / "environment", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    installed = run(bin_folder / "python", "-m", "pip", "install", "--quiet", archive, cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr[-2000:]

    alone = run(bin_folder / "grapheme-train", "agi", cwd=tmp_path, **home)
    assert (alone.returncode, "Traceback" in alone.stderr) == (66, False)
    assert "grapheme-data generate" in alone.stderr
    assert "compiling" not in alone.stdout + alone.stderr
    assert not (tmp_path / "runs").exists()

    generated = run(bin_folder / "grapheme-data", "generate", "mine", "--samples", "60", cwd=tmp_path, **home)
    assert generated.returncode == 0, generated.stderr
    options = ["--data", "mine", "--epochs", "2", "--hidden", "32,32", "--fan-in", "8", "--output", "run"]
    trained = run(bin_folder / "grapheme-train", "agi", *options, cwd=tmp_path, **home)
    assert trained.returncode == 0, trained.stdout[-1000:] + trained.stderr[-1000:]
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "run" / "checkpoint_best" / "manifest.json").exists()
