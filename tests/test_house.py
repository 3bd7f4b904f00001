"""The house rules hold, and each rule has been seen to fail on a bad snippet."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import house_rules
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "grapheme_numba").rglob("*.py"))
TESTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py"))
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks").rglob("*.py"))
KERNELS = [path for path in PACKAGE if path.startswith("grapheme_numba/kernels/")]
OUTSIDE_CLI = [path for path in PACKAGE if not path.startswith("grapheme_numba/cli/")]
TEXTS = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "setup.cfg", "pyproject.toml", "mkdocs.yml", ".ruff.toml"),
    *(".ci/run", ".pre-commit-config.yaml", ".github/workflows/ci.yml", "data/README.md"),
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "bin").iterdir()) if path.is_file()),
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))),
]

RULES = [
    (house_rules.import_law, PACKAGE, "grapheme_numba/kernels/engine/forward.py", "import click"),
    (house_rules.import_law, PACKAGE, "grapheme_numba/kernels/engine/forward.py", "from grapheme_numba import network"),
    (house_rules.import_law, PACKAGE, "grapheme_numba/graph/build.py", "from grapheme_numba.training.loop import run"),
    (house_rules.import_law, PACKAGE, "grapheme_numba/network/dagnn.py", "from numba import njit"),
    (house_rules.import_law, PACKAGE, "grapheme_numba/network/dagnn.py", "from .graph import build"),
    (house_rules.import_law, PACKAGE, "grapheme_numba/runs/checkpoint.py", "import pickle"),
    (house_rules.import_law, PACKAGE, "grapheme_numba/newcomer.py", ""),
    (house_rules.no_print, OUTSIDE_CLI, "grapheme_numba/network/dagnn.py", "def f():\n    print('x')"),
    (house_rules.no_print, OUTSIDE_CLI, "grapheme_numba/network/dagnn.py", "eval('1')"),
    (house_rules.careful_errors, PACKAGE, "grapheme_numba/network/dagnn.py", "try:\n    f()\nexcept:\n    pass"),
    (house_rules.careful_errors, PACKAGE, "grapheme_numba/network/dagnn.py", "assert x > 0"),
    (house_rules.careful_errors, PACKAGE, "grapheme_numba/network.py", "try:\n    f()\nexcept ValueError:\n    pass"),
    (house_rules.no_private_reach, PACKAGE, "grapheme_numba/a.py", "from grapheme_numba.graph import _ids"),
    (house_rules.no_private_reach, PACKAGE, "grapheme_numba/a.py", "def f(dag):\n    return dag._tiles"),
    (house_rules.kernels_are_plain, KERNELS, "grapheme_numba/kernels/a.py", "def f(x):\n    return x"),
    (
        house_rules.kernels_are_plain,
        KERNELS,
        "grapheme_numba/kernels/a.py",
        "@njit(fastmath=True)\ndef f(x):\n    return x",
    ),
    (house_rules.kernels_are_plain, KERNELS, "grapheme_numba/kernels/a.py", "@njit(**SERIAL)\ndef f(x):\n    raise E"),
    (house_rules.kernels_are_plain, KERNELS, "grapheme_numba/kernels/a.py", "@njit(**SERIAL)\ndef f(x):\n    assert x"),
    (
        house_rules.kernels_are_plain,
        KERNELS,
        "grapheme_numba/kernels/a.py",
        "@njit(**SERIAL)\ndef f(x):\n    print(f'{x}')",
    ),
    (
        house_rules.kernels_are_plain,
        KERNELS,
        "grapheme_numba/kernels/a.py",
        "@njit(**SERIAL)\ndef f(x):\n    return 'a'",
    ),
    (
        house_rules.kernels_are_plain,
        KERNELS,
        "grapheme_numba/kernels/a.py",
        "@njit(**SERIAL)\ndef f(a, b, c, d, e, g, h, i, j):\n    return a",
    ),
    (
        house_rules.kernels_are_plain,
        KERNELS,
        "grapheme_numba/kernels/a.py",
        "rate = 3\n@njit(**SERIAL)\ndef f(x):\n    return rate * x",
    ),
    (house_rules.documented, PACKAGE, "grapheme_numba/a.py", "x = 1"),
    (house_rules.documented, PACKAGE, "grapheme_numba/a.py", "'''Doc.'''\ndef f():\n    pass"),
    (
        house_rules.documented,
        PACKAGE,
        "grapheme_numba/a.py",
        "'''Doc.'''\nclass A:\n    '''D.'''\n    def f(self): ...",
    ),
    (
        house_rules.documented,
        PACKAGE,
        "grapheme_numba/a.py",
        "'''Doc.'''\ndef f(a, b):\n    '''Do.\n\n    Parameters\n    ----------\n    a, c : int\n        T.\n    '''",
    ),
    (house_rules.small_file, PACKAGE + TESTS + SCRIPTS, "grapheme_numba/a.py", "\n" * 401),
    (house_rules.small_file, PACKAGE + TESTS + SCRIPTS, "grapheme_numba/utils.py", ""),
    (house_rules.private_words, PACKAGE + TESTS + SCRIPTS + TEXTS, "a.py", "# see DESIGN" + " 3"),
    (house_rules.private_words, PACKAGE + TESTS + SCRIPTS + TEXTS, "a.py", "open('/ho" + "me/me/x')"),
    (house_rules.private_words, PACKAGE + TESTS + SCRIPTS + TEXTS, "a.py", "# TO" + "DO later"),
    (house_rules.careful_test, TESTS, "tests/test_a.py", "np.random.default_rng()"),
    (house_rules.careful_test, TESTS, "tests/test_a.py", "np.random.normal(size=3)"),
    (house_rules.careful_test, TESTS, "tests/test_a.py", "random.random()"),
    (house_rules.careful_test, TESTS, "tests/test_a.py", "with pytest.raises(ValueError):\n    f()"),
    (house_rules.careful_test, TESTS, "tests/test_a.py", "@pytest.mark.skip\ndef test_a(): ..."),
    (house_rules.careful_test, TESTS, "tests/test_a.py", "time.sleep(1)"),
]


@pytest.mark.parametrize(("rule", "path", "snippet"), [(rule, path, snippet) for rule, _, path, snippet in RULES])
def test_a_rule_sees_the_bad_snippet(rule, path, snippet):
    assert list(rule(path, snippet))


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, *_ in RULES), ids=lambda rule: rule.__name__)
def test_the_repository_keeps_the_rule(rule):
    files = next(files for other, files, *_ in RULES if other is rule)
    assert files
    complaints = [line for path in files if (ROOT / path).exists() for line in rule(path, (ROOT / path).read_text())]
    assert not complaints, "\n" + "\n".join(complaints)


def test_kernel_flags_are_those_of_jit():
    """What the source says is what the compiler got: no NaN-blind fast-math, a disk cache, no GIL."""
    import importlib

    from grapheme_numba import jit

    allowed = [jit.SERIAL, jit.PARALLEL, jit.INLINE, jit.SUMS, jit.BORROWED, jit.BORROWED_INLINE]
    seen = 0
    for path in KERNELS:
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        for name, kernel in vars(module).items():
            if hasattr(kernel, "targetoptions") and kernel.__module__ == module.__name__:
                seen += 1
                chosen = {
                    key: value for key, value in kernel.targetoptions.items() if key not in ("nopython", "boundscheck")
                }
                expected = [{key: value for key, value in flags.items() if key != "cache"} for flags in allowed]
                assert chosen in expected, f"{path}: {name}"
    assert seen > 10


def test_the_twin_is_independent():
    modules = {module for _, module in house_rules.imports_of(ast.parse((ROOT / "tests/naive.py").read_text()))}
    assert modules == {"math", "re"}


def long_lines(tree):
    """The lines of tests marked `long`, which may need what only bin/check --long installs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any("mark.long" in ast.unparse(mark) for mark in node.decorator_list):
            yield from range(node.lineno, node.end_lineno + 1)


