"""Channels and tracks: whoever speaks is heard, whatever wire or track the voice comes by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.media.audio import SAMPLE_RATE, Samples
from tests import media
from tests.hearing import level, read


def voice(seconds: float = 12, seed: int = 0) -> Samples:
    """Noise that comes in bursts, as words do."""
    count = round(seconds * SAMPLE_RATE)
    noise = np.random.default_rng(seed).normal(0, 0.1, count)
    return (noise * (np.arange(count) // 4_000 % 3 > 0)).astype(np.float32)


def hiss(seconds: float = 12, seed: int = 1) -> Samples:
    """What a microphone gives that nobody speaks into."""
    return np.random.default_rng(seed).normal(0, 1e-4, round(seconds * SAMPLE_RATE)).astype("f4")


def is_heard(samples: Samples, spoken: Samples) -> bool:
    """Whether it is there at nearly full level, upside down or not."""
    count = min(len(samples), len(spoken))
    product = abs(float(samples[:count] @ spoken[:count]))
    return product > 0.7 * float(spoken[:count] @ spoken[:count])


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(
    ("channels", "speaking"),
    [(3, 2), (4, 0), (6, 3), (7, 3), (8, 3), (8, 7), (9, 1), (16, 15), (60, 1), (64, 63)],
)
def test_one_microphone_of_many_is_heard(
    channels: int, speaking: int, suffix: str, tmp_path: Path
) -> None:
    """At full level, also on a channel that a film would keep for its bass."""
    if suffix == "flac" and channels > 8:
        suffix = "w64"
    spoken = voice()
    wires = np.stack([hiss(seed=number) for number in range(channels)], 1)
    wires[:, speaking] = spoken
    plain = media.write_wav(tmp_path / "a.wav", wires)
    path = tmp_path / f"a.{suffix}"
    if suffix != "wav":
        media.ffmpeg("-i", plain, path)
    assert is_heard(read(path).samples, spoken)


@pytest.mark.parametrize("channels", [3, 5, 8])
def test_everybody_at_a_table_is_heard(channels: int, tmp_path: Path) -> None:
    """One after the other, each at a microphone of their own."""
    spoken = [voice(3, seed) for seed in range(channels)]
    wires = np.zeros((3 * channels * SAMPLE_RATE, channels), np.float32)
    for number, said in enumerate(spoken):
        wires[number * len(said) :][: len(said), number] = said
    samples = read(media.write_wav(tmp_path / "a.wav", wires)).samples
    for number, said in enumerate(spoken):
        assert is_heard(samples[number * len(said) :], said)


def test_a_film_in_surround_sound_is_mixed_by_its_mask(tmp_path: Path) -> None:
    """Music at the sides does not drown the voice in the centre."""
    spoken, music = voice(), media.tone(12, level=0.1)
    wires = np.stack([music, music, spoken, hiss(), music, music], 1)
    path = tmp_path / "a.wav"
    media.ffmpeg(
        "-i", media.write_wav(tmp_path / "plain.wav", wires),
        "-af", "pan=5.1|c0=c0|c1=c1|c2=c2|c3=c3|c4=c4|c5=c5", path,
    )  # fmt: skip
    samples = read(path).samples
    assert float(samples @ spoken) > 0.2 * float(spoken @ spoken)


# Polarity


@pytest.mark.parametrize("late_s", [0, 35, 61])
def test_a_wire_that_is_upside_down_is_found_whenever_the_voice_comes(
    late_s: int, tmp_path: Path
) -> None:
    """Behind half a minute of hiss as well."""
    spoken = voice(8)
    quiet = np.stack([hiss(late_s, 3), hiss(late_s, 4)], 1)
    wires = np.concatenate((quiet, np.stack([spoken, -spoken], 1)))
    samples = read(media.write_wav(tmp_path / "a.wav", wires)).samples
    assert is_heard(samples[late_s * SAMPLE_RATE :], spoken)


def test_a_wide_tone_does_not_cost_the_call_behind_it(tmp_path: Path) -> None:
    """The wires are judged all along the file."""
    spoken, tone = voice(20), media.tone(30)
    wires = np.concatenate((np.stack([tone, -tone], 1), np.stack([spoken, spoken], 1)))
    samples = read(media.write_wav(tmp_path / "a.wav", wires)).samples
    assert is_heard(samples[30 * SAMPLE_RATE :], spoken)


@pytest.mark.parametrize("signs", [(1, -1, 1, -1), (1, 1, -1), (-1, 1, 1, 1, 1, -1)])
def test_several_wires_upside_down_cancel_nothing(signs: tuple[int, ...], tmp_path: Path) -> None:
    """However many there are."""
    spoken = voice()
    wires = np.stack([sign * spoken for sign in signs], 1)
    assert is_heard(read(media.write_wav(tmp_path / "a.wav", wires)).samples, spoken)


@pytest.mark.parametrize("delay", [0, 8, 40])
def test_an_ordinary_pair_of_channels_is_the_mean(delay: int, tmp_path: Path) -> None:
    """To the last bit, for two voices and for one in a room."""
    left, right = voice(seed=5), np.roll(voice(seed=5), delay) * 0.7 + hiss()
    path = media.write_wav(tmp_path / "a.wav", np.stack([left, right], 1))
    mono = np.rint((left * 32_767).astype("i2") / 2.0 + (right * 32_767).astype("i2") / 2.0)
    assert np.abs(read(path).samples * 32_768 - mono).max() <= 1


# Tracks


def film(path: Path, *tracks: Samples, options: tuple[str, ...] = ()) -> Path:
    """Write several sound tracks into one file."""
    inputs: list[str | Path] = []
    maps: list[str] = []
    for number, samples in enumerate(tracks):
        inputs += ["-i", media.write_wav(path.with_name(f"{number}.wav"), samples)]
        maps += ["-map", str(number)]
    media.ffmpeg(*inputs, *maps, "-c:a", "aac", *options, path)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("default", [0, 1])
@pytest.mark.parametrize("speaking", [0, 1])
def test_a_voice_is_heard_on_whichever_track_it_is(
    speaking: int, default: int, suffix: str, tmp_path: Path
) -> None:
    """A silent track beside it takes nothing away, and is not missed."""
    tracks = [hiss(8) * 0, hiss(8) * 0]
    tracks[speaking] = media.beeps(8)
    options = ("-disposition:a", "0", f"-disposition:a:{default}", "default")
    waveform = read(film(tmp_path / f"a.{suffix}", *tracks, options=options))
    assert level(waveform.samples) > 0.7 * level(media.beeps(8))
    assert waveform.warnings == ()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_two_people_on_two_tracks_are_both_heard(suffix: str, tmp_path: Path) -> None:
    """As meeting recorders write them."""
    one, two = media.tone(12, hz=400), media.tone(12, hz=900)
    one[SAMPLE_RATE * 5 :] = 0
    two[: SAMPLE_RATE * 7] = 0
    waveform = read(film(tmp_path / f"a.{suffix}", one, two))
    assert level(waveform.samples[: 4 * SAMPLE_RATE]) > 0.15
    assert level(waveform.samples[8 * SAMPLE_RATE : 11 * SAMPLE_RATE]) > 0.15
    assert waveform.warnings == ()


def test_another_language_is_left_out_and_named(tmp_path: Path) -> None:
    """Two languages at once would be none."""
    one, two = voice(seed=1), voice(seed=2)
    options = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
    waveform = read(film(tmp_path / "a.mkv", one, two, options=options))
    assert abs(float(waveform.samples[: len(two)] @ two)) < 0.1 * float(two @ two)
    assert "track 2 (language fra)" in " ".join(waveform.warnings)


def test_the_same_sound_on_two_tracks_is_heard_once(tmp_path: Path) -> None:
    """A film has it in two codecs."""
    path = film(tmp_path / "a.mkv", voice(), voice(), options=("-c:a:1", "ac3"))
    assert is_heard(np.roll(read(path).samples, 0), voice()) or level(
        read(path).samples
    ) == pytest.approx(level(voice()), rel=0.2)


@pytest.mark.parametrize("layout", ["4c", "8c", "FR+FL", "FC+FL+FR", "BL+FL+FC+LFE+TC"])
@pytest.mark.parametrize("suffix", ["caf", "mov", "aiff", "mka"])
def test_a_map_of_channels_is_taken_for_microphones(
    suffix: str, layout: str, tmp_path: Path
) -> None:
    """Whatever order it gives them, the one that speaks is heard."""
    count = int(layout[0]) if layout[0].isdigit() else layout.count("+") + 1
    channels = "|".join(["c0=0*c0", *(f"c{number}=0*c0" for number in range(1, count - 1))])
    pan = f"pan={layout}|{channels}|c{count - 1}=c0"
    path = tmp_path / f"a.{suffix}"
    plain = media.write_wav(tmp_path / "plain.wav", voice(6))
    media.ffmpeg(
        "-i", plain, "-af", pan, "-c:a", "pcm_s16le" if suffix != "aiff" else "pcm_s16be", path
    )
    heard = read(path).samples
    assert level(heard) > 0.4 * level(voice(6))
