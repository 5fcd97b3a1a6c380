"""Whatever is registered has a full card and a property test."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from orderflow.indicators import CARDS, INDICATORS
from orderflow.indicators.card import RuleCard


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_the_card_is_full(card: RuleCard) -> None:
    """Every field says something; only parameters may be none."""
    for name, value in msgspec.structs.asdict(card).items():
        if name != "parameters":
            assert value, name
    for parameter in card.parameters:
        assert all(msgspec.structs.asdict(parameter).values())
    assert card.example.numbers


@pytest.mark.parametrize("name", sorted(INDICATORS))
def test_it_has_a_property_test(root: Path, name: str) -> None:
    """A test file that uses hypothesis imports the indicator's module."""
    wanted = re.compile(
        rf"^from orderflow\.indicators\.{name} import|^from orderflow\.indicators import [^(\n]*"
        rf"\b{name}\b|^from orderflow\.indicators import \([^)]*\b{name}\b",
        re.MULTILINE,
    )
    tests = (path.read_text() for path in (root / "tests").rglob("test_*.py"))
    assert any("@given" in text and wanted.search(text) for text in tests)
