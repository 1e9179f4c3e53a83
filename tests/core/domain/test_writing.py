"""Words as they are written one after the other."""

from __future__ import annotations

import pytest

from core.domain.writing import joined


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        ([], ""),
        (["Good", "morning."], "Good morning."),
        (["Доброе", "утро"], "Доброе утро"),
        (["今日", "は", "晴れ。"], "今日は晴れ。"),
        (["สวัส", "ดี"], "สวัสดี"),
        (["안녕", "하세요"], "안녕 하세요"),
        (["今日", "OK", "です"], "今日 OK です"),
    ],
)
def test_a_blank_stands_between_words_if_their_script_has_blanks(texts, text):
    """Chinese, Japanese and Thai have none, Korean has."""
    assert joined(texts) == text
