"""AAC in ADTS (ISO 14496-3), AC-3 and E-AC-3 (ETSI TS 102 366), as elementary streams."""

import re

from transforms.audio.evidence.formats import frames

_FAST_RATES_HZ = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050)
_RATES_HZ = (*_FAST_RATES_HZ, 16_000, 12_000, 11_025, 8_000, 7_350)
_AC3_RATES_HZ = (48_000, 44_100, 32_000)
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_BLOCK = 256
_LAST_AC3, _FIRST_EAC3, _LAST_EAC3 = 10, 11, 16


class Adts(frames.Codec):
    """Frames of AAC. Their sample rate is that of the core, which decoders may double."""

    name = "ADTS frame"
    header_bytes = 7
    sync = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]|" + frames.TAG_STARTS)
    tells_rate = False

    def parse(self, head: bytes) -> frames.Header | None:
        """Returns the header at the start of `head`; None if no frame begins there."""
        if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return None
        rate = head[2] >> 2 & 15
        num_bytes = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if rate >= len(_RATES_HZ) or num_bytes < 8:
            return None
        key = head[1] << 8 | head[2] & 0xFC
        return frames.Header(key, num_bytes, 1_024 * ((head[6] & 3) + 1), _RATES_HZ[rate])


class Ac3(frames.Codec):
    """Frames of AC-3 and E-AC-3. Those of dependent streams have no length of their own."""

    name = "AC-3 frame"
    header_bytes = 6
    sync = re.compile(rb"\x0b\x77|" + frames.TAG_STARTS)

    def parse(self, head: bytes) -> frames.Header | None:
        """Returns the header at the start of `head`; None if no frame begins there."""
        if len(head) < 6 or head[:2] != b"\x0b\x77":
            return None
        version, rate = head[5] >> 3, head[4] >> 6
        if version <= _LAST_AC3:
            code = head[4] & 63
            if rate == 3 or code >= 2 * len(_AC3_KBPS):
                return None
            kbps, rate_hz = _AC3_KBPS[code >> 1], _AC3_RATES_HZ[rate]
            words = kbps * 96_000 // rate_hz + (code & 1 if rate == 1 else 0)
            return frames.Header(rate, 2 * words, 6 * _AC3_BLOCK, rate_hz)
        if not _FIRST_EAC3 <= version <= _LAST_EAC3:
            return None
        num_bytes = 2 * (((head[2] & 7) << 8 | head[3]) + 1)
        blocks = (1, 2, 3, 6)[head[4] >> 4 & 3] if rate < 3 else 6
        if rate == 3:
            reduced = head[4] >> 4 & 3
            if reduced == 3:
                return None
            rate_hz = _AC3_RATES_HZ[reduced] // 2
        else:
            rate_hz = _AC3_RATES_HZ[rate]
        is_dependent = head[2] >> 6 == 1 or head[2] >> 3 & 7  # or another program
        num_samples = 0 if is_dependent else blocks * _AC3_BLOCK
        return frames.Header(16 + rate, num_bytes, num_samples, rate_hz)
