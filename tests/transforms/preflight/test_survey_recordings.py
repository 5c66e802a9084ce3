"""SurveyRecordings: counts of all, headers of a sample, failures by reason."""

from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.running import outputs
from tests.sounds import noise, write_wav
from transforms.audio.errors import AudioError
from transforms.corpus.clips import Clip
from transforms.corpus.spans import FramingConfig
from transforms.preflight.headers import read_header
from transforms.preflight.survey import Failed, Survey, total
from transforms.preflight.survey_recordings import SurveyFailures, SurveyRecordings

VGGISH = FramingConfig(patch_samples=15_600, hop_samples=15_360)


def surveyed(clips: list[Clip], **options: Any) -> tuple[Survey, Survey]:
    """Returns what is found of all, and in the sample."""
    listed, opened = outputs(SurveyRecordings(VGGISH, **options), clips, "listed", "opened")
    return total(listed), total(opened)


def test_recordings_are_counted_and_opened_and_failures_named(tmp_path: Path) -> None:
    for number in range(20):
        write_wav(tmp_path / f"{number:02d}.wav", noise(32_000))
    (tmp_path / "03.wav").write_bytes(b"not sound")
    cut = tmp_path / "04.wav"
    cut.write_bytes(cut.read_bytes()[:-5_000])
    (tmp_path / "05.wav").write_bytes(b"")
    paths = [f"{tmp_path}/{number:02d}.wav" for number in range(22)]
    listed, opened = surveyed([Clip(Path(path).stem, path) for path in paths])
    assert (listed.num_recordings, listed.num_listed) == (20, 20)
    assert listed.failures == {"not_found": Failed(2, ("20", "21"))}
    assert opened.failures == {
        "decode_error": Failed(1, ("04",)),
        "empty": Failed(1, ("05",)),
        "unsupported_format": Failed(1, ("03",)),
    }
    assert (opened.num_recordings, opened.sums.num_clips, opened.sums.num_rows) == (20, 17, 34)
    assert list(opened.kinds) == ["WAV PCM_16, 16000 Hz, 1 channel"]
    assert len(opened.candidates) == 17
    assert opened.header_seconds > 0


def test_a_sample_of_many_recordings_is_opened(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(32_000))
    paths = [f"{tmp_path}/{number}.wav" for number in range(200)]
    for path in paths:
        Path(path).hardlink_to(tmp_path / "a.wav")
    listed, opened = surveyed([Clip(path, path) for path in paths], max_recordings=20)
    assert listed.num_recordings == 200
    assert 3 < opened.num_recordings < 45  # 20 on average, by a hash of their paths
    again = surveyed([Clip(path, path) for path in reversed(paths)], max_recordings=20)[1]
    assert again.candidates == opened.candidates


def test_failures_of_others_are_counted() -> None:
    clips = [Clip(str(number), "a.wav") for number in range(5)]
    failures = [clip.failure("plan", "duplicate_id", "twice") for clip in clips]
    (found,) = outputs(SurveyFailures(), failures, "only")
    assert total(found).failures == {"duplicate_id": Failed(5, ("0", "1", "2"))}


@pytest.mark.parametrize(("suffix", "can_seek"), [("flac", True), ("mp3", False), ("ogg", False)])
def test_a_header_has_the_length_and_what_is_missing(
    tmp_path: Path, suffix: str, can_seek: bool
) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(320_000), 16_000)
    header = read_header(Clip("a", str(path)))
    assert header.seconds == pytest.approx(20, abs=0.2)
    assert (header.can_seek, header.missing) == (can_seek, None)
    path.write_bytes(path.read_bytes()[:-3_001])
    assert read_header(Clip("a", str(path))).missing


def test_a_missing_channel_is_an_error(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(32_000))
    with pytest.raises(AudioError, match="--channel=2, and the recording has 1"):
        read_header(Clip("a", f"{tmp_path}/a.wav"), channel=2)
