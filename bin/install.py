"""Make .venv in a clone and install the package into it: `install.py ROOT [EXTRA,...]`.

Run by launch.sh, with nothing but the standard library of Python >= 3.11. One process installs at a
time: the others wait on a lock that the system drops with its holder, so a killed installation leaves
nothing to clean up by hand.
"""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    root = Path(sys.argv[1])
    extra = sys.argv[2] if len(sys.argv) > 2 else ""
    venv = root / ".venv"
    try:
        venv.mkdir(exist_ok=True)
        lock = os.open(root, os.O_RDONLY)  # the clone itself is the lock: no file that --clear could take away
    except OSError as error:
        return fail(f"the folder {venv} cannot be made ({error.strerror}); clone to a folder of your own")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another first start to finish its installation")
        fcntl.flock(lock, fcntl.LOCK_EX)
    stamp = venv / f"installed-{extra or 'commands'}"
    if stamp.exists() and stamp.read_text() == stamp_text(root):
        return 0

    started = time.monotonic()
    target = f".[{extra}]" if extra else "."
    say(f"installing {target} into {venv} (once; about a minute with a fast connection)")
    if not works(venv) and (code := run([sys.executable, "-m", "venv", "--clear", str(venv)], lock)):
        return fail(f"Python could not make {venv} (exit {code}); on Debian and Ubuntu: apt install python3-venv")
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-user"]
    if code := run([*pip, "--editable", f"{root}[{extra}]" if extra else str(root)], lock):
        return fail(f"pip failed (exit {code}, its words are above); once the package index answers, run again")
    for name in {"commands", extra, *extra.split(",")} - {""}:
        fresh = venv / f".installed-{name}.new"
        fresh.write_text(stamp_text(root))
        fresh.replace(venv / f"installed-{name}")
    say(f"installed in {time.monotonic() - started:.0f} s")
    return 0


def stamp_text(root: Path) -> str:
    """What the shell compares: the place and the two files that say what to install."""
    return f"{root}\n{(root / 'setup.cfg').read_text()}{(root / 'pyproject.toml').read_text()}".rstrip("\n")


def works(venv: Path) -> bool:
    """A half-made environment, or one whose Python is gone, is made anew; a sound one is kept."""
    python = venv / "bin" / "python"
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return python.exists() and not run([str(python), "-c", check], None, quiet=True)


def run(command: list[str], lock: int | None, quiet: bool = False) -> int:
    """Run a command with its output on our stderr: stdout belongs to the command that follows."""
    sink = subprocess.DEVNULL if quiet else sys.stderr
    keep = () if lock is None else (lock,)  # a pip that outlives us still holds the lock
    try:
        return subprocess.run(command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, pass_fds=keep).returncode
    except OSError:
        return 127
    except KeyboardInterrupt:
        sys.exit(130)


def say(text: str) -> None:
    sys.stderr.write(f"grapheme: {text}\n")
    sys.stderr.flush()


def fail(text: str) -> int:
    sys.stderr.write(f"error: {text}\n")
    return 70


if __name__ == "__main__":
    sys.exit(main())
