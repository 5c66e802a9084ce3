"""Known layouts: each on a tiny corpus made in that layout, by the documents' command line."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.commands import validation
from tests.layout_corpora import CASES, Case
from transforms.corpus import packed
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.layouts.catalogue import expression, layouts
from transforms.corpus.manifests.manifest import ManifestFacts, read_manifest
from transforms.corpus.manifests.mapping import ColumnMapping
from transforms.corpus.times import format_seconds
from transforms.read_corpus import ReadCorpus
from transforms.storage import files

COMMANDS = {command: layout.name for layout in layouts().values() for command in layout.commands}


def corpus_of(command: str) -> ReadCorpus:
    words = ["embed", *command.split(), "--output", "output", "--profile", "raw"]
    _, settings, rest = cli.parse_job(words)
    assert not rest
    return validation.corpus_of(settings)


def listed(corpus: ReadCorpus) -> Iterator[Clip | Failure | ManifestFacts]:
    for path in corpus.inputs:
        for found in map(corpus.folder_options.applied, packed.list_recordings(path)):
            if isinstance(found, Clip | Failure):
                yield found
    for path in corpus.manifests:
        with files.open_decompressed(path) as file:
            yield from read_manifest(file, path, corpus.manifest_options)


def _plain(clip: Clip, folder: Path) -> tuple[str, str, str, str, tuple[str, ...], str]:
    end = "" if clip.end_seconds is None else format_seconds(clip.end_seconds)
    start = format_seconds(clip.start_seconds)
    uri = clip.uri.removeprefix(f"{folder}/")
    return clip.id, uri, start, end, clip.labels, clip.split


def _expected(case: Case) -> list[tuple[str, str, str, str, tuple[str, ...], str]]:
    return [
        (id, uri, start.removesuffix(".0"), end.removesuffix(".0"), labels, split)
        for id, uri, start, end, labels, split in case.clips
    ]


def test_every_command_of_the_documents_has_a_corpus() -> None:
    assert set(CASES) == set(COMMANDS)
    assert len(COMMANDS) == sum(len(layout.commands) for layout in layouts().values())


@pytest.mark.parametrize("command", CASES)
def test_a_layout_gives_its_clips_by_itself_or_by_its_name(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case, name = CASES[command], COMMANDS[command]
    case.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    named = command if "--layout" in command else f"{command} --layout {name}"
    for each in (command, named):
        capsys.readouterr()
        found = list(listed(corpus_of(each)))
        clips = [outcome for outcome in found if isinstance(outcome, Clip)]
        failures = [outcome.message for outcome in found if isinstance(outcome, Failure)]
        assert sorted(_plain(clip, tmp_path) for clip in clips) == _expected(case)
        assert len(failures) == len(case.failures), failures
        for message, part in zip(failures, case.failures, strict=True):
            assert part in message
        facts = [outcome for outcome in found if isinstance(outcome, ManifestFacts)]
        assert [each.layout for each in facts] == ([name] if "--manifest" in command else [])
        if facts:
            assert f"read as the layout {name} " in capsys.readouterr().err
        for clip in clips:
            assert Path(clip.uri).is_file()


def test_layouts_are_valid_data() -> None:
    assert len(layouts()) == 31
    for layout in layouts().values():
        assert re.fullmatch(r"[a-z0-9_]+", layout.name)
        assert layout.source.startswith("https://")
        assert "\n" not in layout.description
        assert layout.tables or layout.folders
        for table in layout.tables:
            ColumnMapping.of([*table.columns, *table.if_there])
            assert table.header or table.lines
            assert not (table.lines and not (table.no_header or table.words))
            texts = [table.lines, table.skipped_lines, table.same_stem]
            texts += [text for _, text in table.cells] + [text for _, text, _ in table.refused]
            for text in texts:
                expression(text)
        for folder in layout.folders:
            groups = set(expression(folder.path).groupindex)
            used = {name for text in folder.columns for name in re.findall(r"\{(\w+)", text)}
            assert used <= groups