def undeclared(paths, declared, declared_long=""):
    """Imports of libraries that setup.cfg does not name, of all files in `paths`."""
    named = {
        "sklearn": "scikit-learn",
        "tomli_w": "tomli-w",
        "llvmlite": "numba",
        "neat": "neat-python",
        "PIL": "pillow",
    }
    named |= {"graphblas": "python-graphblas", "suitesparse_graphblas": "suitesparse-graphblas"}
    own = {"grapheme_numba", *(Path(path).stem for path in TESTS + SCRIPTS)}
    for path in paths:
        tree = ast.parse((ROOT / path).read_text())
        long = set(long_lines(tree))
        for line, module in house_rules.imports_of(tree):
            top = module.split(".")[0]
            allowed = declared + declared_long if line in long else declared
            if top not in own and top not in sys.stdlib_module_names and named.get(top, top) not in allowed:
                yield f"{path}:{line}: {top}"


def test_third_party_imports_are_declared():
    """What the package imports is a dependency or in an extra; what the tests import comes with the test extra."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    required, extras = config["options"]["install_requires"], config["options.extras_require"]
    assert not [*undeclared(PACKAGE + SCRIPTS, required + "".join(extras.values()))]
    assert not [*undeclared(TESTS, required + extras["test"], extras["peers"])]
    assert [*undeclared(TESTS, "")]


def test_pyproject_holds_the_build_system_only():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    assert [line for line in lines if line.startswith("[")] == ["[build-system]"]


def test_pre_commit_runs_the_pinned_ruff():
    pinned = set(re.findall(r"ruff==[\d.]+", (ROOT / "setup.cfg").read_text()))
    assert set(re.findall(r"ruff==[\d.]+", (ROOT / ".pre-commit-config.yaml").read_text())) == pinned


def test_continuous_integration_runs_the_gate_on_every_declared_python():
    declared = re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.cfg").read_text())
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    assert re.findall(r'"(3\.\d+)"', workflow) == declared
    assert re.findall(r"- run: (.*)", workflow) == [".ci/run"]


def test_the_top_level_stays_tidy():
    allowed = {
        "setup.cfg",
        "pyproject.toml",
        "mkdocs.yml",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "bin",
        "grapheme_numba",
        "tests",
        "benchmarks",
        "data",
        "docs",
        "examples",
    }
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    tops = {path.split("/")[0] for path in tracked if path}
    hidden = {".ci", ".github", ".gitignore", ".pre-commit-config.yaml", ".ruff.toml"}
    assert tops <= allowed | hidden


@pytest.mark.parametrize("command", ["train", "data", "bench"])
def test_the_command_line_starts_light(command):
    """`--help` must answer at once, so nothing heavy is imported before a command runs."""
    code = f"import sys, grapheme_numba.cli.{command}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"numba", "numpy", "pyarrow", "rich", "scipy", "sklearn"} & set(loaded) == set()


def test_import_is_light_and_complete():
    code = (
        "import sys, grapheme_numba as gn; assert not {'numba', 'numpy'} & set(sys.modules); "
        "print(*[name for name in dir(gn) if getattr(gn, name) is None])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_an_unknown_public_name_is_an_attribute_error():
    import grapheme_numba

    with pytest.raises(AttributeError, match="has no attribute 'DagNet'; it has BrainSlice"):
        grapheme_numba.DagNet  # noqa: B018


def test_the_type_checker_sees_every_public_name():
    """The names imported under TYPE_CHECKING, their modules and `__all__` agree."""
    import grapheme_numba

    tree = ast.parse((ROOT / "grapheme_numba/__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module.removeprefix("grapheme_numba.") for node in block.body for alias in node.names}
    assert typed == grapheme_numba._MODULE_OF
    assert sorted([*typed, "__version__"]) == grapheme_numba.__all__ == dir(grapheme_numba)
