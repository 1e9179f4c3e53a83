"""Damage: what is whole stays at its time, what is lost is told with its place, and nobody is
warned of a whole file.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest

from core.errors import DamagedAudio
from tests import media
from tests.hearing import beep_starts, read

SECONDS = 24
PLACE = re.compile(r"([\d.]+) to ([\d.]+) s")


def encoded(path: Path, seconds: float = SECONDS) -> bytes:
    """Beeps in the format that the name says."""
    return media.encode(path, media.beeps(seconds)).read_bytes()


def concatenated(path: Path, *parts: bytes) -> Path:
    """Files in a row, as one."""
    path.write_bytes(b"".join(parts))
    return path


# Damage in the middle


@pytest.mark.parametrize("filling", ["zeros", "noise", "nothing"])
@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus", "m4a", "aac"])
def test_damage_in_the_middle_is_told_and_shifts_nothing(
    suffix: str, filling: str, tmp_path: Path
) -> None:
    """The sound behind it is where it was, to a fraction of a second; the warning names the
    stretch.
    """
    path = tmp_path / f"a.{suffix}"
    content = bytearray(encoded(path))
    first, last = len(content) * 2 // 5, len(content) // 2
    fill = {
        "zeros": bytes(last - first),
        "noise": np.random.default_rng(1).bytes(last - first),
        "nothing": b"",
    }[filling]
    if suffix == "m4a" and filling == "nothing":
        fill = bytes(last - first)  # its index counts bytes: a hole would be another damage
    content[first:last] = fill
    path.write_bytes(content)
    waveform = read(path)
    told = " ".join(waveform.warnings)
    if filling == "nothing" and suffix in ("mp3", "aac"):
        # Such a format has neither stamps nor a trace of what was cut out of it.
        assert waveform.duration == pytest.approx(SECONDS * 0.9, abs=1.5)
        return
    assert waveform.duration == pytest.approx(SECONDS, abs=0.6)
    found = PLACE.search(told)
    assert found, told
    assert 3 < float(found[1]) < float(found[2]) < SECONDS - 3
    late = [start for start in beep_starts(waveform.samples) if start > float(found[2]) + 0.5]
    offsets = np.array(late) - np.round(late)
    assert len(late) >= 3
    assert np.abs(offsets).max() < 0.4
    assert np.ptp(offsets) < 0.06


def test_damage_outside_of_the_range_is_not_told(tmp_path: Path) -> None:
    """Who asks for the first seconds misses nothing."""
    path = tmp_path / "a.flac"
    content = bytearray(encoded(path))
    content[len(content) // 2 : len(content) * 3 // 5] = bytes(
        len(content) * 3 // 5 - len(content) // 2
    )
    path.write_bytes(content)
    assert read(path, start_s=1, end_s=6).warnings == ()
    assert read(path).warnings != ()


# What changes inside a file


@pytest.mark.parametrize(
    "options",
    [("-ar", "44100", "-ac", "1"), ("-ar", "48000", "-ac", "2"), ("-ar", "16000", "-ac", "1")],
    ids=["mono", "48k", "16k"],
)
@pytest.mark.parametrize("kind", [("mp3", "libmp3lame"), ("aac", "aac"), ("ac3", "ac3")], ids=str)
def test_a_change_of_rate_or_channels_does_not_move_the_clock(
    kind: tuple[str, str], options: tuple[str, ...], tmp_path: Path
) -> None:
    """Behind it sound is where it was counted to be, and a range ends where it should."""
    if kind[1] == "ac3" and "16000" in options:
        options = ("-ar", "32000", "-ac", "1")
    suffix, codec = kind
    plain = media.write_wav(tmp_path / "plain.wav", media.beeps(8))
    parts = []
    for number, chosen in enumerate([("-ar", "44100", "-ac", "2"), options] * 3):
        path = tmp_path / f"{number}.{suffix}"
        media.ffmpeg("-i", plain, "-c:a", codec, *chosen, "-write_xing", "0", path) if (
            suffix == "mp3"
        ) else media.ffmpeg("-i", plain, "-c:a", codec, *chosen, path)
        parts.append(path.read_bytes())
    path = concatenated(tmp_path / f"a.{suffix}", *parts)
    whole = read(path)
    assert whole.duration == pytest.approx(48, abs=0.8)
    assert whole.warnings == ()
    assert len(beep_starts(whole.samples)) == 48
    part = read(path, start_s=20, end_s=30)
    assert part.duration == pytest.approx(10, abs=0.01)
    same = whole.samples[20 * 16_000 : 30 * 16_000]
    # The resampler begins within a sample of where it was.
    assert beep_starts(part.samples) == pytest.approx(beep_starts(same), abs=2e-4)


# Recordings in a row


@pytest.mark.parametrize("suffix", ["ogg", "opus", "wav", "webm", "mka", "mp3", "aac", "m4a"])
def test_recordings_in_a_row_are_all_heard(suffix: str, tmp_path: Path) -> None:
    """One behind the other, as a chain of Ogg, or as files that somebody joined."""
    parts = [encoded(tmp_path / f"{number}.{suffix}", 6 + number) for number in range(3)]
    waveform = read(concatenated(tmp_path / f"a.{suffix}", *parts))
    assert waveform.duration == pytest.approx(21, abs=0.4)
    assert len(beep_starts(waveform.samples)) == 21
    assert waveform.warnings == ()


def test_a_part_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """With its place."""
    good = encoded(tmp_path / "good.wav", 5)
    broken = b"RIFF" + struct.pack("<I", 1000) + b"WAVE" + b"fmt " + bytes(200)
    waveform = read(concatenated(tmp_path / "a.wav", good, broken))
    assert waveform.duration == 5
    assert any("5.0 s" in warning for warning in waveform.warnings)


@pytest.mark.parametrize("said", [0.1, 0.5, 0.9])
def test_more_sound_than_the_header_says_is_heard(said: float, tmp_path: Path) -> None:
    """A recorder died before it wrote the length of all."""
    path = media.write_wav(tmp_path / "a.wav", media.beeps(12) + 0.001)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 40, int(said * (len(content) - 44)) // 2 * 2)
    path.write_bytes(content)
    assert read(path).duration == pytest.approx(12, abs=0.01)


# No false alarms


@pytest.mark.parametrize("missing", [-22, -2, 8, 200])
@pytest.mark.parametrize("place", [4, 40])
def test_a_length_that_is_a_little_wrong_is_no_damage(
    place: int, missing: int, tmp_path: Path
) -> None:
    """Some writers count their own header."""
    path = media.write_wav(tmp_path / "a.wav", media.beeps(6))
    content = bytearray(path.read_bytes())
    said = struct.unpack_from("<I", content, place)[0] + missing
    struct.pack_into("<I", content, place, said)
    path.write_bytes(content)
    waveform = read(path)
    assert (waveform.duration, waveform.warnings) == (pytest.approx(6, abs=0.01), ())


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_a_picture_that_is_longer_than_the_sound_is_no_damage(suffix: str, tmp_path: Path) -> None:
    """The film goes on in silence."""
    plain = media.write_wav(tmp_path / "plain.wav", media.beeps(5))
    video, sound = ("libvpx", "libopus") if suffix == "webm" else ("mpeg4", "aac")
    picture = ("-f", "lavfi", "-i", "color=c=blue:s=32x32:r=5:d=20")
    path = tmp_path / f"a.{suffix}"
    media.ffmpeg("-i", plain, *picture, "-c:v", video, "-c:a", sound, path)
    waveform = read(path)
    assert (waveform.duration, waveform.warnings) == (pytest.approx(5, abs=0.1), ())


@pytest.mark.parametrize("offset", ["30", "3600"])
@pytest.mark.parametrize("suffix", ["mka", "webm", "ogg"])
def test_stamps_that_begin_late_are_the_start(suffix: str, offset: str, tmp_path: Path) -> None:
    """A part of a broadcast is no hour of silence."""
    whole = tmp_path / f"whole.{suffix}"
    encoded(whole, 5)
    path = tmp_path / f"a.{suffix}"
    media.ffmpeg("-i", whole, "-c", "copy", "-output_ts_offset", offset, path)
    waveform = read(path)
    assert (waveform.duration, waveform.warnings) == (pytest.approx(5, abs=0.1), ())


@pytest.mark.parametrize("tag", ["id3", "id3v1", "ape"])
def test_tags_in_the_middle_are_no_damage(tag: str, tmp_path: Path) -> None:
    """As between songs that were joined."""
    content = encoded(tmp_path / "plain.mp3", 6)
    tags = {
        "id3": b"ID3\x04\x00\x00\x00\x02\x00\x00" + bytes(range(1, 129)) * 256,
        "id3v1": b"TAG" + b"title ".ljust(125),
        "ape": b"APETAGEX" + struct.pack("<IIII", 2000, 9_000, 1, 0) + bytes(8) + b"x" * 9_000,
    }
    waveform = read(concatenated(tmp_path / "a.mp3", content, tags[tag], content))
    assert (waveform.duration, waveform.warnings) == (pytest.approx(12, abs=0.2), ())


# Time stamps


@pytest.mark.parametrize("jitter_ms", [100, 200, 400])
@pytest.mark.parametrize("suffix", ["mka", "webm"])
def test_stamps_that_jitter_are_counted_over(suffix: str, jitter_ms: int, tmp_path: Path) -> None:
    """Packets that come in bursts belong together."""
    whole = tmp_path / f"whole.{suffix}"
    encoded(whole, 12)
    path = tmp_path / f"a.{suffix}"
    burst = f"setts=ts=floor((TS+9)/{jitter_ms})*{jitter_ms}"
    media.ffmpeg("-i", whole, "-c", "copy", "-bsf:a", burst, path)
    waveform = read(path)
    assert waveform.warnings == ()
    assert beep_starts(waveform.samples) == pytest.approx(range(12), abs=0.1)


def test_silence_for_a_gap_is_told(tmp_path: Path) -> None:
    """With its place."""
    whole, path = tmp_path / "whole.mka", tmp_path / "a.mka"
    encoded(whole, 4)
    gap = "setts=ts=TS+if(gte(TS\\,1990)\\,2000\\,0)"
    media.ffmpeg("-i", whole, "-c", "copy", "-bsf:a", gap, path)
    assert "2.0 to 4.0 s" in " ".join(read(path).warnings)


@pytest.mark.parametrize("said", [2**62, 2**40])
def test_a_size_beyond_all_measure_is_a_cut(said: int, tmp_path: Path) -> None:
    """However much the file is said to hold, what is there is heard."""
    path = tmp_path / "a.caf"
    content = bytearray(encoded(path, 4))
    struct.pack_into(">q", content, content.index(b"data") + 4, said)
    path.write_bytes(content)
    waveform = read(path)
    assert waveform.duration == pytest.approx(4, abs=0.01)
    assert "up to 4.0 s" in waveform.warnings[0]


def test_a_size_that_ends_behind_all_numbers_is_damage(tmp_path: Path) -> None:
    """It is told, and nothing is invented."""
    path = tmp_path / "a.caf"
    content = bytearray(encoded(path, 4))
    struct.pack_into(">q", content, content.index(b"data") + 4, 2**63 - 1)
    path.write_bytes(content)
    with pytest.raises(DamagedAudio):
        read(path)
