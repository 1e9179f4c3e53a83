"""Small recordings made by a real ffmpeg, and a host on loopback that serves them well or badly."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import wave
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from core.media.audio import SAMPLE_RATE, Samples

PACKAGED = imageio_ffmpeg.get_ffmpeg_exe()
"""The ffmpeg that makes the recordings: it has all encoders."""
FFMPEGS = sorted({PACKAGED, shutil.which("ffmpeg") or PACKAGED})
"""Every ffmpeg that is here: decoding has to work with each of them."""

STEREO = ("-af", "pan=stereo|c0=c0|c1=c0")
CODECS: dict[str, tuple[str, ...]] = {
    "wav": ("-c:a", "pcm_s16le"),
    "24-bit.wav": ("-c:a", "pcm_s24le", "-ar", "48000", *STEREO),
    "ulaw.wav": ("-c:a", "pcm_mulaw", "-ar", "8000"),
    "mp3": ("-c:a", "libmp3lame", "-ar", "44100", *STEREO),
    "flac": ("-c:a", "flac"),
    "ogg": ("-c:a", "libvorbis", "-ar", "44100"),
    "opus": ("-c:a", "libopus", "-ar", "48000"),
    "m4a": ("-c:a", "aac", "-ar", "44100"),
    "aac": ("-c:a", "aac", "-ar", "44100", "-f", "adts"),
    "webm": ("-c:a", "libopus", "-ar", "48000"),
    "mka": ("-c:a", "libvorbis", "-ar", "44100"),
    "wma": ("-c:a", "wmav2", "-ar", "44100"),
    "amr": ("-c:a", "libopencore_amrnb", "-ar", "8000", "-b:a", "12.2k"),
    "aiff": ("-c:a", "pcm_s16be"),
    "caf": ("-c:a", "pcm_s16le"),
    "3gp": ("-c:a", "libopencore_amrnb", "-ar", "8000", "-b:a", "12.2k"),
}
"""How sound is encoded for each of these ends of a file name."""


def ffmpeg(*arguments: str | Path) -> None:
    """Run the packaged ffmpeg; its complaint is the exception's."""
    command = [
        PACKAGED,
        "-hide_banner",
        "-loglevel",
        "error",
        "-nostdin",
        "-y",
        *map(str, arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)


def tone(
    seconds: float, *, hz: float = 440.0, level: float = 0.3, rate: int = SAMPLE_RATE
) -> Samples:
    """A sine, float32, shape (samples,)."""
    time_s = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def beeps(seconds: float, *, rate: int = SAMPLE_RATE) -> Samples:
    """A beep of 0.2 s at the start of each second and nothing else, so that a shift in time
    shows.
    """
    samples = tone(seconds, rate=rate)
    samples[np.arange(len(samples)) % rate >= rate // 5] = 0
    return samples


def write_wav(path: Path, samples: Samples, *, rate: int = SAMPLE_RATE) -> Path:
    """Write 16-bit PCM; samples have shape (samples,) or (samples, channels)."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1] if samples.ndim == 2 else 1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return path


def encode(path: Path, samples: Samples, *, rate: int = SAMPLE_RATE) -> Path:
    """Write samples in the format that the end of the file name says; see `CODECS`."""
    suffix = next(
        suffix for suffix in sorted(CODECS, key=len, reverse=True) if path.name.endswith(suffix)
    )
    plain = write_wav(path.with_name(path.name + ".plain.wav"), samples, rate=rate)
    ffmpeg("-i", plain, *CODECS[suffix], path)
    plain.unlink()
    return path


def film(path: Path, samples: Samples, *options: str) -> Path:
    """Write samples as the sound track of a small film: mp4, mov, mkv or webm."""
    plain = write_wav(path.with_name(path.name + ".plain.wav"), samples)
    video, sound = ("libvpx", "libopus") if path.suffix == ".webm" else ("mpeg4", "aac")
    picture = ("-f", "lavfi", "-i", "color=c=blue:s=32x32:r=5", "-shortest")
    ffmpeg(*options, "-i", plain, *picture, "-c:v", video, "-c:a", sound, path)
    plain.unlink()
    return path


def silent_film(path: Path, seconds: float = 1.0) -> Path:
    """Write a film that has no sound track."""
    ffmpeg(
        "-f", "lavfi", "-i", "color=c=blue:s=32x32:r=5", "-t", f"{seconds}", "-c:v", "mpeg4", path
    )
    return path


Answer = Callable[["Visit"], None]


class Visit(BaseHTTPRequestHandler):
    """One request, with the means to answer it badly."""

    server: Host
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        """Give what the path is set to; 404 where it is set to nothing."""
        self.server.seen.append((self.path, dict(self.headers)))
        with contextlib.suppress(ConnectionError):
            self.server.answers.get(self.path, status(404))(self)

    do_HEAD = do_GET  # noqa: N815  the library's name

    def do_PUT(self) -> None:
        """Do what the path is set to; 404 where it is set to nothing."""
        self.server.seen.append((self.path, dict(self.headers)))
        with contextlib.suppress(ConnectionError):
            self.server.takers.get(self.path, status(404))(self)

    def head(self, code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of the answer."""
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def write(self, data: bytes) -> None:
        """Send a part of the body at once."""
        if self.command != "HEAD":
            self.wfile.write(data)
            self.wfile.flush()

    def drip(self, data: bytes) -> None:
        """Send the same bytes again and again until the caller hangs up."""
        try:
            while not self.server.closing.wait(0.05):
                self.write(data)
        except OSError:
            self.server.hung_up.set()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the library's name
        """Say nothing."""


class Host(ThreadingHTTPServer):
    """A host on loopback that gives the answers it is told to give."""

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), Visit)
        self.answers: dict[str, Answer] = {}
        self.takers: dict[str, Answer] = {}
        """What is done with a PUT to each path."""
        self.taken: dict[str, bytes] = {}
        """What was put at each path."""
        self.seen: list[tuple[str, dict[str, str]]] = []
        """Path and headers of every request."""
        self.closing = threading.Event()
        self.hung_up = threading.Event()
        """A caller closed the connection in the middle of a drip."""

    def url(self, path: str, answer: Answer) -> str:
        """Set the answer for a path and give its URL."""
        self.answers[path] = answer
        return f"http://{self.server_address[0]!s}:{self.server_port}{path}"

    def place(self, path: str, taker: Answer) -> str:
        """Set what becomes of a PUT to a path and give its URL."""
        self.takers[path] = taker
        return f"http://{self.server_address[0]!s}:{self.server_port}{path}"


