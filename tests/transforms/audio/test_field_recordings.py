"""Recordings of kinds that people have reported, and files that fuzzing found: what is right."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest

from tests.span_results import VGGISH, Opener, clip, cut_into, read
from transforms.audio import decoding
from transforms.corpus.spans import single_task

FIELD, FAULTS = "data/field", "data/faults"
KEEP = dataclasses.replace(VGGISH, keep_damaged=True)
# Number of rows, and seconds to the millisecond.
WHOLE = {
    f"{FIELD}/19-mp3-concatenated-silent/cat_id3v1.mp3": (5, 5.0),
    f"{FIELD}/19-mp3-concatenated-silent/cat_tagged.mp3": (5, 5.0),
    f"{FIELD}/19-mp3-concatenated-silent/cat_vbr_tagged.mp3": (5, 5.0),
    f"{FIELD}/19-mp3-concatenated-silent/m_concat.mp3": (5, 5.0),
    f"{FIELD}/19-mp3-concatenated-silent/m_concat_rates.mp3": (5, 5.0),
    f"{FIELD}/21-ogg-flac-speex-theora-skeleton/flac.oga": (1, 1.5),
    f"{FIELD}/21-ogg-flac-speex-theora-skeleton/skeleton.ogg": (2, 2.5),
    f"{FIELD}/21-ogg-flac-speex-theora-skeleton/skeleton.opus": (2, 2.5),
    f"{FIELD}/21-ogg-flac-speex-theora-skeleton/sp.spx": (2, 2.5),
    f"{FIELD}/21-ogg-flac-speex-theora-skeleton/t.ogv": (2, 2.5),
    f"{FIELD}/23-wav-size-zero/size_data0.wav": (2, 2.5),
    f"{FIELD}/23-wav-size-zero/size_data0_LIST.wav": (2, 2.5),
    f"{FIELD}/24-wav-size-off/size_data_plus1.wav": (2, 2.5),
    f"{FIELD}/24-wav-size-off/size_data_plus44.wav": (2, 2.5),
    f"{FIELD}/24-wav-size-off/tts2e9.wav": (2, 2.5),
    # Without the mark of the end FFmpeg, like players, keeps the last packet's padding.
    f"{FIELD}/25-ogg-no-eos/noeos_tg.ogg": (2, 2.514),
    f"{FIELD}/25-ogg-no-eos/noeos_vorbis.ogg": (2, 2.5),
    f"{FIELD}/26-webm-starts-late/copyts.webm": (3, 3.014),
    f"{FIELD}/26-webm-starts-late/late.mkv": (2, 2.502),
    f"{FIELD}/26-webm-starts-late/late.webm": (2, 2.5),
    f"{FIELD}/28-flac-tail/ape.flac": (1, 1.5),
    f"{FIELD}/28-flac-tail/id3v1.flac": (1, 1.5),
    f"{FAULTS}/03-flac-length-lie/flac_2e36m1.flac": (2, 2.5),
    f"{FAULTS}/06-video-truncated/whole.mkv": (2, 2.016),
    f"{FAULTS}/06-video-truncated/whole.webm": (2, 2.0),
    f"{FAULTS}/10-flac-id3v1/drum.flac": (2, 2.285),
    f"{FAULTS}/10-flac-id3v1/drum_id3v1.flac": (2, 2.285),
    f"{FAULTS}/13-ogg-flac-speex/sp_speex.spx": (2, 2.5),
    f"{FAULTS}/13-ogg-flac-speex/st_fl.ogg": (1, 1.428),
    f"{FAULTS}/13-ogg-flac-speex/st_oga.oga": (1, 1.428),
}
# Where it breaks, in seconds; and the rows, if damage is kept.
DAMAGED = {
    f"{FIELD}/17-mp3-damaged-middle-silent/m_middrop.mp3": (3.744, 12),
    f"{FIELD}/17-mp3-damaged-middle-silent/nox_rand400.mp3": (3.744, 12),
    f"{FIELD}/17-mp3-damaged-middle-silent/nox_zero400.mp3": (3.744, 12),
    f"{FAULTS}/06-video-truncated/half.mkv": (0.896, 1),
    f"{FAULTS}/06-video-truncated/half.webm": (0.933, 1),
    f"{FAULTS}/06-video-truncated/start.mkv": (0.032, 1),
    f"{FAULTS}/07-wav-over-2g-cut/wav_7ffeffff.wav": (2.0, 2),
    f"{FAULTS}/07-wav-over-2g-cut/wav_7fff0001.wav": (2.0, 2),
}
NOT_AUDIO = {
    f"{FIELD}/31-not-audio-messages/html.mp3": 'the file is an HTML page: "403 Forbidden"',
    f"{FIELD}/31-not-audio-messages/html.wav": "the file is an HTML page",
    f"{FIELD}/31-not-audio-messages/json.mp3": "the file is JSON",
    f"{FIELD}/31-not-audio-messages/lfs.wav": "a git-lfs pointer (fetch the file: git lfs pull)",
    f"{FIELD}/31-not-audio-messages/rand1.mp3": "no decoder takes the file",
    f"{FIELD}/31-not-audio-messages/utf16.txt.wav": "the file is text in UTF-16",
    f"{FIELD}/31-not-audio-messages/xmlerr.flac": "the file is an XML error of a storage",
    f"{FAULTS}/11-suffix-decides/junk.bin": "the file is text",
    f"{FAULTS}/11-suffix-decides/junk.flac": "the file is text",
}


def opener_of(shared: Path, name: str) -> tuple[Opener, str]:
    path = shared / name
    return Opener(path.read_bytes()), path.suffix


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_recording_becomes_its_rows(shared: Path, name: str) -> None:
    num_rows, seconds = WHOLE[name]
    opener, suffix = opener_of(shared, name)
    for framing in (VGGISH, KEEP):
        results = read(opener, single_task([clip("a")]), framing, suffix)
        decoded = results.decoded("a")
        assert decoded.num_rows == num_rows
        assert decoded.end_seconds == pytest.approx(seconds, abs=0.0006)
        assert decoded.num_samples == pytest.approx(16_000 * decoded.end_seconds, abs=1)
        assert not results.damages


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_recording_fails_or_is_kept_and_says_so(shared: Path, name: str) -> None:
    seconds, num_rows = DAMAGED[name]
    opener, suffix = opener_of(shared, name)
    failure = read(opener, single_task([clip("a")]), VGGISH, suffix).failure("a")
    assert failure.reason == "decode_error"
    assert f"decoding failed after {seconds:.3f} s: " in failure.message
    results = read(opener, single_task([clip("a")]), KEEP, suffix)
    assert results.decoded("a").num_rows == num_rows
    first = min(results.damages)
    assert first.start_seconds == pytest.approx(seconds, abs=0.001)
    assert first.end_seconds > first.start_seconds


@pytest.mark.parametrize("name", NOT_AUDIO)
def test_what_is_not_audio_is_named(shared: Path, name: str) -> None:
    opener, suffix = opener_of(shared, name)
    failure = read(opener, single_task([clip("a")]), VGGISH, suffix).failure("a")
    assert failure.reason == "unsupported_format"
    assert NOT_AUDIO[name] in failure.message


def test_a_clip_of_a_video_whose_audio_starts_later_is_what_is_heard_then(shared: Path) -> None:
    data = (shared / FIELD / "30-audio-starts-late-in-video/delayed.mp4").read_bytes()
    with decoding.open_recording(io.BytesIO(data)) as recording:
        assert recording.sample_rate_hz == 44_100
        samples = np.concatenate([recording.read() for _ in range(3)])
        assert not len(recording.read())
    start = 65_092  # of the audio track, in samples: 1.476 s
    assert not samples[:start].any()
    assert samples[start : start + 10].any()
    results = read(data, single_task([clip("a", "2", "3"), clip("b", "0", "1")]), VGGISH)
    assert np.abs(results.patches("a")).max() > 0.01
    assert not results.patches("b").any()


def test_a_flac_that_claims_hours_ends_in_pieces_where_its_sound_ends(shared: Path) -> None:
    opener, _ = opener_of(shared, f"{FAULTS}/03-flac-length-lie/flac_2e36m1.flac")
    results = read(opener, single_task([clip("a")]), cut_into("1"))
    assert results.outcomes() == {"a#0": "ok", "a#1": "ok"}
    assert len(opener.opened) == 1


def test_a_failed_seek_is_one_failure(shared: Path) -> None:
    opener, suffix = opener_of(shared, f"{FAULTS}/15-ffmpeg-seek-unreadable/1000360_st_wma.wma")
    whole = read(opener, single_task([clip("a")]), VGGISH, suffix)
    assert whole.outcomes() == {"a": "decode_error"}
    pieces = read(opener, single_task([clip("a")]), cut_into("1"), suffix)
    assert pieces.outcomes() == {"a#0": "ok", "a#1": "decode_error"}
    assert "after 1.408 s: truncated: the file lacks 6 of" in pieces.failure("a#1").message


def test_a_suffix_decides_for_files_without_a_header_only(shared: Path) -> None:
    data = (shared / FAULTS / "11-suffix-decides/splice.g722").read_bytes()
    results = read(data, single_task([clip("a")]), VGGISH, ".g722")
    assert results.decoded("a").num_samples == 2 * len(data)
    assert results.decoded("a").decoder.startswith("PyAV")
