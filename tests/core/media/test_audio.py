"""Audio: every format becomes the same samples at the right times, what is no recording is refused,
no file but the given one is read.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import (
    AudioTooLong,
    Cancelled,
    DamagedAudio,
    DecodingTimedOut,
    EmptyAudio,
    NoAudioTrack,
    RangeOutsideAudio,
    UnsupportedAudio,
    WorkerError,
)
from core.media.audio import SAMPLE_RATE, Stream
from tests import media
from tests.hearing import beep_starts, level, read


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Twelve seconds of beeps in each format, made once; the names of the files tell nothing."""
    folder = tmp_path_factory.mktemp("recordings")
    return functools.cache(
        lambda suffix: media.encode(folder / f"a.{suffix}", media.beeps(12)).rename(
            folder / suffix.replace(".", "")
        )
    )


# Formats


@pytest.mark.parametrize("suffix", media.CODECS)
def test_every_format_becomes_the_same_sound_at_the_same_time(
    suffix: str, recording: Callable[[str], Path]
) -> None:
    """16 kHz mono, as loud and as long as what was encoded, beeps where they were."""
    waveform = read(recording(suffix))
    assert (waveform.samples.dtype, waveform.samples.ndim, waveform.warnings) == (np.float32, 1, ())
    assert waveform.duration == pytest.approx(12, abs=0.12)
    assert beep_starts(waveform.samples) == pytest.approx(range(12), abs=0.1)
    assert level(waveform.samples) == pytest.approx(level(media.beeps(12)), rel=0.15)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_the_sound_track_of_a_film_keeps_the_film_s_time(suffix: str, tmp_path: Path) -> None:
    """Also where the sound begins half a second after the picture."""
    path = media.film(tmp_path / f"a.{suffix}", media.beeps(3), "-itsoffset", "0.5")
    assert beep_starts(read(path).samples) == pytest.approx([0.5, 1.5, 2.5], abs=0.05)


def test_a_gap_in_the_time_stamps_is_silence(tmp_path: Path) -> None:
    """As in what browsers record while nobody speaks: the times behind it are those of the file."""
    whole = media.encode(tmp_path / "whole.mka", media.beeps(4))
    path = tmp_path / "gap.mka"
    media.ffmpeg(
        "-i", whole, "-c", "copy", "-bsf:a", "setts=ts=TS+if(gte(TS\\,1990)\\,2000\\,0)", path
    )
    assert beep_starts(read(path).samples) == pytest.approx([0, 1, 4, 5], abs=0.06)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_sound_that_needs_no_resampling_is_exact(suffix: str, subtype: str, tmp_path: Path) -> None:
    """To the 16 bits that are kept; an independent library is the witness."""
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, SAMPLE_RATE).astype(np.float32)
    soundfile.write(
        path,
        noise,
        SAMPLE_RATE,
        subtype="PCM_S8" if (suffix, subtype) == ("aiff", "PCM_U8") else subtype,
    )
    witness, _ = soundfile.read(path, dtype="float32")
    assert np.abs(read(path).samples - witness).max() <= 1 / 32_768


def test_two_channels_become_their_mean(tmp_path: Path) -> None:
    """Full scale on both does not clip, and a voice on one side alone is kept."""
    full, none = media.tone(1, level=1.0), media.tone(1, level=0.0)
    both = read(media.write_wav(tmp_path / "both.wav", np.stack((full, full), 1))).samples
    one = read(media.write_wav(tmp_path / "one.wav", np.stack((none, full), 1))).samples
    assert np.abs(both - full).max() < 2 / 32_768
    assert np.abs(one - full / 2).max() < 2 / 32_768


def test_a_channel_that_is_upside_down_does_not_silence_the_other(tmp_path: Path) -> None:
    """A miswired cable: the mean of the two would be nothing."""
    voice = media.tone(1)
    path = media.write_wav(tmp_path / "a.wav", np.stack((voice, -voice), 1))
    assert np.abs(read(path).samples - voice).max() < 2 / 32_768


def test_six_channels_are_mixed(tmp_path: Path) -> None:
    """A film's surround sound."""
    voice = media.tone(1)
    path = media.write_wav(tmp_path / "a.wav", np.stack((voice,) * 6, 1))
    samples = read(path).samples
    assert 0.5 * level(voice) < level(samples)
    assert np.abs(samples).max() <= 0.31


