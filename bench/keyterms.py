"""Key terms: how many names are written with and without them, and how many where there are none.

    python -m bench.keyterms [--spoken 330] [--plain 800] [--alpha 4] [--unchecked]

Names that the embedded model was not trained on are spoken by the synthesisers of its training,
flite and espeak-ng, in sentences of words that it knows, with voices drawn anew. Each job has all
names as key terms, so that most of them are not said in any one sentence. `recall` is the share of
the spoken names that are written, whatever the case and the marks around them, and `WER elsewhere`
the error rate of the other words. `WER, no names` is that of held-out sentences without names, and
`inserted` the share of their words that are names nevertheless. With `--unchecked` whatever the
decoder writes counts, as in NeMo itself, whose own `--alpha` is 1.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unittest import mock

import jiwer
import numpy as np

from core.domain.request import Decoding
from core.media.audio import Samples
from core.modelstore import find_speech_model
from core.speech import keyterms, parakeet
from core.speech.parakeet import ParakeetModel
from core.transcript.marks import folded, parted
from training.sentences import Sentences, known_words
from training.voices import random_voice, synthesise

NAMES = (
    *("Dashwood", "Marlowe", "Pemberton", "Castellan", "Bergstrom", "Halvorsen", "Kestrel"),
    *("Verona", "Lombard", "Tobago", "Zanzibar", "Montague", "Cordoba", "Delacroix"),
    *("Rosalind", "Wellington", "Hampstead", "Mandolin", "Pendragon", "Sinclair", "Baltimore"),
    *("Silver Harbor", "Fort Benning", "Tarrington", "Galveston", "Portobello", "Ludlow"),
    *("Calendula", "Amadeus", "Lancaster", "Ferguson", "Bristol", "Windermere"),
)
FRAMES = (
    "We met {} in the morning.",
    "The letter from {} is on the table.",
    "Did {} open the door?",
    "I think {} is a good friend.",
    "Now {} and the doctor are here.",
    "They went to {} in the winter.",
    "She said that {} was late.",
)
BATCH = 16


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence, the name in it, and its sound."""

    text: str
    name: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class Heard:
    """The texts that were found, and the seconds that it took."""

    texts: list[str]
    took_s: float


def with_names(count: int, seed: int) -> list[Spoken]:
    """Return sentences with names, each spoken by another voice."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    spoken: list[Spoken] = []
    while len(spoken) < count:
        name = NAMES[len(spoken) % len(NAMES)]
        text = chance.choice(FRAMES).format(name)
        spoken += _said(text, name, rng)
    return spoken


def without_names(count: int, seed: int) -> list[Spoken]:
    """Return sentences of the model's own kind, which it has not heard."""
    sentences, rng = Sentences(random.Random(seed)), np.random.default_rng(seed)
    spoken: list[Spoken] = []
    while len(spoken) < count:
        spoken += _said(sentences.turn(2), "", rng)
    return spoken


def _said(text: str, name: str, rng: np.random.Generator) -> list[Spoken]:
    """Return a sentence as spoken; none if the synthesiser parts it into other words."""
    try:
        return [Spoken(text, name, synthesise(text, random_voice(rng)).samples)]
    except (ValueError, RuntimeError):
        return []


def hear(model: ParakeetModel, spoken: Sequence[Spoken], terms: tuple[str, ...]) -> Heard:
    """Decode sentences in batches of like length."""
    order = sorted(range(len(spoken)), key=lambda index: len(spoken[index].samples))
    texts = [""] * len(spoken)
    began = time.perf_counter()
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        found = model.recognise([spoken[i].samples for i in batch], Decoding(keyterms=terms))
        for index, one in zip(batch, found, strict=True):
            texts[index] = " ".join(word.text for word in one.words)
    return Heard(texts, time.perf_counter() - began)


def plain(text: str) -> list[str]:
    """Return the words of a text, case folded and without marks."""
    return [word for one in text.split() if (word := folded(parted(one)[1]))]


def recall(spoken: Sequence[Spoken], heard: Heard) -> float:
    """Return the share of the names that were written."""
    pairs = zip(spoken, heard.texts, strict=True)
    return sum(count(one.name, text) > 0 for one, text in pairs) / len(spoken)


def count(name: str, text: str) -> int:
    """Return how often a name is in a text."""
    words, wanted = plain(text), plain(name)
    starts = range(len(words) - len(wanted) + 1)
    return sum(words[at : at + len(wanted)] == wanted for at in starts)


def elsewhere(spoken: Sequence[Spoken], heard: Heard) -> float:
    """Return the word error rate, names left out on both sides."""
    names = {word for name in NAMES for word in plain(name)}

    def rest(texts: Iterable[str]) -> list[str]:
        kept = ([word for word in plain(text) if word not in names] for text in texts)
        return [" ".join(words or ["-"]) for words in kept]

    return float(jiwer.wer(rest(one.text for one in spoken), rest(heard.texts)))


def inserted(heard: Heard) -> int:
    """Return how many names are in texts that should have none."""
    return sum(count(name, text) for text in heard.texts for name in NAMES)


def main() -> None:
    """Speak, decode with and without terms, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spoken", type=int, default=330)
    parser.add_argument("--plain", type=int, default=800)
    parser.add_argument("--seed", type=int, default=90_001)
    parser.add_argument("--alpha", type=float, default=keyterms.ALPHA)
    parser.add_argument("--unchecked", action="store_true")
    options = parser.parse_args()
    keyterms.ALPHA = options.alpha
    if options.unchecked:
        mock.patch.object(parakeet, "with_terms", lambda _plain, favoured, _terms: favoured).start()
    known = {word for name in NAMES for word in plain(name)} & known_words()
    print(
        f"{len(NAMES)} names; of their words the model knows {', '.join(sorted(known)) or 'none'}"
    )
    model = ParakeetModel(find_speech_model("embedded").path, device="cpu")
    named = with_names(options.spoken, options.seed)
    free = without_names(options.plain, options.seed)
    words = sum(len(plain(one.text)) for one in free)
    hear(model, named[:BATCH], NAMES)  # the first batch is slower
    print(f"{len(named)} sentences with a name, {len(free)} without: {words} words")
    print(f"{'':16}{'recall':>9}{'WER elsewhere':>15}{'WER, no names':>15}{'inserted':>10}{'s':>7}")
    for title, terms in (("without terms", ()), (f"{len(NAMES)} terms", NAMES)):
        of_names, of_free = hear(model, named, terms), hear(model, free, terms)
        print(
            f"{title:16}{recall(named, of_names):9.1%}{elsewhere(named, of_names):15.1%}"
            f"{elsewhere(free, of_free):15.2%}{inserted(of_free) / words:10.3%}"
            f"{of_names.took_s + of_free.took_s:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
