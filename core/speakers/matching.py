"""How alike two voices must be to be one person's, which differs from network to network.

A pipeline may say so in its `config.yaml`:

    known_speakers:
      threshold: 0.6
      margin: 0.1

`bench.voices` measures what to write there. Otherwise the network decides.
"""

from __future__ import annotations

from pathlib import Path

from core.modelstore import pipeline_config
from core.speakers.identify import Matching

_OF_NETWORKS = {
    "WeSpeakerResNet": Matching(0.6, 0.1),
}
"""By the beginning of a network's id."""
_OF_OTHERS = Matching(0.6, 0.1)


def matching_of(folder: Path, network_id: str) -> Matching:
    """Return the matching of a pipeline in a folder."""
    if said := pipeline_config.likeness(folder):
        return Matching(*said)
    return next(
        (one for name, one in _OF_NETWORKS.items() if network_id.startswith(name)), _OF_OTHERS
    )
