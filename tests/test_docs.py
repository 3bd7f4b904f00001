"""Every code block of README and docs/ runs, and every command, option, extra and link that they show exists."""

import re
import subprocess

import cli_reference
import click.testing
import code_blocks
import pytest

import grapheme_numba as gn

ROOT = code_blocks.ROOT
BLOCKS = [block for page in code_blocks.PAGES for block in code_blocks.blocks_of(page)]
RUNNABLE = [page for page in code_blocks.PAGES if {"sh", "python"} & {b.language for b in BLOCKS if b.page == page}]
GROUPS = dict(cli_reference.programs())
COMMANDS = [(program, name) for program, group in GROUPS.items() for name in group.commands]
# Everything that is shown and not run, each with the reason that its reader sees above it.
NOT_RUN = {
    ("CONTRIBUTING.md", "the tests would start themselves"),
    ("docs/benchmarks.md", "measures for minutes"),
    ("docs/data-format.md", "needs downloads of GSM8K, MATH or SQuAD"),
    # `test_cluster.py` runs these.
    ("docs/several-machines.md", "needs Slurm"),
    ("docs/several-machines.md", "needs hosts h1 and h2 with ssh"),
    ("docs/several-machines.md", "needs Open MPI, and hosts h1 and h2 with ssh"),
}
LANGUAGES = {"sh", "python", "json", "text"}


def test_blocks_that_do_not_run_are_known():
    assert {(block.page, block.title) for block in BLOCKS if "not-run" in block.classes} == NOT_RUN


def test_every_block_says_what_it_is():
    assert not [block.place for block in BLOCKS if block.language not in LANGUAGES]
    assert {name for block in BLOCKS for name in block.classes} <= {"not-run", "output", "console"}


@pytest.mark.parametrize("page", RUNNABLE)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    code_blocks.folder_like_a_clone(tmp_path)
    monkeypatch.chdir(tmp_path)
    namespace, printed = {"__name__": "page"}, ""
    for block in code_blocks.blocks_of(page):
        if "output" in block.classes:
            assert not [*code_blocks.unlike(block.text, printed)], block.place
        elif block.language in ("sh", "python") and "not-run" not in block.classes:
            printed = code_blocks.run(block, namespace)


def test_an_output_that_is_not_printed_is_seen():
    shown = "epoch  1/100  loss 0.2  x\n...\ntrained 5 epochs\n"
    assert [*code_blocks.unlike(shown, "epoch 1/20  loss 1e-05  x\nand\ntrained 100 epochs, fast\n")] == []
    assert [*code_blocks.unlike(shown, "epoch 1/20  loss 1e-05  y\n")] == [
        "epoch  1/100  loss 0.2  x",
        "trained 5 epochs",
    ]


def test_json_shown_as_examples_is_accepted(tmp_path):
    shown = "".join(block.text for block in BLOCKS if block.language == "json")
    (tmp_path / "shown.jsonl").write_text(shown)
    main = GROUPS["grapheme-data"]
    result = click.testing.CliRunner().invoke(
        main, ["validate", str(tmp_path / "shown.jsonl"), "--log-format", "plain"]
    )
    assert (result.exit_code, shown.count("\n")) == (0, 3), result.output


def test_commands_parse():
    """Each program, command and option of a shell block exists, also where the block is not run."""
    n_call = 0
    for block in (block for block in BLOCKS if block.language == "sh"):
        for line in code_blocks.shell_lines(block):
            for program, (name, *arguments) in code_blocks.calls_of(line):
                n_call += 1
                if "--help" not in arguments:
                    GROUPS[program].commands[name].make_context(name, arguments, resilient_parsing=False)
    assert n_call >= 30


def test_what_is_read_and_not_run_is_there():
    lines = [line for block in BLOCKS if block.language == "sh" for line in code_blocks.shell_lines(block)]
    lines += [
        line
        for page in code_blocks.PAGES
        for line in re.findall(r"`(pip install [^`]*?)(?: &&[^`]*)?`", (ROOT / page).read_text())
    ]
    read = [line for line in lines if line.startswith(code_blocks.READ_ONLY)]
    assert len(read) >= 10
    assert not [complaint for line in read for complaint in code_blocks.complaints_about(line)]
    for bad in ("pip install grapheme-numba", "pip install '.[nothing]'", "bin/test tests/nothing.py"):
        assert [*code_blocks.complaints_about(bad)]


@pytest.mark.parametrize(("program", "name"), COMMANDS)
def test_every_command_and_option_is_on_its_page(program, name):
    page = (ROOT / "docs" / "command-line.md").read_text()
    assert f"`{program} {name}`" in page
    for spelling, *_ in cli_reference.arguments_of(GROUPS[program].commands[name]):
        assert spelling.replace("|", "\\|") in page, f"{spelling} of {program} {name}: python benchmarks/tables.py"


def test_no_message_sends_its_reader_to_an_index():
    """The package is on none: an extra is installed from a clone, as `pip install '.[plot]'`."""
    files = [*(ROOT / "grapheme_numba").rglob("*.py"), *(ROOT / "examples").glob("*.py")]
    assert not [path.name for path in files if re.search(r"grapheme-numba\[", path.read_text())]


def test_every_public_name_is_in_the_reference():
    page = (ROOT / "docs" / "python-api.md").read_text()
    assert re.findall(r"^::: grapheme_numba\.(\w+)$", page, re.MULTILINE) == [n for n in gn.__all__ if n[0] != "_"]


def test_options_stand_in_the_sections_of_their_help():
    """The most used first; what two commands share is said once, and where they differ both defaults stand."""
    one, other = (
        click.Command("c", params=[option("--a", "A <x>", None), option("--lr", f"R [default: {lr}]", "Most used")])
        for lr in (1, 2)
    )
    assert cli_reference.tables({"one": one, "other": other}) == (
        "**Most used**\n\n| option | meaning |\n| --- | --- |\n| `--lr TEXT` | R \\[default: one: 1, other: 2\\] |\n\n"
        "| option | meaning |\n| --- | --- |\n| `--a TEXT` | A \\<x\\> |"
    )


def option(flag, text, section):
    """A click option, in a section of the help or in none."""
    made = click.Option([flag], help=text)
    if section:
        made.section = section
    return made


def test_the_builder_of_the_site_takes_no_other_word():
    done = subprocess.run([ROOT / "bin" / "docs", "deploy"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "error: bin/docs takes nothing or serve, got: deploy\n")


def test_the_site_fetches_nothing_and_lists_every_page():
    settings = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in settings
    assert "strict: true" in settings
    assert not re.findall(r"https?://", settings)
    listed = re.findall(r"([\w-]+\.md)$", settings, re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_readme_is_one_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_links_of_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert len(links) >= 10
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_shipped_data_are_as_readme_says():
    """No input of the test split stands in the training file."""
    import json

    def inputs(split):
        lines = (ROOT / "data" / "mixed_agi" / f"{split}.jsonl").read_text().splitlines()
        return [(row["domain"], json.dumps(row["input"])) for row in map(json.loads, lines)]

    train = set(inputs("train"))
    repeated = [domain for domain, text in inputs("test") if (domain, text) in train]
    assert not repeated
    assert len({text for domain, text in train if domain == "text"}) == 168


def test_the_words_of_the_glossary_are_there():
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    words = "sender receiver indptr level tile lane example brain slice pre-activation rank shard pruned drop-and-grow"
    for word in words.split():
        assert re.search(rf"^\| [^|]*\b{word}\b", glossary, re.MULTILINE), word
