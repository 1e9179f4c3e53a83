"""How alike two voices must be to be one person's, which differs from network to network.

A pipeline may say so in its `config.yaml`:

    known_speakers:
      threshold: 0.6
      margin: 0.1
      linking: 0.5

`bench.voices` measures what to write there.
"""

from __future__ import annotations

from pathlib import Path

from core.modelstore import pipeline_config
from core.speakers.identify import Matching

_UNMEASURED = Matching(0.6, 0.1)
"""For WeSpeaker's networks and all others: not measured here.

Between what the makers of 3D-Speaker name, 0.5 (their issue 135), and the cosine above which
speaker-diarization-3.1 takes two windows of a recording for one person's, 0.75.
"""


def matching_of(folder: Path) -> Matching:
    """Return the matching of a pipeline in a folder."""
    said = pipeline_config.likeness(folder)
    return Matching(*said) if said else _UNMEASURED


def linking_of(folder: Path) -> float:
    """Return the least cosine of one person's voices in two parts of a recording.

    To tell a name from all others takes more than to tell the people of one recording apart, of
    whom two of one part are never compared: a pipeline that says nothing gets its threshold less
    its margin.
    """
    own = matching_of(folder)
    said = pipeline_config.linking(folder)
    return own.threshold - own.margin if said is None else said
