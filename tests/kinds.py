"""Kinds of sound file: how each is made, and how closely it decodes to what FFmpeg's program gives.

`python -m tests.kinds` prints the table of docs/formats.md.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple


class Sound(NamedTuple):
    """Rate and number of channels of a recording."""

    rate_hz: int
    num_channels: int


STEREO = Sound(44_100, 2)
DAT = Sound(48_000, 2)
STUDIO = Sound(96_000, 2)
SURROUND = Sound(48_000, 6)
CINEMA = Sound(48_000, 8)
PHONE = Sound(8_000, 1)
WIDEBAND = Sound(16_000, 1)
MPEG_2 = Sound(22_050, 1)
FULL_BAND = Sound(48_000, 1)


# Of FFmpeg's two decoders of Opus the reference, without rounding to 16 bits.
_READ_OPUS = "-c:a libopus -request_sample_fmt flt"
# A second input of FFmpeg's program, as the picture of an album.
_COVER = (
    "-f lavfi -i color=size=64x64:duration=0.04 -map 0:a -map 1:v -c:v png"
    " -disposition:v attached_pic"
)


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far samples may be from those of FFmpeg's program, and why.

    Attributes:
      difference: Largest difference of a sample; full scale is 1.
      num_frames: Largest difference of the length, in frames at the recording's rate.
      reason: Why they may differ at all.
    """

    difference: float
    num_frames: int
    reason: str


