"""The house rules as functions: each takes a file's path inside the repository and its text, and yields complaints.

`test_house.py` feeds each rule a bad snippet first (a guard that was never seen red guards nothing) and
then every file of the repository.
"""

import ast
import builtins
import re

LAYERS = {
    part: layer
    for layer, parts in enumerate(
        (
            "errors arguments files signals jit float_mode randomness",
            "kernels",
            "graph",
            "network optim",
            "sparsity",
            "data",
            "models",
            "distributed",
            "training",
            "runs",
            "report",
            "api",
            "estimators bench torch",
            "cli __main__",
        )
    )
    for part in parts.split()
}
ONLY_IN = {
    "click": ("grapheme_numba/cli/",),
    "rich": ("grapheme_numba/cli/",),
    "pyarrow": ("grapheme_numba/data/", "grapheme_numba/graph/formats/", "grapheme_numba/bench/"),
    "numba": ("grapheme_numba/kernels/", "grapheme_numba/jit.py", "grapheme_numba/float_mode.py"),
    "llvmlite": (
        "grapheme_numba/kernels/engine/simd.py",
        "grapheme_numba/kernels/engine/simd_types.py",
        "grapheme_numba/kernels/engine/simd_bfloat16.py",
        "grapheme_numba/float_mode.py",
    ),
    "pickle": (),
    "logging": (),
}
DRAWERS = {"utils", "util", "common", "helpers", "helper", "misc", "core", "shared", "tools", "stuff", "base"}
MOST_LINES, MOST_ARGUMENTS, MOST_PRIVATE_ARGUMENTS = 400, 8, 10
FLAGS = {f"njit(**{name})" for name in ("SERIAL", "PARALLEL", "INLINE", "SUMS", "BORROWED", "BORROWED_INLINE")}
# Where the code came from and which machine it was written on are no business of its reader.
PRIVATE = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"/(?:work|root|home)/\w",
        r"(?<![\w.])/tmp/\w",
        r"\bagents?\b",
        r"\b(?:this|earlier|later|next|previous|our|my) session\b",
        r"\b(?:DESIGN|STYLE|ANCHORS|SPEC)(?:\.md\b| \d)",
        r"\.\./shared\b",
        r"\bclaude\b|\banthropic\b|\bchatgpt\b|\bcopilot\b",
        r"(?-i:\bTODO\b|\bFIXME\b|\bXXX\b)",
    )
]


def imports_of(tree):
    """(line, module) of every import; `from grapheme_numba import b` gives grapheme_numba.b too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")
            if node.module == "grapheme_numba":
                for alias in node.names:
                    yield node.lineno, f"grapheme_numba.{alias.name}"


def import_law(path, text):
    """A lower layer never imports a higher one, and a library stays in the rooms it was given."""
    part = path.removeprefix("grapheme_numba/").split("/")[0].removesuffix(".py")
    if part == "__init__":
        return
    if part not in LAYERS:
        yield f"{path}: '{part}' has no place in the import law (tests/house_rules.py: LAYERS)"
        return
    for line, module in imports_of(ast.parse(text)):
        if module.startswith("."):
            yield f"{path}:{line}: relative import {module}; write the full name"
        names = module.split(".")
        if names[0] == "grapheme_numba" and len(names) > 1:
            other = names[1]
            if other in LAYERS and LAYERS[other] > LAYERS[part]:
                yield f"{path}:{line}: {part} imports {other}, which stands above it"
        if names[0] in ONLY_IN and not path.startswith(ONLY_IN[names[0]] or ("nowhere",)):
            yield f"{path}:{line}: {names[0]} is imported outside {' '.join(ONLY_IN[names[0]]) or 'any allowed file'}"


def no_print(path, text):
    """No printing and no debugger; the command line speaks through click and rich."""
    for node in ast.walk(ast.parse(text)):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if name in ("print", "breakpoint", "input", "eval", "exec"):
            yield f"{path}:{node.lineno}: {name}()"


def no_private_reach(path, text):
    """A private name belongs to the module that defines it: nobody imports it, or reaches for it on an object."""
    tree = ast.parse(text)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    }
    public = {"_replace", "_fields", "_asdict", "_make", "_exit"}  # of named tuples, and of os
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("grapheme_numba"):
            for alias in node.names:
                if alias.name.startswith("_") and not alias.name.startswith("__"):
                    yield f"{path}:{node.lineno}: imports the private name {alias.name} of {node.module}"
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr) and node.attr not in own | public:
            yield f"{path}:{node.lineno}: reaches for {ast.unparse(node)}"


def careful_errors(path, text):
    """No bare except, no assert for what a user may do wrong, no exception that is passed over without a word why."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        passed_over = isinstance(node, ast.ExceptHandler) and isinstance(node.body[0], ast.Pass)
        if passed_over and not any("#" in line for line in lines[node.lineno - 1 : node.body[0].lineno]):
            yield f"{path}:{node.lineno}: an exception is passed over; say why in a comment, or use suppress"
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{path}:{node.lineno}: bare except"
        if isinstance(node, ast.Assert):
            yield f"{path}:{node.lineno}: assert; raise one of grapheme_numba.errors"