@contextlib.contextmanager
def host(address: str = "127.0.0.1") -> Iterator[Host]:
    """A host for as long as the `with` lasts."""
    with Host(address) as server:
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()


def gives(body: bytes, **headers: str) -> Answer:
    """The body, with its length; header names are written with «_» for «-»."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda visit: (
        visit.head(200, {"Content-Length": str(len(body)), **named}),
        visit.write(body),
    )[0]


def gives_file(path: Path) -> Answer:
    """The content of a file."""
    return gives(path.read_bytes())


def status(code: int) -> Answer:
    """A status with a page of HTML."""
    return lambda visit: (
        visit.head(code, {"Content-Type": "text/html"}),
        visit.write(b"<h1>no</h1>"),
    )[0]


def redirects(location: str, code: int = 302) -> Answer:
    """Elsewhere."""
    return lambda visit: visit.head(code, {"Location": location, "Content-Length": "0"})


def takes(code: int = 200) -> Answer:
    """Keep what is put, and answer with a status."""

    def take(visit: Visit) -> None:
        body = visit.rfile.read(int(visit.headers["Content-Length"]))
        visit.server.taken[visit.path] = body
        visit.head(code, {"Content-Length": "0"})

    return take


class Store:
    """As much of S3 as one object needs: reading and writing `/bucket/key`, signed with the right
    key id, errors as XML.
    """

    ACCESS_KEY = "reader"

    def __init__(self, server: Host) -> None:
        self._server = server
        self.endpoint = f"http://{server.server_address[0]!s}:{server.server_port}"

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Keep an object."""
        self._server.answers[f"/{bucket}/{key}"] = lambda visit: self._get(visit, body)

    def open(self, bucket: str, key: str) -> None:
        """Let an object be written."""
        self._server.takers[f"/{bucket}/{key}"] = self._take

    def _take(self, visit: Visit) -> None:
        if f"Credential={self.ACCESS_KEY}/" not in visit.headers.get("Authorization", ""):
            self._refuse(visit, 403, "InvalidAccessKeyId")
            return
        takes()(visit)

    def fail(self, bucket: str, key: str, code: int, name: str) -> None:
        """Answer a request for an object with an error."""
        answer: Answer = lambda visit: self._refuse(visit, code, name)  # noqa: E731
        self._server.answers[f"/{bucket}/{key}"] = self._server.takers[f"/{bucket}/{key}"] = answer

    def _get(self, visit: Visit, body: bytes) -> None:
        if f"Credential={self.ACCESS_KEY}/" not in visit.headers.get("Authorization", ""):
            self._refuse(visit, 403, "InvalidAccessKeyId")
            return
        gives(body, ETag='"0"')(visit)

    @staticmethod
    def _refuse(visit: Visit, code: int, name: str) -> None:
        visit.head(code, {"Content-Type": "application/xml"})
        visit.write(f"<Error><Code>{name}</Code><Message>no</Message></Error>".encode())