def test_the_first_of_several_sound_tracks_is_taken(tmp_path: Path) -> None:
    """The one that players choose."""
    one, two = (
        media.write_wav(tmp_path / "1.wav", media.tone(1)),
        media.write_wav(tmp_path / "2.wav", media.tone(1, level=0)),
    )
    media.ffmpeg("-i", one, "-i", two, "-map", "0", "-map", "1", tmp_path / "a.mkv")
    assert level(read(tmp_path / "a.mkv").samples) > 0.2


# Ranges


@pytest.mark.parametrize(
    "suffix", ["wav", "mp3", "flac", "ogg", "opus", "m4a", "webm", "wma", "aac", "amr"]
)
def test_a_range_is_that_part_of_the_whole(suffix: str, recording: Callable[[str], Path]) -> None:
    """Found by seeking, at the right place in every format."""
    part = read(recording(suffix), start_s=6.5, end_s=9.7)
    assert (part.start, part.end) == (6.5, pytest.approx(9.7, abs=0.1))
    assert beep_starts(part.samples) == pytest.approx([0.5, 1.5, 2.5], abs=0.1)


def test_a_range_of_plain_pcm_is_exact_to_the_sample(tmp_path: Path) -> None:
    """Nothing is lost or doubled between one range and the next."""
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 5 * SAMPLE_RATE).astype(np.float32)
    path = media.write_wav(tmp_path / "a.wav", samples)
    parts = [
        read(path, start_s=start, end_s=end).samples
        for start, end in ((0.0, 1.3), (1.3, 3.25), (3.25, 99.0))
    ]
    assert np.array_equal(np.concatenate(parts), read(path).samples)


@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "opus", "flac", "aac"])
def test_a_start_behind_the_end_is_told(suffix: str, recording: Callable[[str], Path]) -> None:
    """With the start that was asked for."""
    with pytest.raises(RangeOutsideAudio, match="start is 60 s"):
        read(recording(suffix), start_s=60)


@pytest.mark.parametrize("start_s", [1e13, 1.7e308])
def test_so_is_a_start_that_no_container_can_count(
    start_s: float, recording: Callable[[str], Path]
) -> None:
    """The recording is neither damaged, nor does anything break."""
    with pytest.raises(RangeOutsideAudio, match="start is 1"):
        read(recording("m4a"), start_s=start_s)


def test_an_end_behind_the_end_is_the_end(tmp_path: Path) -> None:
    """Nobody needs to know how long the recording is."""
    waveform = read(media.write_wav(tmp_path / "a.wav", media.tone(2)), start_s=1, end_s=1000)
    assert (waveform.duration, waveform.warnings) == (1, ())


# Length


@pytest.mark.parametrize("suffix", ["wav", "mp3", "opus"])
def test_a_recording_beyond_the_limit_is_refused(suffix: str, tmp_path: Path) -> None:
    """With the limit, and what to do."""
    path = media.encode(tmp_path / f"a.{suffix}", media.tone(12))
    with pytest.raises(AudioTooLong, match=r"longer than 10 s.*start and end"):
        read(path, max_duration_s=10)
    assert read(path, max_duration_s=10, start_s=1, end_s=11).duration == pytest.approx(
        10, abs=0.05
    )


def test_a_recording_as_long_as_the_limit_is_taken(tmp_path: Path) -> None:
    """To the sample."""
    path = media.write_wav(tmp_path / "a.wav", media.tone(10))
    assert read(path, max_duration_s=10).duration == 10
    media.write_wav(path, media.tone(10 + 1 / SAMPLE_RATE))
    with pytest.raises(AudioTooLong):
        read(path, max_duration_s=10)


def test_a_header_that_says_too_little_does_not_help(tmp_path: Path) -> None:
    """An mp3 whose header counts two seconds and whose frames are twenty."""
    short = media.encode(tmp_path / "short.mp3", media.tone(2)).read_bytes()
    long = media.encode(tmp_path / "long.mp3", media.tone(20)).read_bytes()
    path = tmp_path / "a.mp3"
    path.write_bytes(short + long)
    with pytest.raises(AudioTooLong):
        read(path, max_duration_s=10)