def kernels_are_plain(path, text):
    """In kernels/: only @njit with the named flags, at most 8 arguments (10 for a private part that is inlined
    into one), no raise, assert, print or strings. The vector operations themselves are not kernels."""
    if path.split("/")[-1].startswith("simd"):
        return
    tree = ast.parse(text)
    known = _module_constants(tree) | set(dir(builtins))
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        where = f"{path}:{function.lineno}: {function.name}"
        if not any(ast.unparse(decorator) in FLAGS for decorator in function.decorator_list):
            yield f"{where} is not decorated by one of {', '.join(sorted(FLAGS))}"
        most = MOST_PRIVATE_ARGUMENTS if function.name.startswith("_") else MOST_ARGUMENTS
        if (n := len(function.args.args)) > most:
            yield f"{where} takes {n} arguments, at most {most}"
        body = function.body[1:] if ast.get_docstring(function) else function.body
        local = {argument.arg for argument in function.args.args}
        inside = [node for statement in body for node in ast.walk(statement)]
        options = {
            id(node.value) for node in inside if isinstance(node, ast.keyword)
        }  # as in argsort(kind="mergesort")
        local |= {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for node in inside:
            if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Try):
                yield f"{where} line {node.lineno}: {type(node).__name__.lower()} in a kernel"
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in options:
                yield f"{where} line {node.lineno}: string {node.value!r} in a kernel"
            if isinstance(node, ast.Name) and node.id not in local | known:
                yield f"{where} line {node.lineno}: reads module state '{node.id}' (frozen at the first compile)"


def _module_constants(tree):
    """What a kernel may read from its module: imports, functions, classes and UPPER_CASE constants."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            stored = [name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            names |= {name.id for name in stored if name.id.lstrip("_").isupper()}
    return names


def documented(path, text):
    """Public modules, classes and functions have a docstring, and documented parameters are the real ones."""
    if path.endswith("/simd_reference.py"):
        return  # named after the operations of simd.py, which are documented there
    tree = ast.parse(text)
    if tree.body and not ast.get_docstring(tree):
        yield f"{path}:1: module without a docstring"
    yield from _documented_in(path, tree.body, public=True)


def _documented_in(path, body, public):
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        shown = public and not node.name.startswith("_")
        text = ast.get_docstring(node) or ""
        if shown and not text and not _says_itself(node):
            yield f"{path}:{node.lineno}: {node.name} without a docstring"
        if isinstance(node, ast.ClassDef):
            yield from _documented_in(path, node.body, shown)
        else:
            yield from _parameters_match(path, node, text)


def _says_itself(node):
    """A setter, an overload, or a property that returns one expression: its name is its documentation."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    plain = len(node.body) == 1 and isinstance(node.body[0], ast.Return)
    silent = any(name.endswith(".setter") or name == "overload" for name in decorators)
    return silent or (plain and "property" in decorators)


def _parameters_match(path, function, text):
    arguments = function.args
    real = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
    real += [a.arg for a in (arguments.vararg, arguments.kwarg) if a]
    real = [name for name in real if name not in ("self", "cls")]
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL)
    if not section:
        return
    heads = re.findall(r"^([\w*][\w*, ]*?)(?: : .*)?$", section[1], re.MULTILINE)
    names = [name.strip().lstrip("*") for head in heads for name in head.split(",")]
    if sorted(names) != sorted(real):  # those of one shape may stand together
        yield f"{path}:{function.lineno}: {function.name} documents {names}, takes {real}"


def small_file(path, text):
    """One idea a file, named after it."""
    if (lines := text.count("\n")) > MOST_LINES:
        yield f"{path}: {lines} lines, at most {MOST_LINES}"
    if path.split("/")[-1].removesuffix(".py") in DRAWERS:
        yield f"{path}: a drawer, not a name"


def private_words(path, text):
    """No words about how the work was done, no paths of one machine, no loose ends."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in PRIVATE:
            if found := pattern.search(line):
                yield f"{path}:{number}: '{found[0]}'"


def careful_test(path, text):
    """A test draws from seeded generators, never skips or waits for a clock, and reads the error it expects."""
    tree = ast.parse(text)
    named = {
        id(item.context_expr)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        for item in node.items
        if item.optional_vars
    }
    disturbs_processes = "Popen(" in text
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call | ast.Attribute):
            continue
        call = ast.unparse(node)
        where = f"{path}:{node.lineno}: {call[:60]}"
        if isinstance(node, ast.Attribute):
            if re.fullmatch(r"(np|numpy)\.random\.(?!default_rng|Generator|SeedSequence|PCG64|Philox)\w+", call):
                yield f"{where}: draws from the global generator"
            if re.fullmatch(r"random\.(?!Random\b)\w+", call):
                yield f"{where}: draws from the global generator"
            if re.fullmatch(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)", call):
                yield f"{where}: a test that does not run proves nothing"
            if call in ("time.sleep", "time.time", "time.perf_counter") and not disturbs_processes:
                yield f"{where}: tests depend on no clock"
        elif re.fullmatch(r"(np\.random\.default_rng|default_rng|random\.Random)\(\)", call):
            yield f"{where}: unseeded"
        elif re.match(r"pytest\.raises\((?!.*(match=|SystemExit|StoppedEarly))", call) and id(node) not in named:
            yield f"{where}: raises without match= and without a name to read the message from"
