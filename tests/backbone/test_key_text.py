"""The text of a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.keys.text import ALPHABET, new_key, parse_key, redacted


def test_shape() -> None:
    """67 characters, and never the same twice."""
    texts = {new_key().text for _ in range(1_000)}
    assert len(texts) == 1_000
    assert {len(text) for text in texts} == {67}
    for text in texts:
        parts = parse_key(text)
        assert parts is not None
        assert parts.text == text


@given(place=st.integers(0, 66), letter=st.sampled_from(ALPHABET + "_-é "))
def test_any_typing_error_is_seen(place: int, letter: str) -> None:
    """One wrong character anywhere makes it no key."""
    text = new_key().text
    wrong = text[:place] + letter + text[place + 1 :]
    assert (parse_key(wrong) is not None) == (wrong == text)


@pytest.mark.parametrize("change", ["{}x", "{}\n", " {}", "{}\0"])
def test_whole_text_only(change: str) -> None:
    """Nothing before or behind it."""
    assert parse_key(change.format(new_key().text)) is None


@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    """No text breaks the parser."""
    assert parse_key(text) is None


def test_redaction() -> None:
    """The secret leaves any text, also a part of it; the id stays."""
    key = new_key()
    text = redacted(f"GET /x/{key.text}?a={key.text[:40]}")
    assert key.secret[:10] not in text
    assert text.count(f"wadm_{key.id}_[redacted]") == 2