def test_time_stamps_far_in_the_future_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A file of a few kilobytes with a gap of ten hours ends in an answer, not in gigabytes."""
    path = tmp_path / "jump.mka"
    jump = "setts=ts=TS+if(gt(TS\\,1000)\\,36000000\\,0)"
    media.ffmpeg(
        "-i", media.encode(tmp_path / "a.mka", media.tone(2)), "-c", "copy", "-bsf:a", jump, path
    )
    with pytest.raises((AudioTooLong, DamagedAudio)):
        read(path, max_duration_s=30)


def test_a_stream_gives_the_same_samples_in_blocks(tmp_path: Path) -> None:
    """Of half a minute: all of it, in order."""
    path = media.encode(tmp_path / "a.flac", media.beeps(100))
    stream = Stream(path, max_duration_s=600)
    blocks = list(stream)
    assert len(blocks) == 4
    assert max(len(block) for block in blocks) < 40 * SAMPLE_RATE
    assert np.array_equal(np.concatenate(blocks), read(path).samples)
    assert (stream.warnings, stream.expected_s) == ((), 100)


# What is no recording


@pytest.mark.parametrize(
    "content",
    [
        b"hello", b"a,b\n" * 5000, b"<html><body>404</body></html>", b"{}" * 999, b"%PDF-1.7\n",
        b"PK\x03\x04" * 99, b"\x00" * 5000,
        b"1\n00:00:01,000 --> 00:00:02,000\nHello\n", b"\x7fELF" + bytes(range(256)) * 9,
        b"\x89PNG\r\n\x1a\n" + bytes(999), b"GIF89a" * 9,
    ],
    ids=["word", "csv", "html", "json", "pdf", "zip", "zeros", "srt", "elf", "png", "gif"],
)  # fmt: skip
def test_what_is_no_recording_is_unsupported(content: bytes, tmp_path: Path) -> None:
    """And the sentence says what is supported."""
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UnsupportedAudio, match="wav, mp3, flac"):
        read(path)


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_unsupported(seed: int, tmp_path: Path) -> None:
    """They are not called damaged, and no noise comes out of them."""
    path = tmp_path / "recording"
    path.write_bytes(b"\x00" + np.random.default_rng(seed).bytes(300_000))
    with pytest.raises(UnsupportedAudio):
        read(path)


def test_no_bytes_are_an_empty_recording(tmp_path: Path) -> None:
    """And so is a header without samples."""
    path = tmp_path / "recording"
    path.touch()
    with pytest.raises(EmptyAudio, match="no bytes"):
        read(path)
    media.write_wav(path, media.tone(0))
    with pytest.raises(EmptyAudio, match="no sound"):
        read(path)


def test_a_film_without_sound_has_no_track(tmp_path: Path) -> None:
    """It is neither damaged nor unsupported."""
    with pytest.raises(NoAudioTrack):
        read(media.silent_film(tmp_path / "a.mp4"))


@pytest.mark.parametrize("suffix", ["m4a", "mp4"])
def test_an_mp4_without_its_index_is_damaged(suffix: str, tmp_path: Path) -> None:
    """The index stands at the end, which an upload that broke off does not have."""
    path = tmp_path / f"a.{suffix}"
    media.film(path, media.tone(3)) if suffix == "mp4" else media.encode(path, media.tone(3))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DamagedAudio, match="send it again"):
        read(path)


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "aiff", "webm"])
def test_a_recording_cut_short_is_used_as_far_as_it_goes(
    suffix: str, recording: Callable[[str], Path], tmp_path: Path
) -> None:
    """And the caller is told how far that is."""
    path = tmp_path / "recording"
    content = recording(suffix).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    waveform = read(path)
    assert 3 < waveform.duration < 9
    assert f"up to {waveform.end:.1f} s" in waveform.warnings[0]


def test_a_header_alone_is_damaged(tmp_path: Path) -> None:
    """Of whatever format it is."""
    for suffix in ("flac", "ogg", "mp3", "webm"):
        path = media.encode(tmp_path / f"a.{suffix}", media.tone(3))
        os.truncate(path, 60)
        with pytest.raises((DamagedAudio, EmptyAudio)):
            read(path)


def test_a_wav_written_to_a_pipe_is_whole(tmp_path: Path) -> None:
    """Its header cannot know the length; that alone is no damage."""
    path = media.write_wav(tmp_path / "a.wav", media.tone(3))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert (read(path).duration, read(path).warnings) == (3, ())


@pytest.mark.parametrize("rate", [1, 100, 1_000_000])
def test_a_sample_rate_that_nobody_uses_is_refused(rate: int, tmp_path: Path) -> None:
    """At 1 Hz thirty kilobytes would be four hours."""
    path = media.write_wav(tmp_path / "a.wav", media.tone(1), rate=rate)
    with pytest.raises(UnsupportedAudio, match=f"{rate} Hz"):
        read(path)


def test_a_title_is_not_taken_for_what_the_decoder_says(tmp_path: Path) -> None:
    """Neither to hide a wrong sample rate, nor to make a good file look bad; and a long one hides
    nothing.
    """
    honest, forged = tmp_path / "honest.mkv", tmp_path / "forged.mkv"
    track = "Stream #0:0: Audio: pcm_s16le, {} Hz, mono"
    lies = f"x\n{track}\n  {track}\n[mp3 @ 0x0] misdetection possible\n"
    plain = media.write_wav(tmp_path / "a.wav", media.tone(1), rate=1)
    media.ffmpeg(
        "-i", plain, "-c", "copy", "-metadata", "title=" + lies.format(16_000, 16_000), forged
    )
    with pytest.raises(UnsupportedAudio, match="1 Hz"):
        read(forged)
    media.write_wav(plain, media.tone(1))
    media.ffmpeg(
        "-i",
        plain,
        "-c",
        "copy",
        "-metadata",
        "title=" + lies.format(1, 1) + "la " * 30_000,
        honest,
    )
    assert read(honest).duration == 1


# Other files


def playlists(canary: Path) -> dict[str, bytes]:
    """Files that name another file, by every way known to us; the other file lies next to them."""
    name, path = canary.name, str(canary)
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{path}\n#EXT-X-ENDLIST\n"
    return {
        "hls": hls.encode(),
        "hls-relative": hls.replace(path, name).encode(),
        "hls-file": hls.replace(path, f"file://{path}").encode(),
        "hls-concat": hls.replace(path, f"concat:{path}|{path}").encode(),
        "ffconcat": f"ffconcat version 1.0\nfile {name}\n".encode(),
        "ffconcat-absolute": f"ffconcat version 1.0\nfile '{path}'\n".encode(),
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 "
        b"RTP/AVP 0\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
        'type="static"><Period>'
        f'<AdaptationSet mimeType="audio/mp4">'
        '<Representation id="1" '
        f'bandwidth="1"><BaseURL>{path}</BaseURL></Representation></AdaptationSet></Period></MPD>'.encode(),
        "m3u": f"{path}\n".encode(),
        "pls": f"[playlist]\nFile1={path}\n".encode(),
        "asx": f'<asx version="3.0"><entry><ref href="{path}"/></entry></asx>'.encode(),
        "cue": f'FILE "{name}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'.encode(),
        "edl": f"# mpv EDL v0\n{path}\n".encode(),
        "svg": '<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image '
        f'xlink:href="file://{path}"/></svg>'.encode(),
        "rtsp": b"[Reference]\nRef1=rtsp://127.0.0.1/x\n",
        "avi-with-hls": b"RIFF\xff\xff\x00\x00AVI LIST\x14\x01\x00\x00hdrl"
        + bytes(300)
        + b"GAB2\x00"
        + hls.encode(),
        "id3-with-hls": b"ID3\x04\x00\x00\x00\x00\x00\x00" + hls.encode(),
        "smil": f'<smil><body><audio src="{path}"/></body></smil>'.encode(),
    }


@pytest.mark.parametrize("kind", playlists(Path("/x")))
def test_a_file_that_names_another_file_gives_none_of_it(kind: str, tmp_path: Path) -> None:
    """It is refused, and a name that ends in mp3 does not help."""
    canary = media.encode(tmp_path / "canary.mp3", media.tone(5))
    for name in ("recording", "a.mp3") if kind in ("hls", "ffconcat") else ("recording",):
        path = tmp_path / name
        path.write_bytes(playlists(canary)[kind])
        with pytest.raises((UnsupportedAudio, DamagedAudio)):
            read(path)


def test_without_the_list_of_formats_a_playlist_would_have_worked(tmp_path: Path) -> None:
    """So the tests above can fail: these libraries follow a list if they are let."""
    canary = media.encode(tmp_path / "canary.mp3", media.tone(5))
    path = tmp_path / "a.mp3"
    path.write_bytes(playlists(canary)["ffconcat"])
    with av.open(path, format="concat", options={"safe": "0"}) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 0


def test_a_reference_inside_an_mp4_is_not_followed(tmp_path: Path) -> None:
    """QuickTime tracks may lie in another file; ours may not."""
    canary = media.encode(tmp_path / "canary.m4a", media.tone(3))
    content = media.encode(tmp_path / "a.m4a", media.tone(3, level=0.0)).read_bytes()
    url = b"\x00\x00\x00\x0curl \x00\x00\x00\x01"
    assert content.count(url) == 1
    path = tmp_path / "b.mov"
    alias = str(canary).encode()
    path.write_bytes(
        content.replace(
            url,
            (12 + len(alias) + 1).to_bytes(4, "big") + b"url \x00\x00\x00\x00" + alias + b"\x00",
        )
    )
    with contextlib.suppress(WorkerError):
        assert level(read(path).samples) < 0.01


# Fuzz


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_recording_ends_in_samples_or_in_an_error_of_ours(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever bytes are changed, cut or doubled."""
    folder = tmp_path_factory.getbasetemp()
    suffix = data.draw(
        st.sampled_from(["wav", "mp3", "flac", "ogg", "m4a", "webm", "wma", "amr", "aiff"])
    )
    whole = folder / f"fuzz.{suffix}"
    if not whole.exists():
        media.encode(whole, media.beeps(1))
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    path = folder / "recording"
    path.write_bytes(content[:cut])
    with contextlib.suppress(WorkerError):
        samples = read(path, max_duration_s=30).samples
        assert len(samples) > 0
        assert np.isfinite(samples).all()