EXACT = Tolerance(0.0, 0, "the samples are what was stored")
STANDARD = Tolerance(0.0, 0, "the standard says every bit")
MEAN = Tolerance(2.0**-23, 0, "the mean of many channels is rounded")
SAME_DECODER = Tolerance(3e-7, 0, "one decoder: its versions differ in the order of sums")
LIBVORBIS = Tolerance(1e-6, 0, "libvorbis here, FFmpeg's own decoder there")
ONE_BLOCK = Tolerance(1e-6, 1_024, "FFmpeg's own decoder gives the whole first block")
PADDING = Tolerance(3e-7, 1_536, "the padding of the last packet, which one of the two keeps")
LIBOPUS = Tolerance(2e-6, 0, "libopus, in two versions")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of sound file.

    Attributes:
      name: Name for people.
      suffix: Suffix of the file, with the dot.
      encoding: Arguments of FFmpeg's program between its input and the file; or, after `@`, the
        name of a function of `tests.making_kinds`.
      sound: Rate and number of channels.
      decoder: Decoder that the product takes.
      is_seekable: Whether the product reads it from any position.
      tolerance: How closely it decodes to what FFmpeg's program gives.
      audio_delay: Seconds by which the audio starts after the video; None without a video.
      reading: Arguments of FFmpeg's program in front of the file, to read it.
      num_frames: Frames that are encoded; None for all of the source.
      is_timed: Whether FFmpeg's program follows the times of the frames; it does not where those
        are wrong, or include the delay of its decoder.
      num_silent: Frames of silence that this leaves out: of audio that starts late.
    """

    name: str
    suffix: str
    encoding: str
    sound: Sound = STEREO
    decoder: str = "FFmpeg"
    is_seekable: bool = False
    tolerance: Tolerance = SAME_DECODER
    audio_delay: float | None = None
    reading: str = ""
    num_frames: int | None = None
    is_timed: bool = True
    num_silent: int = 0

    @property
    def has_one_rate(self) -> bool:
        """Whether its parts, if it has several, have one sample rate."""
        return not self.encoding.endswith("two_rates")


def _linear(
    name: str,
    suffix: str,
    encoding: str,
    sound: Sound = STEREO,
    num_frames: int | None = None,
    reading: str = "",
) -> Kind:
    tolerance = EXACT if sound.num_channels <= 2 else MEAN
    return Kind(
        name, suffix, encoding, sound, "libsndfile", True, tolerance, None, reading, num_frames
    )


def _lossless(name: str, suffix: str, encoding: str, sound: Sound = STEREO) -> Kind:
    return Kind(name, suffix, encoding, sound, tolerance=EXACT)


def _vorbis(name: str, suffix: str, encoding: str, sound: Sound = STEREO) -> Kind:
    return Kind(name, suffix, encoding, sound, "libsndfile", tolerance=LIBVORBIS)


def _opus(
    name: str,
    suffix: str,
    options: str,
    sound: Sound = DAT,
    audio_delay: float | None = None,
    num_frames: int | None = None,
) -> Kind:
    encoding = options if options.startswith("@") else f"-c:a libopus {options}"
    return Kind(
        name,
        suffix,
        encoding,
        sound,
        tolerance=LIBOPUS,
        audio_delay=audio_delay,
        reading=_READ_OPUS,
        num_frames=num_frames,
    )


KINDS: Sequence[Kind] = (
    _linear("WAV, 8 bit", ".wav", "-c:a pcm_u8"),
    _linear("WAV, 16 bit", ".wav", "-c:a pcm_s16le"),
    _linear("WAV, 24 bit", ".wav", "-c:a pcm_s24le"),
    _linear("WAV, 32 bit", ".wav", "-c:a pcm_s32le"),
    _linear("WAV, float", ".wav", "-c:a pcm_f32le"),
    _linear("WAV, 64-bit float", ".wav", "-c:a pcm_f64le"),
    _linear("WAV, A-law", ".wav", "-c:a pcm_alaw", PHONE),
    _linear("WAV, µ-law", ".wav", "-c:a pcm_mulaw", PHONE),
    _linear("WAV, 96 kHz", ".wav", "-c:a pcm_s24le", STUDIO),
    _linear("WAV, 5.1 (extensible)", ".wav", "-c:a pcm_s16le", SURROUND),
    _linear("WAV, 7.1", ".wav", "-c:a pcm_s24le", CINEMA),
    _linear("WAV of one sample", ".wav", "-c:a pcm_s16le", WIDEBAND, num_frames=1),
    _linear("WAV written to a pipe", ".wav", "@wav_pipe"),
    _linear("RF64", ".wav", "-c:a pcm_s16le -rf64 always"),
    _linear("W64", ".w64", "-c:a pcm_s16le"),
    Kind("WAV, IMA ADPCM", ".wav", "-c:a adpcm_ima_wav"),
    Kind("WAV, Microsoft ADPCM", ".wav", "-c:a adpcm_ms"),
    Kind("WAV, Yamaha ADPCM", ".wav", "-c:a adpcm_yamaha"),
    Kind("WAV, GSM 6.10", ".wav", "@gsm_wav", PHONE, tolerance=STANDARD),
    Kind("WAV, G.726", ".wav", "-c:a g726 -b:a 32k", PHONE),
    Kind("WAV, G.723.1", ".wav", "-c:a g723_1 -b:a 6300", PHONE),
    Kind("WAV, MP2", ".wav", "-c:a mp2"),
    Kind("WAV, MP3", ".wav", "-c:a libmp3lame -b:a 128k"),
    Kind("WAV, AC-3", ".wav", "-c:a ac3", DAT),
    Kind("WAV, DTS", ".wav", "-c:a dca -strict -2", DAT),
    Kind("WAV, WMA 2", ".wav", "-c:a wmav2", is_timed=False),
    _linear("AIFF, 16 bit", ".aiff", "-c:a pcm_s16be"),
    _linear("AIFF, 24 bit", ".aiff", "-c:a pcm_s24be"),
    _linear("AIFC, little-endian", ".aifc", "-c:a pcm_s16le -f aiff"),
    _linear("AIFC, float", ".aifc", "-c:a pcm_f32be -f aiff"),
    _linear("AIFC, µ-law", ".aifc", "-c:a pcm_mulaw -f aiff", PHONE),
    Kind("AIFC, IMA ADPCM", ".aifc", "-c:a adpcm_ima_qt -f aiff"),
    _linear("AU, 16 bit", ".au", "-c:a pcm_s16be"),
    _linear("AU, µ-law", ".au", "-c:a pcm_mulaw", PHONE),
    _linear("AU written to a pipe", ".au", "@au_pipe"),
    _linear("CAF, 16 bit", ".caf", "-c:a pcm_s16le"),
    _linear("CAF, float", ".caf", "-c:a pcm_f32be"),
    _lossless("CAF, ALAC", ".caf", "-c:a alac"),
    Kind("CAF, IMA ADPCM", ".caf", "-c:a adpcm_ima_qt"),
    _linear("NIST SPHERE", ".sph", "@nist", WIDEBAND),
    _lossless("VOC", ".voc", "-c:a pcm_s16le"),
    Kind("IRCAM", ".sf", "-c:a pcm_s16le -f ircam", decoder="libsndfile", tolerance=EXACT),
    _linear("FLAC, 16 bit", ".flac", "-c:a flac -sample_fmt s16"),
    _linear("FLAC, 24 bit", ".flac", "-c:a flac -sample_fmt s32 -bits_per_raw_sample 24"),
    _linear("FLAC, 8 bit", ".flac", "@flac_8_bit"),
    _linear("FLAC, 96 kHz", ".flac", "-c:a flac -sample_fmt s16", STUDIO),
    _linear("FLAC, 5.1", ".flac", "-c:a flac -sample_fmt s16", SURROUND),
    _linear("FLAC, 7.1", ".flac", "-c:a flac -sample_fmt s16", CINEMA),
    _linear("FLAC of whole blocks", ".flac", "@flac", num_frames=8 * 4_096),
    _linear("FLAC of one sample", ".flac", "@flac", WIDEBAND, num_frames=1),
    _linear("FLAC written to a pipe", ".flac", "@flac_pipe"),
    _lossless("FLAC in Ogg", ".oga", "-c:a flac -sample_fmt s16"),
    _vorbis("Vorbis", ".ogg", "-c:a libvorbis"),
    _vorbis("Vorbis, mono", ".ogg", "-c:a libvorbis", MPEG_2),
    _vorbis("Vorbis, 96 kHz", ".ogg", "-c:a libvorbis", STUDIO),
    _vorbis("Vorbis, 5.1", ".ogg", "-c:a libvorbis", SURROUND),
    _vorbis("Vorbis of libsndfile", ".ogg", "@vorbis"),
    Kind(
        "Vorbis of one sample",
        ".ogg",
        "-c:a libvorbis",
        WIDEBAND,
        "libsndfile",
        False,
        ONE_BLOCK,
        num_frames=1,
    ),
    _opus("Opus", ".opus", "-b:a 96k"),
    _opus("Opus, speech", ".opus", "-application voip -b:a 16k", FULL_BAND),
    _opus("Opus, discontinuous", ".opus", "-application voip -dtx 1 -b:a 12k", FULL_BAND),
    _opus("Opus, 5.1", ".opus", "-mapping_family 1", SURROUND),
    _opus("Opus of three samples", ".opus", "", FULL_BAND, num_frames=3),
    Kind("Ogg (Theora, Vorbis)", ".ogv", "-c:v libtheora -c:a libvorbis", audio_delay=0),
    _vorbis("Ogg, chained", ".ogg", "@vorbis_twice"),
    _vorbis("Ogg, chained with another rate", ".ogg", "@vorbis_two_rates"),
    _opus("Opus, chained", ".opus", "@opus_twice"),
    Kind("MP3, constant bit rate", ".mp3", "-c:a libmp3lame -b:a 128k"),
    Kind("MP3, variable bit rate", ".mp3", "-c:a libmp3lame -q:a 4"),
    Kind("MP3, no Xing header", ".mp3", "-c:a libmp3lame -write_xing 0 -id3v2_version 0"),
    Kind("MP3, variable, no Xing header", ".mp3", "-c:a libmp3lame -q:a 4 -write_xing 0"),
    Kind("MP3, ID3v1 and ID3v2", ".mp3", "-c:a libmp3lame -write_id3v1 1 -metadata title=a"),
    Kind("MP3, APE tag", ".mp3", "@mp3_ape"),
    Kind("MP3 with a cover", ".mp3", f"{_COVER} -c:a libmp3lame"),
    Kind("MP3, mono, 22.05 kHz (MPEG-2)", ".mp3", "-c:a libmp3lame", MPEG_2),
    Kind("MP3, mono, 8 kHz (MPEG-2.5)", ".mp3", "-c:a libmp3lame", PHONE),
    Kind("MP3, plain stereo", ".mp3", "-c:a libmp3lame -joint_stereo 0"),
    Kind("MP3 of libsndfile", ".mp3", "@mp3"),
    Kind("MP3 of whole frames", ".mp3", "-c:a libmp3lame", num_frames=80 * 1_152),
    Kind("MP3 of one sample", ".mp3", "-c:a libmp3lame", WIDEBAND, num_frames=1),
    Kind("MP3, concatenated", ".mp3", "@mp3_twice"),
    Kind("MP3 without headers, concatenated", ".mp3", "@mp3_plain_twice"),
    Kind("MP3, concatenated with another rate", ".mp3", "@mp3_two_rates"),
    Kind("MP2", ".mp2", "-c:a mp2"),
    Kind("AAC (ADTS)", ".aac", "-c:a aac"),
    Kind("AAC (LATM)", ".latm", "-c:a aac"),
    Kind("AAC in M4A", ".m4a", "-c:a aac"),
    Kind("AAC in M4A, mono, 16 kHz", ".m4a", "-c:a aac", WIDEBAND),
    Kind("AAC in M4A, 96 kHz", ".m4a", "-c:a aac", STUDIO),
    Kind("AAC in M4A, 5.1", ".m4a", "-c:a aac", SURROUND),
    Kind("AAC in M4A, 7.1", ".m4a", "-c:a aac", CINEMA),
    Kind("AAC in M4A, index first", ".m4a", "-c:a aac -movflags +faststart"),
    Kind("AAC in M4A with a cover", ".m4a", f"{_COVER} -c:a aac"),
    Kind("AAC in M4A of whole frames", ".m4a", "-c:a aac", num_frames=90 * 1_024),
    Kind("AAC in M4A, cut without encoding", ".m4a", "@m4a_cut", tolerance=PADDING),
    Kind(
        "AAC in fragmented MP4",
        ".mp4",
        "-c:a aac -movflags frag_keyframe+empty_moov",
        tolerance=PADDING,
    ),
    _lossless("ALAC in M4A", ".m4a", "-c:a alac -sample_fmt s16p"),
    _lossless("ALAC in M4A, 24 bit", ".m4a", "-c:a alac -sample_fmt s32p"),
    _lossless("ALAC in M4A, 96 kHz", ".m4a", "-c:a alac -sample_fmt s32p", STUDIO),
    _lossless("FLAC in MP4", ".mp4", "-c:a flac -sample_fmt s16 -strict -2"),
    Kind("Opus in MP4", ".mp4", "-c:a libopus", DAT, tolerance=PADDING, reading=_READ_OPUS),
    Kind("MP3 in MP4", ".mp4", "-c:a libmp3lame", tolerance=PADDING),
    Kind("AC-3 in MP4", ".mp4", "-c:a ac3", DAT, tolerance=PADDING),
    Kind("MP4 (MPEG-4, AAC)", ".mp4", "-c:v mpeg4 -c:a aac", audio_delay=0),
    Kind("MP4 (H.264, AAC)", ".mp4", "-c:v libx264 -c:a aac", audio_delay=0),
    Kind(
        "MP4, audio 0.75 s after the video",
        ".mp4",
        "-c:v mpeg4 -c:a aac",
        audio_delay=0.75,
        tolerance=PADDING,
    ),
    _lossless("MOV, PCM", ".mov", "-c:a pcm_s16le"),
    Kind("MOV (MPEG-4, PCM)", ".mov", "-c:v mpeg4 -c:a pcm_s16be", tolerance=EXACT, audio_delay=0),
    Kind("MOV, IMA ADPCM", ".mov", "-c:a adpcm_ima_qt", tolerance=PADDING),
    Kind(
        "MOV, audio 1 s after the video",
        ".mov",
        "-c:v mpeg4 -c:a pcm_s16le",
        tolerance=EXACT,
        audio_delay=1,
    ),
    Kind("3G2, AAC", ".3g2", "-c:a aac"),
    Kind("3GP, AMR", ".3gp", "-c:a libopencore_amrnb -b:a 12.2k", PHONE, tolerance=PADDING),
    Kind("AMR", ".amr", "-c:a libopencore_amrnb -b:a 12.2k", PHONE),
    Kind("AC-3", ".ac3", "-c:a ac3", DAT),
    Kind("AC-3, 5.1", ".ac3", "-c:a ac3", SURROUND),
    Kind("E-AC-3", ".eac3", "-c:a eac3", DAT),
    Kind("DTS", ".dts", "-c:a dca -strict -2", DAT),
    Kind("WMA 1", ".wma", "-c:a wmav1", is_timed=False),
    Kind("WMA 2", ".wma", "-c:a wmav2 -b:a 64k", is_timed=False),
    Kind(
        "WMV (WMV 2, WMA 2)",
        ".wmv",
        "-c:v wmv2 -c:a wmav2",
        audio_delay=0,
        is_timed=False,
        num_silent=2_029,
    ),
    _lossless("NUT, FLAC", ".nut", "-c:a flac -sample_fmt s16"),
    Kind("ADX", ".adx", "-c:a adpcm_adx"),
    Kind("Flash (MP3)", ".swf", "-c:a libmp3lame"),
    _lossless("MLP", ".mlp", "-c:a mlp -strict -2", DAT),
    _lossless("TrueHD", ".thd", "-c:a truehd -strict -2", DAT),
    _lossless("ASF, PCM", ".asf", "-c:a pcm_s16le"),
    _lossless("WavPack", ".wv", "-c:a wavpack -sample_fmt s16p"),
    _lossless("WavPack, float", ".wv", "-c:a wavpack -sample_fmt fltp"),
    _lossless("True Audio", ".tta", "-c:a tta -sample_fmt s16"),
    Kind("RealAudio", ".rm", "-c:a real_144", PHONE, is_timed=False),
    _opus("Matroska, Opus", ".mka", ""),
    Kind("Matroska, Vorbis", ".mka", "-c:a libvorbis"),
    _lossless("Matroska, FLAC", ".mka", "-c:a flac -sample_fmt s16"),
    _lossless("Matroska, PCM", ".mka", "-c:a pcm_s16le"),
    Kind("Matroska, AAC", ".mka", "-c:a aac"),
    Kind("Matroska, MP3", ".mka", "-c:a libmp3lame"),
    Kind("Matroska, DTS", ".mka", "-c:a dca -strict -2", DAT),
    _lossless("Matroska, WavPack", ".mka", "-c:a wavpack -sample_fmt s16p"),
    _opus("Matroska (MPEG-4, Opus)", ".mkv", "-c:v mpeg4", audio_delay=0),
    Kind("Matroska, audio 1.5 s later", ".mkv", "-c:v mpeg4 -c:a aac", audio_delay=1.5),
    _opus("WebM, Opus", ".webm", ""),
    _opus("WebM, Opus, discontinuous", ".webm", "-application voip -dtx 1 -b:a 12k", FULL_BAND),
    _opus("WebM written to a pipe", ".webm", "@webm_pipe"),
    Kind("WebM, Vorbis", ".webm", "-c:a libvorbis"),
    Kind("WebM (VP8, Vorbis)", ".webm", "-c:v libvpx -c:a libvorbis", audio_delay=0),
    Kind("Flash video (AAC)", ".flv", "-c:v flv1 -c:a aac", audio_delay=0),
    Kind("Flash video, MP3 alone", ".flv", "-c:a libmp3lame"),
    Kind("Flash video, Nellymoser", ".flv", "-c:a nellymoser", MPEG_2),
    Kind("Flash video, audio 1 s later", ".flv", "-c:v flv1 -c:a aac", audio_delay=1),
    Kind("AVI (MPEG-4, MP3)", ".avi", "-c:v mpeg4 -c:a libmp3lame", audio_delay=0),
    Kind("AVI, PCM", ".avi", "-c:v mpeg4 -c:a pcm_s16le", tolerance=EXACT, audio_delay=0),
    Kind("MPEG-TS (MPEG-2, AAC)", ".ts", "-c:v mpeg2video -c:a aac", audio_delay=0),
    Kind("MPEG-TS, AC-3", ".ts", "-c:a ac3", DAT),
    Kind("MPEG-TS, AAC in LATM", ".ts", "-c:a aac -mpegts_flags latm"),
    Kind("MPEG-TS, MP2", ".ts", "-c:a mp2"),
    Kind("MXF, PCM", ".mxf", "-c:v mpeg2video -c:a pcm_s16le", DAT, tolerance=EXACT, audio_delay=0),
    Kind("MPEG-PS (MPEG-2, MP2)", ".mpg", "-c:v mpeg2video -c:a mp2", audio_delay=0),
    Kind("DVD (MPEG-2, AC-3)", ".vob", "-c:v mpeg2video -c:a ac3", DAT, audio_delay=0),
    Kind("G.722", ".g722", "-c:a g722", WIDEBAND),
    Kind("G.723.1 without header", ".g723_1", "-c:a g723_1 -b:a 6300 -f g723_1", PHONE),
    Kind("GSM 6.10 without header", ".gsm", "@gsm", PHONE, "libsndfile", tolerance=STANDARD),
    _linear("µ-law without header", ".ul", "-f mulaw", PHONE, reading="-f mulaw -ar 8000"),
    _linear("A-law without header", ".al", "-f alaw", PHONE, reading="-f alaw -ar 8000"),
    _linear("PCM without header, 8 kHz", ".sln", "-f s16le", PHONE, reading="-f s16le -ar 8000"),
    _linear(
        "PCM without header, 16 kHz", ".sln16", "-f s16le", WIDEBAND, reading="-f s16le -ar 16000"
    ),
)


def table() -> str:
    """Returns the table of docs/formats.md, with a line for kinds of one suffix that are alike."""
    groups: dict[tuple[str, str, bool, Tolerance], list[str]] = {}
    for kind in KINDS:
        group = (kind.suffix, kind.decoder, kind.is_seekable, kind.tolerance)
        groups.setdefault(group, []).append(kind.name)
    lines = [
        "| suffix | kinds | decoder | any position | difference | reason |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (suffix, decoder, is_seekable, tolerance), names in groups.items():
        difference = f"{tolerance.difference:.0e}" if tolerance.difference else "none"
        if tolerance.num_frames:
            difference += f", {tolerance.num_frames} frames"
        cells = [f"`{suffix}`", "; ".join(names), decoder, "yes" if is_seekable else "no"]
        lines.append(f"| {' | '.join([*cells, difference, tolerance.reason])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
