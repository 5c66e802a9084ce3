"""What the documents say, held against the program: options, reasons, names, links, figures."""

import argparse
import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml

import transforms
from pipeline import cli
from pipeline.options import declaration
from pipeline.options.settings import EmbedSettings
from pipeline.runners.options import beam_options
from tests.documents import pages
from transforms.corpus.clips import REASONS

# Words that begin commands of other programs. Whether they do what the text says was read, not run.
OTHER_PROGRAMS = {"docker", "gcloud", "mkdocs", "pip", "prism", "python"}
# What pages name besides: flags of other programs, beginnings, and a misspelt one.
OTHER_FLAGS = {
    "CONTRIBUTING.md": {"--minutes"},
    "benchmarks/README.md": {"--large", "--no_torch", "--quick", "--work", "--write"},
    "deploy/dataflow/README.md": {
        *("--file", "--image", "--location", "--member", "--parameters", "--recursive", "--role"),
        "--tag",
    },
    "deploy/flink/README.md": {"--container", "--filename", "--follow", "--tag"},
    "docs/runners.md": {"--service_port"},
    "docs/storages.md": {"--s3_"},
    "docs/upstream-faults.md": {"--direct_num_worker"},
}
OUR_COMMANDS = {"check", "demo", "embed", "export-model", "layouts", "plan"}


def _flags(text: str) -> set[str]:
    """Flags in the spelling of this program and of Beam, which have no dash inside."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9_]*(?![\w-])", text))


def _commands() -> dict[str, argparse.ArgumentParser]:
    (commands,) = (a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))
    return commands.choices


def _own_flags() -> set[str]:
    return set(declaration.flags(EmbedSettings))


def _known_flags() -> set[str]:
    """The flags of all commands, and Beam's."""
    own = {flag for each in _commands().values() for flag in each._option_string_actions}
    return own | {f"--{name}" for name in beam_options([]).get_all_options()}


