"""Natural conversations, written by hand with slots: what people say to each other, in its order.

    == appointment
    A: Good morning, this is {name1}. How can I help you?
    B: Good morning, {name1}. I would like to see the doctor on {day1}, please.
    A: [I am sorry|Sorry], {day1} is full. Is [when=ten|eleven] good?
    B: Yes, [when] is good.

`== scene` begins a conversation, a letter from A to D names who speaks, and a line is one turn.
A slot (`{day1}`) has one value within a conversation, and slots of one kind have different values.
`[a|b]` is a free choice each time; `[key=a|b]` is a choice that `[key]` repeats.
A line that begins with `#` is a comment.

A tenth of the conversations, chosen by a hash of their text, is held out: their sentences are for
measuring, and no model is trained on them.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from training.sentences import CITIES, DAYS, MONTHS, NAMES, ORDINALS, UNITS, spell_number, words_of

FOLDER = Path(__file__).with_name("conversations")
HELD_OUT_SHARE = 10
"""One conversation in so many is held out."""
HELD_OUT_REMAINDER = 1
"""Which of them; chosen because conversations of two, three and four people are among those."""

_CLOCKS = ("{} o'clock", "half past {}", "quarter past {}", "quarter to {}", "{} thirty")
VALUES: dict[str, tuple[str, ...]] = {
    "name": tuple(name.capitalize() for name in NAMES),
    "day": tuple(day.capitalize() for day in DAYS),
    "month": tuple(month.capitalize() for month in MONTHS),
    "clock": tuple(form.format(hour) for form in _CLOCKS for hour in UNITS[1:13]),
    "number": tuple(UNITS[2:20]),
    "big": tuple(spell_number(number) for number in range(20, 100)),
    "city": tuple(city.capitalize() for city in CITIES),
    "ordinal": tuple(ORDINALS),
}
"""What each kind of slot can hold."""

_HEADING = re.compile(r"== *([a-z][a-z_ -]*)")
_TURN = re.compile(r"([A-D]): +(\S.*)")
_SLOT = re.compile(r"\{([a-z]+)(\d)\}")
_CHOICE = re.compile(r"\[(?:([a-z]\w*)=)?([^\[\]=]*)\]")
_ARTICLE = re.compile(r"\b([Aa]) (?=[{\[])")
_VOWEL = re.compile(r"~ (?=[aeio]|hour|u(?!ni|s))(?!one\b|once\b)")
_FOREIGN = re.compile(r"[^A-Za-z' ,.?]")
_SENTENCE = re.compile(r"[^.?]+[.?]")


class FormatError(ValueError):
    """A file of conversations breaks the format; the message says where."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one person says before another does."""

    speaker: str
    """A letter from A to D."""
    text: str

    def sentences(self) -> list[str]:
        """The turn in parts that end with a full stop or a question mark."""
        return [match[0].strip() for match in _SENTENCE.finditer(self.text)]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as written; its turns hold slots and choices."""

    scene: str
    turns: tuple[Turn, ...]
    place: str
    """File and line of its heading."""

    @property
    def people(self) -> tuple[str, ...]:
        """The letters of those who speak, sorted."""
        return tuple(sorted({turn.speaker for turn in self.turns}))

    @property
    def held_out(self) -> bool:
        """Whether nothing is trained on it: a tenth of all, by a hash of the text."""
        text = "\n".join(f"{turn.speaker}: {turn.text}" for turn in self.turns)
        digest = hashlib.sha256(text.encode("ascii")).digest()
        return int.from_bytes(digest[:4]) % HELD_OUT_SHARE == HELD_OUT_REMAINDER

    def drawn(self, rng: random.Random) -> tuple[Turn, ...]:
        """Its turns with every slot filled and every choice made."""
        draw = _Draw(rng)
        return tuple(Turn(turn.speaker, draw.text(turn.text)) for turn in self.turns)


class _Draw:
    """The slots and choices of one conversation."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._kept: dict[str, str] = {}
        self._slots: dict[str, str] = {}

    def text(self, template: str) -> str:
        marked = _ARTICLE.sub(r"\1~ ", template)
        chosen = _CHOICE.sub(lambda match: self._choice(match[1], match[2]), marked)
        filled = _SLOT.sub(lambda match: self._slot(match[1], match[0]), chosen)
        articled = _VOWEL.sub("n ", filled).replace("~ ", " ")
        tidy = re.sub(r" +([,.?])", r"\1", " ".join(articled.split()))
        return re.sub(r"(^|[.?] )([a-z])", lambda m: m[1] + m[2].upper(), tidy)

    def _choice(self, key: str | None, options: str) -> str:
        if key is None and "|" not in options:
            return self._kept[options]
        option = self._rng.choice(options.split("|"))
        if key is not None:
            self._kept[key] = option
        return option

    def _slot(self, kind: str, slot: str) -> str:
        if slot not in self._slots:
            taken = set(self._slots.values())
            free = [value for value in VALUES[kind] if value not in taken]
            self._slots[slot] = self._rng.choice(free)
        return self._slots[slot]


