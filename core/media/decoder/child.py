"""The decoder's program: standard input is the file, the argument says what is asked for.

Everything that is needed is imported here, what PyAV imports late as well: behind `jail.enter`
nothing can be opened.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import av
import av.audio.codeccontext
import av.audio.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream

from core.media.decoder import jail, protocol, sniff
from core.media.decoder.clock import Clock
from core.media.decoder.decoding import Decoding, Session, TooMuchSilence
from core.media.decoder.opened import Opened, open_part
from core.media.decoder.output import Output
from core.media.decoder.parts import Plan, plan
from core.media.decoder.protocol import Asked, Happening, Header, Refusal, Refused, Summary
from core.media.decoder.report import Report
from core.media.decoder.tracks import choose
from core.media.decoder.window import Window

_PIPE_BYTES = 1 << 20


def main() -> None:
    """Decode standard input to standard output."""
    asked = protocol.read_asked(sys.argv[1])
    av.logging.set_level(None)
    file = Window(0, 0, os.fstat(0).st_size)
    with os.fdopen(1, "wb", buffering=_PIPE_BYTES, closefd=False) as pipe:
        jail.enter(look_cpu_s=asked.look_cpu_s, cpu_s=asked.cpu_s)
        decode(file, asked, pipe)


def decode(file: Window, asked: Asked, pipe: BinaryIO) -> None:
    """Write the messages about a file: its sound, or why there is none."""
    try:
        refused = _work(file, asked, pipe)
    except Exception:
        refused = Refused.DAMAGED
    if refused:
        protocol.write(pipe, Refusal(refused))


def _work(file: Window, asked: Asked, pipe: BinaryIO) -> Refused | None:
    found = sniff.format_of(file)
    if isinstance(found, Refused):
        return found
    planned = plan(file, found)
    first = _open(planned.parts[0], found, planned)
    if first is None:
        return Refused.DAMAGED
    header = _header(first, planned, asked)
    protocol.write(pipe, header)
    pipe.flush()
    jail.allow(asked.cpu_s)
    if header.chosen is None:
        return None
    try:
        protocol.write(pipe, _decode(first, planned, asked, pipe))
    except TooMuchSilence:
        return Refused.GAPS
    return None


def _open(part: Window, format_name: str, planned: Plan) -> Opened | None:
    try:
        return open_part(part, format_name, ignores_length=planned.ignores_length)
    except (av.FFmpegError, ValueError):
        return None


def _header(opened: Opened, planned: Plan, asked: Asked) -> Header:
    chosen = choose(opened.tracks, asked.track)
    is_alone = len(planned.parts) == 1 and not planned.ignores_length
    return Header(
        format=opened.format,
        tracks=opened.tracks,
        chosen=chosen.index if chosen else None,
        duration_s=opened.duration_s(chosen) if chosen and is_alone else None,
        is_exact=opened.is_exact,
        is_trusted=chosen is not None and not planned.missing_bytes and opened.is_trusted(chosen),
        is_cut=planned.is_cut,
        missing_share=planned.missing_bytes / (planned.missing_bytes + opened.file.end),
    )


def _decode(first: Opened, planned: Plan, asked: Asked, pipe: BinaryIO) -> Summary:
    """Decode the recordings of a file one after the other."""
    clock = Clock(obeys_stamps=first.is_stamped)
    session = Session(clock, Output(pipe, asked.start_s, asked.end_s), Report(pipe))
    start_s = asked.start_s if len(planned.parts) == 1 else 0.0
    for part in planned.parts:
        is_first = part is planned.parts[0]
        opened = first if is_first else _open(part, first.format, planned)
        clock.start_part(opened.origin_s if opened and is_first else None)
        track = opened and (choose(opened.tracks, asked.track) or choose(opened.tracks, None))
        if opened and track:
            Decoding(session, opened, track).run(start_s)
        else:
            session.report.add(Happening.UNREAD, clock.now_s, clock.now_s)
        if session.output.is_full:
            break
    session.report.flush()
    return Summary(clock.now_s, session.is_whole)


if __name__ == "__main__":
    main()
