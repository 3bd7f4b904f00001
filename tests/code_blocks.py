"""The fenced code blocks of README and docs/, and how they are run: `test_docs.py` asserts what came of it.

A page's blocks run in order, in a folder that looks like the root of a clone: Python in one namespace, shell in bash. A
fence says more in braces: `{.sh .not-run title="why"}` is parsed and not run, `{.text .output}` shows what the block
before it prints, numbers aside, and `{.text .console}` shows an example of examples/, which `test_examples.py` runs.
"""

import configparser
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
# Programs that install, or that would start these very tests: their arguments are read, and nothing is run.
READ_ONLY = ("pip", "bin/test", "bin/check", "bin/docs")
NUMBER = re.compile(r"\d[\d,.]*(?:e[-+]\d+)?")


class Block(NamedTuple):
    """One fence: where it stands, its language, the other classes, the title, and what is inside."""

    page: str
    line: int
    language: str
    classes: frozenset[str]
    title: str
    text: str

    @property
    def place(self):
        return f"{self.page}:{self.line}"


def blocks_of(page, text=None):
    """The fences of a page, in order."""
    text = (ROOT / page).read_text() if text is None else text
    found = []
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        head = match[1]
        classes = re.findall(r"\.([\w-]+)", head.split("title=")[0]) if head.startswith("{") else [head]
        title = re.search(r'title="([^"]*)"', head)
        line = text[: match.start()].count("\n") + 1
        found.append(Block(page, line, classes[0], frozenset(classes[1:]), title[1] if title else "", match[2]))
    return found


def shell_lines(block):
    """The lines of a shell block, continued ones joined, comments dropped."""
    for line in block.text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s+)#.*", "", line).strip()
        if line:
            yield line


def calls_of(line):
    """(program, arguments) of each of our programs that a line of shell starts."""
    words = list(shlex.shlex(line, posix=True, punctuation_chars="|&;()"))
    words = shlex.split(line) if "'" in line or '"' in line else words
    call = None
    for word in [*words, "|"]:
        if set(word) <= set("|&;()"):
            if call:
                yield call
            call = None
        elif call:
            call[1].append(word)
        elif re.fullmatch(r"(bin/)?grapheme-(train|data|bench)", word):
            call = (word.removeprefix("bin/"), [])


def complaints_about(line):
    """What is wrong with a line that is read and not run: an extra, a script or a test that is not there."""
    program, *arguments = shlex.split(line)
    if program == "pip":
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        for target in (word for word in arguments[1:] if not word.startswith("-")):
            if not target.startswith(".") and target not in ("mpich", "pre-commit"):
                yield f"{line}: {target} would come from an index"
            for extra in re.findall(r"[\w-]+", target.partition("[")[2]):
                if extra not in config["options.extras_require"]:
                    yield f"{line}: setup.cfg has no extra {extra}"
    else:
        paths = [program, *(word for word in arguments if "/" in word)]
        yield from (f"{line}: there is no {path}" for path in paths if not (ROOT / path).exists())


def folder_like_a_clone(folder):
    """Fill a folder with what a page's commands expect around them."""
    (folder / "bin").mkdir()
    for program in ("train", "data", "bench"):
        (folder / "bin" / f"grapheme-{program}").symlink_to(Path(sys.executable).parent / f"grapheme-{program}")
    shutil.copytree(ROOT / "data", folder / "data", ignore=shutil.ignore_patterns(".grapheme_cache"))
    (folder / "examples").symlink_to(ROOT / "examples")


def run(block, namespace):
    """Run a Python or shell block in the current folder; returns what it printed to standard output.

    Raises AssertionError with the place and the words of a shell block that failed.
    """
    if block.language == "python":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * block.line + block.text, block.page, "exec"), namespace)
        return printed.getvalue()
    lines = [line for line in shell_lines(block) if not line.startswith(READ_ONLY)]
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    # A terminal's width and colours are none of a page's business.
    script = ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(lines)]
    done = subprocess.run(script, env=variables, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{block.place} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr}"
    return done.stdout


def unlike(shown, printed):
    """The lines of an output block that nothing printed begins with, numbers and spaces aside."""
    found = [shape(line) for line in printed.splitlines()]
    for line in shown.splitlines():
        if line != "..." and not any(other.startswith(shape(line)) for other in found):
            yield line


def shape(line):
    """A line with every number as # and single spaces."""
    return " ".join(NUMBER.sub("#", line).split())
