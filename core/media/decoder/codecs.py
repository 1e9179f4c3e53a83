"""The decoders that may look at a stranger's bytes."""

from __future__ import annotations

CODECS = frozenset((
    "aac", "aac_latm", "ac3", "eac3", "alac", "amrnb", "amrwb", "dca", "flac", "gsm", "gsm_ms",
    "libgsm", "libgsm_ms", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float",
    "mp3adufloat", "nellymoser", "opus", "libopus", "libopencore_amrnb", "libopencore_amrwb",
    "qcelp", "speex", "libspeex", "vorbis", "libvorbis", "wmalossless", "wmapro", "wmav1",
    "wmav2", "wmavoice", "adpcm_g722", "adpcm_g726", "adpcm_g726le", "adpcm_ima_qt",
    "adpcm_ima_wav", "adpcm_ms", "adpcm_swf", "adpcm_yamaha", "g722", "g723_1", "g729", "ilbc",
))  # fmt: skip
"""ffmpeg's names of what recorders, telephones and browsers write, besides plain PCM.

Every decoder more is one more that a stranger can attack.
"""


def is_allowed(codec: str) -> bool:
    """Tell whether this decoder may look at a stranger's bytes."""
    return codec in CODECS or codec.startswith("pcm_")