def _module(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_readme_is_short() -> None:
    assert len(pages.read("README.md").splitlines()) <= 150


@pytest.mark.parametrize(
    "block",
    [each for each in pages.BLOCKS.values() if each.language == "shell"],
    ids=lambda block: block.key,
)
def test_commands_are_ones_that_the_program_takes(block: pages.Block) -> None:
    assert block.commands
    for words in block.commands:
        while "=" in words[0]:  # a variable of the environment
            words = words[1:]
            if not words:
                break
        if not words or words[0] in OTHER_PROGRAMS or words[0].endswith(("/python", ".ci/run")):
            for file in re.findall(r"(?:deploy|benchmarks|tests)/[\w./]+", " ".join(words)):
                assert (pages.ROOT / file).exists(), file
            continue
        assert words[0] in pages.PROGRAMS, words[0]
        if words[1:2] == ["test"] or len(words) == 1:  # of run_local.sh itself
            continue
        assert words[1] in OUR_COMMANDS
        if words[1] in pages.JOBS:
            beam_options(cli.parse_job(words[1:])[2])
        else:
            assert not cli._parser().parse_known_args(words[1:])[1]


def test_every_option_is_one_of_the_program_or_of_beam() -> None:
    text = pages.read("docs/options.md")
    table = text.split("## The ones that matter most")[1].split("```")[0]
    named = _flags(table)
    assert len(named) > 20
    assert named <= _known_flags()
    rows = table.replace("\\|", "/")
    defaults = dict(re.findall(r"^\| `(--\w+)[^|]*` \| `([^`]+)` \|", rows, re.MULTILINE))
    parsed = vars(cli._parser().parse_args(["embed", "--input=x", "--output=y"]))
    for flag in ("--precision", "--profile", "--short_clips"):
        assert defaults[flag] == getattr(parsed[flag[2:]], "name", parsed[flag[2:]])


@pytest.mark.parametrize("page", [page for page in pages.PAGES if page != "CHANGELOG.md"])
def test_flags_in_the_text_are_ones_of_the_program_of_beam_or_of_others(page: str) -> None:
    unknown = _flags(pages.read(page)) - _known_flags()
    assert unknown <= OTHER_FLAGS.get(page, set())


def test_the_site_has_every_option() -> None:
    hook = _module(pages.ROOT / "docs/hooks/options.py")
    text = pages.read("docs/options.md")
    page = SimpleNamespace(file=SimpleNamespace(src_path="options.md"))
    built = hook.on_page_markdown(text, page).removeprefix(text.partition("<!-- all")[0])
    assert _flags(built) >= _own_flags()
    assert "-->" not in built


def test_every_reason_is_in_the_table_and_no_other() -> None:
    table = pages.sections("docs/audio.md")["Reasons in the failure table"]
    rows = re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(REASONS)


def _anchor(title: str) -> str:
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


@pytest.mark.parametrize("page", pages.PAGES)
def test_files_of_the_checkout_that_pages_name_are_there(page: str) -> None:
    folders = "benchmarks|deploy|docs|examples|pipeline|tests|transforms"
    for path in re.findall(rf"`((?:{folders})/[\w./]*)`", pages.read(page)):
        assert (pages.ROOT / path).exists(), path


@pytest.mark.parametrize("page", pages.PAGES)
def test_links_lead_to_pages_and_headings_that_are_there(page: str) -> None:
    folder = (pages.ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", pages.read(page)):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = folder / path if path else pages.ROOT / page
        # Pages that only bring another one into the site hold no headings.
        assert file.exists(), target
        if heading:
            titles = pages.sections(file.resolve().relative_to(pages.ROOT).as_posix())
            assert heading in map(_anchor, titles), target


def test_figures_of_the_scaling_page_follow_from_its_arithmetic() -> None:
    text = pages.read("docs/scaling.md")
    (arithmetic,) = (b for b in pages.blocks("docs/scaling.md") if b.language == "python")
    names: dict = {}
    exec(compile(arithmetic.text, "docs/scaling.md", "exec"), names)
    rate = re.search(
        r"\| this program, marginal: 10 s FLAC 44.1 kHz stereo \| (\d+) rows/s",
        pages.read("benchmarks/README.md"),
    )
    assert rate is not None
    assert int(rate[1]) == names["ROWS_PER_SECOND"]
    rows = re.findall(r"^\| (1[0,]+) \|(.*)\|$", text, re.MULTILINE)
    assert len(rows) == 5
    for clips, rest in rows:
        hours, workers, *figures = (float(re.sub("[^0-9.]", "", each)) for each in rest.split("|"))
        num_clips = int(clips.replace(",", ""))
        assert hours == round(num_clips * 10 / 3600)
        expected = names["estimate"](num_clips, 10, int(workers))
        assert figures == [round(each, 2 if each < 10 else 0) for each in expected]


def test_each_fault_upstream_names_code_and_tests_that_are_there() -> None:
    tests = (pages.ROOT / "tests/test_upstream_faults.py").read_text()
    named = set()
    for title, text in pages.sections("docs/upstream-faults.md").items():
        for path in re.findall(r"`((?:pipeline|transforms|tests)/[\w./]+)", text):
            assert (pages.ROOT / path).exists(), f"{title}: {path}"
        for test in re.findall(r"^- \*\*Test\*\*: `(test_\w+)`$", text, re.MULTILINE):
            named.add(test)
        if "**What happens**" in text:
            assert all(f"**{each}**: " in text for each in ("Upstream", "Here", "Test")), title
        if qualified := re.search(r"`(tests/\S+\.py)::(test_\w+)`", text):
            assert f"def {qualified[2]}(" in (pages.ROOT / qualified[1]).read_text()
    assert named == set(re.findall(r"^def (test_\w+)\(", tests, re.MULTILINE))


def test_the_verbs_that_contributors_read_of_are_there() -> None:
    text = pages.read("CONTRIBUTING.md")
    for verb in re.findall(r"(?:[A-Z][a-z]+){2,}", text.split("```text")[1].split("```")[0]):
        if verb != "GroupByKey" and verb != "RunInference":
            file = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", verb).lower()
            assert (pages.ROOT / f"transforms/{file}.py").is_file(), verb


def test_the_changelog_has_releases_and_the_usual_headings() -> None:
    text = pages.read("CHANGELOG.md")
    releases = re.findall(r"^## \[?(\S+?)\]?(?: - |, )(.*)$", text, re.MULTILINE)
    assert releases[0] == ("0.1.0", "unreleased")
    headings = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert headings <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert 'version="0.1.0"' in (pages.ROOT / "setup.py").read_text()


def test_public_ci_calls_the_scripts_of_this_checkout() -> None:
    (path,) = (pages.ROOT / ".github/workflows").glob("*.yml")
    workflow = yaml.safe_load(path.read_text())
    jobs = workflow["jobs"]
    versions = jobs["test"]["strategy"]["matrix"]["python"]
    assert versions == ["3.10", "3.11", "3.12", "3.13"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if step.get("run")]
    assert {"./run_local.sh", "./run_local.sh test", ".ci/run"} <= set(commands)
    for command in commands:
        if command.startswith((".", "/")):
            assert (pages.ROOT / Path(command.split()[0])).is_file()


def test_the_api_page_has_every_public_name_and_no_other() -> None:
    named = re.findall(r"^::: transforms\.(\w+)$", pages.read("docs/api.md"), re.MULTILINE)
    assert sorted(named) == sorted(transforms.__all__)


def test_every_page_is_in_the_site() -> None:
    navigation = (pages.ROOT / "mkdocs.yml").read_text().split("\nnav:")[1]
    named = set(re.findall(r"([\w-]+\.md)", navigation))
    assert named == {Path(page).name for page in pages.PAGES if page.startswith("docs/")}
