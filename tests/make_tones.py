"""Makes the files of `transforms/audio/tones`: `python -m tests.make_tones`.

They are made once and kept, so that every installation decodes the same bytes; a codec's own
encoder would not show that its decoder understands those of others.
"""

import io
from typing import Any

import av
import numpy as np
import soundfile

from transforms.audio import codecs

# FFmpeg's names of container and codec, and a bit rate where the default is large.
_BY_FFMPEG = {
    "aac.m4a": ("mp4", "aac", 64_000),
    "alac.m4a": ("mp4", "alac", None),
    "aac.aac": ("adts", "aac", 64_000),
    "wma.wma": ("asf", "wmav2", 64_000),
    "amr.amr": ("amr", "libopencore_amrnb", None),
    "ac3.ac3": ("ac3", "ac3", 64_000),
    "wavpack.wv": ("wv", "wavpack", None),
    "g722.g722": ("g722", "g722", None),
    "opus.webm": ("webm", "libopus", 32_000),
    "video.mp4": ("mp4", "aac", 64_000),
}
_BY_LIBSNDFILE = {
    "pcm.wav": ("WAV", "PCM_16"),
    "pcm.aiff": ("AIFF", "PCM_16"),
    "flac.flac": ("FLAC", "PCM_16"),
    "mp3.mp3": ("MP3", "MPEG_LAYER_III"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "opus.opus": ("OGG", "OPUS"),
}


def _by_ffmpeg(name: str, sound: np.ndarray, rate_hz: int) -> bytes:
    container, codec, bit_rate = _BY_FFMPEG[name]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        # Of a name that is known when the program runs, as PyAV's types see it, it may be anything.
        stream: Any = output.add_stream(codec, rate=rate_hz, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        if name.startswith("video"):
            video = output.add_stream("mpeg4", rate=10)
            video.width = video.height = 32
            for index in range(int(10 * codecs.SECONDS)):
                image = av.VideoFrame(32, 32, "yuv420p")
                for plane in image.planes:
                    plane.update(bytes(plane.buffer_size))
                image.pts = index
                output.mux(video.encode(image))
            output.mux(video.encode(None))
        context = stream.codec_context
        whole = av.AudioFrame.from_ndarray(sound[np.newaxis], "fltp", "mono")
        whole.sample_rate = rate_hz
        whole.pts = 0
        resampler = av.AudioResampler(
            context.format, "mono", rate_hz, frame_size=context.frame_size or 1_024
        )
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def main() -> None:
    for tone in codecs.TONES:
        sound = codecs.tone(tone.sample_rate_hz)
        if tone.file in _BY_LIBSNDFILE:
            buffer = io.BytesIO()
            kind, subtype = _BY_LIBSNDFILE[tone.file]
            soundfile.write(buffer, sound, tone.sample_rate_hz, format=kind, subtype=subtype)
            data = buffer.getvalue()
        else:
            data = _by_ffmpeg(tone.file, sound, tone.sample_rate_hz)
        (codecs.FOLDER / tone.file).write_bytes(data)


if __name__ == "__main__":
    main()