# Limits of the process


def test_a_job_that_nobody_wants_stops_decoding(tmp_path: Path) -> None:
    """In the middle, and leaves no process behind."""
    path = media.encode(tmp_path / "a.wav", media.tone(100))
    looks = iter([False] * 8)
    with pytest.raises(Cancelled):
        read(path, cancelled=lambda: next(looks, True))
    assert children() == []


def children() -> list[str]:
    """The processes that this one started and has not buried."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def stuck(folder: Path) -> str:
    """A program that never says anything and never ends, where Python is expected."""
    program = folder / "python"
    program.write_text("#!/bin/sh\nexec /bin/sleep 1000\n")
    program.chmod(0o755)
    return str(program)


def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    """At its time limit."""
    path = media.write_wav(tmp_path / "a.wav", media.tone(1))
    began = time.monotonic()
    with pytest.raises(DecodingTimedOut, match=r"within 0\.3 s"):
        read(path, python=stuck(tmp_path), timeout_s=0.3)
    assert time.monotonic() - began < 10
    assert children() == []


def test_the_time_that_the_reader_takes_is_not_the_decoder_s(tmp_path: Path) -> None:
    """A model that works between two blocks does not make the decoding time out."""
    began, idle_s = time.monotonic(), 0.0
    stream = Stream(
        media.write_wav(tmp_path / "a.wav", media.tone(200)),
        max_duration_s=600,
        timeout_s=60,
    )
    for _ in stream:
        paused = time.monotonic()
        threading.Event().wait(0.1)
        idle_s += time.monotonic() - paused
    assert idle_s > 0.5
    assert 60 - stream._main._decoder._left_s <= time.monotonic() - began - idle_s


def test_a_stream_that_is_dropped_ends_its_process(tmp_path: Path) -> None:
    """With the first block in hand."""
    path = media.encode(tmp_path / "a.wav", media.tone(200))
    blocks = iter(Stream(path, max_duration_s=600))
    next(blocks)
    assert children() != []
    del blocks
    assert children() == []


def test_the_decoder_gets_no_environment(tmp_path: Path) -> None:
    """Not a variable: no token, no proxy."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n/usr/bin/env > {tmp_path}/seen\n")
    program.chmod(0o755)
    with pytest.raises(WorkerError):
        read(media.write_wav(tmp_path / "a.wav", media.tone(1)), python=str(program))
    names = {line.split("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}
    assert names <= {"PWD", "SHLVL", "_", "OLDPWD"}


def test_a_name_that_looks_like_an_option_or_a_protocol_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is given in full and as a file."""
    monkeypatch.chdir(tmp_path)
    for name in ("-i", "concat:a|b", "http:x", "a %d.wav"):
        shutil.copy(media.write_wav(tmp_path / "plain", media.tone(1)), name)
        assert read(Path(name)).duration == 1
