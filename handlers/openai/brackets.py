"""Fields whose names have brackets, as clients spell objects and lists in a form.

`replace[a]=b` is `{"replace": {"a": "b"}}`, and `known_speakers[][name]=Ada` is
`{"known_speakers": [{"name": "Ada"}]}`. The elements of a list come one after the other, or first
one field of all of them and then the next, as OpenAI's client for Python sends them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from core.errors import InvalidRequest

MAX_DEPTH = 4
"""The most pairs of brackets in a name; `known_speakers[][embedding][vector][]` has as many."""
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
_KEY = re.compile(r"\[([^\[\]]*)\]")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
"""A number as JSON has it, of a bounded length."""
_SHOWN = 40
"""Characters of a name that a sentence repeats."""

Texts = dict[str, list[str]]
_Path = tuple[str, ...]
"""What is in a name's brackets; an empty text is an element of a list."""
_Leaves = list[tuple[_Path, str]]


def gather(sent: Iterable[tuple[str, str]]) -> tuple[Texts, dict[str, object]]:
    """Divide the fields of a form into those with texts and those that brackets spell.

    `name[]` alone is a field with texts. Each of the others becomes an object or a list, whose
    leaves are texts. Raise InvalidRequest if the brackets do not match, are too many or contradict
    each other.
    """
    texts: defaultdict[str, list[str]] = defaultdict(list)
    spelled: defaultdict[str, _Leaves] = defaultdict(list)
    for name, text in sent:
        plain = name.removesuffix("[]")
        if "[" in plain or "]" in plain:
            root, path = _parsed(name)
            spelled[root].append((path, text))
        else:
            texts[plain].append(text)
    if both := texts.keys() & spelled.keys():
        raise _contradiction(min(both))
    return dict(texts), {name: _value(name, leaves) for name, leaves in spelled.items()}


def with_numbers(value: object, names: Collection[str], name: str = "") -> object:
    """Return a value in which the fields of these names hold numbers, if their texts are some."""
    if isinstance(value, dict):
        return {key: with_numbers(below, names, key) for key, below in value.items()}
    if isinstance(value, list):
        return [with_numbers(element, names, name) for element in value]
    is_number = name in names and isinstance(value, str) and _NUMBER.fullmatch(value)
    return json.loads(str(value)) if is_number else value


def _parsed(name: str) -> tuple[str, _Path]:
    """Return a field's name without its brackets, and what is in them."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise _refusal(re.split(r"[][]", name)[0], "has brackets that do not match")
    path = tuple(key.replace("%22", '"') for key in _KEY.findall(match[2]))
    if len(path) > MAX_DEPTH:
        raise _refusal(match[1], f"has more than {MAX_DEPTH} pairs of brackets")
    return match[1], path


def _value(root: str, leaves: _Leaves) -> object:
    """Return what the leaves below one place spell."""
    texts = [text for path, text in leaves if not path]
    below: defaultdict[str, _Leaves] = defaultdict(list)
    for path, text in leaves:
        if path:
            below[path[0]].append((path[1:], text))
    if (texts and below) or ("" in below and len(below) > 1) or len(texts) > 1:
        raise _contradiction(root)
    if texts:
        return texts[0]
    if "" in below:
        return _list(root, below[""])
    return {key: _value(root, of_key) for key, of_key in below.items()}


def _list(root: str, leaves: _Leaves) -> list[object]:
    """Return the elements of a list.

    If there are several, all must have the same fields, and the lists in them the same length.
    """
    by_path: defaultdict[_Path, list[str]] = defaultdict(list)
    for path, text in leaves:
        by_path[path].append(text)
    if by_path.keys() == {()}:
        return [*by_path[()]]
    lengths = {len(texts) for path, texts in by_path.items() if "" not in path}
    count = lengths.pop() if len(lengths) == 1 else 0
    if not count or any(len(texts) % count for texts in by_path.values()):
        raise _refusal(root, "does not show which of its values belong together")
    left = {path: iter(texts) for path, texts in by_path.items()}
    shares = {path: len(texts) // count for path, texts in by_path.items()}
    return [
        _value(root, [(path, next(left[path])) for path in left for _ in range(shares[path])])
        for _ in range(count)
    ]


def _contradiction(root: str) -> InvalidRequest:
    return _refusal(root, "has fields that contradict each other")


def _refusal(root: str, what: str) -> InvalidRequest:
    name = root[:_SHOWN] or "a field"
    return InvalidRequest(f"{name}: {what}; send it once, as JSON in one field")