# --- files ---


def parse(text: str, name: str) -> list[Conversation]:
    """The conversations of a file's text; raises FormatError with `name` and the line."""
    found: list[tuple[str, str, list[Turn]]] = []
    kept: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if heading := _HEADING.fullmatch(line.strip()):
            found.append((heading[1], place, []))
            kept = set()
            continue
        turn = _TURN.fullmatch(line.strip())
        if turn is None:
            raise FormatError(f"{place}: neither '== scene' nor 'A: what A says': {line!r}")
        if not found:
            raise FormatError(f"{place}: a turn before the first '== scene'")
        _check(turn[2], place, kept)
        found[-1][2].append(Turn(turn[1], turn[2]))
    return [_conversation(scene, place, turns) for scene, place, turns in found]


def _conversation(scene: str, place: str, turns: Sequence[Turn]) -> Conversation:
    conversation = Conversation(scene, tuple(turns), place)
    if len(conversation.people) < 2:
        raise FormatError(f"{place}: a conversation needs two people")
    return conversation


def _check(template: str, place: str, kept: set[str]) -> None:
    """Raise FormatError if a turn cannot be drawn; note the keys of its choices in `kept`."""
    for key, options in _CHOICE.findall(template):
        if key:
            kept.add(key)
        elif "|" not in options and options not in kept:
            raise FormatError(f"{place}: [{options}] repeats a choice that was not made before")
    for kind, _ in _SLOT.findall(template):
        if kind not in VALUES:
            raise FormatError(f"{place}: no slot is called {kind!r}")
    for text in _spellings(template):
        if foreign := _FOREIGN.search(text):
            raise FormatError(f"{place}: {foreign[0]!r} is no letter and none of , . ? '")
        if template[0].islower() or text[-1] not in ".?":
            raise FormatError(f"{place}: a turn is sentences, each with a capital and an end")


def _spellings(template: str) -> Iterable[str]:
    """A few texts in which every option of every choice comes up, with slots as a word."""
    most = max([options.count("|") for _, options in _CHOICE.findall(template)], default=0)
    for number in range(most + 1):

        def option(match: re.Match[str], number: int = number) -> str:
            options = match[2].split("|")
            return options[number % len(options)]

        text = re.sub(r" +([,.?])", r"\1", _SLOT.sub("Slot", _CHOICE.sub(option, template)))
        yield text.strip()[:1].upper() + text.strip()[1:]


@cache
def written() -> tuple[Conversation, ...]:
    """Every conversation of this project, in the order of the files' names."""
    return tuple(
        conversation
        for path in sorted(FOLDER.glob("*.txt"))
        for conversation in parse(path.read_text(encoding="ascii"), path.name)
    )


@cache
def conversation_words() -> frozenset[str]:
    """Every word that a conversation can hold, lower case, the held-out ones' included.

    A model may know the words of held-out conversations, as it knows the vocabulary: what it has
    not heard is what is said with them.
    """
    texts = [turn.text for conversation in written() for turn in conversation.turns]
    texts = [_SLOT.sub(" ", _CHOICE.sub(_options, text)) for text in texts]
    values = [value for kind in VALUES.values() for value in kind]
    return frozenset(word for text in (*texts, *values) for word in words_of(text)) - {"'s"}


def _options(choice: re.Match[str]) -> str:
    """The options of a choice, or nothing if it repeats another one."""
    return f" {choice[2].replace('|', ' ')} " if choice[1] or "|" in choice[2] else " "


class Conversations:
    """An endless source of conversations; each comes once before any comes again.

    The same generator, in the same state, gives the same conversations.
    """

    def __init__(self, rng: random.Random, held_out: bool = False) -> None:
        self._rng = rng
        self._all = [each for each in written() if each.held_out == held_out]
        self._left: dict[int | None, list[Conversation]] = {}

    def draw(self, people: int | None = None) -> tuple[Turn, ...]:
        """The turns of the next conversation, of so many people if that is told.

        Raises LookupError if no conversation has so many.
        """
        fitting = [each for each in self._all if people in (None, len(each.people))]
        if not fitting:
            raise LookupError(f"no conversation of {people} people")
        if not self._left.get(people):
            self._left[people] = self._rng.sample(fitting, len(fitting))
        return self._left[people].pop().drawn(self._rng)
