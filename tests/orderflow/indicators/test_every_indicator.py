"""Whatever is registered has a full card, a computed example, a page and a property test."""

from __future__ import annotations

import re
from pathlib import Path

import evidence_examples
import flow_examples
import msgspec
import profile_examples
import pytest
from six_trades import SIX_TRADES

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


COMPUTED = profile_examples.COMPUTED | flow_examples.COMPUTED | evidence_examples.COMPUTED
SERVED = {"volume_profile", "order_flow"}
"""Their examples are computed as answers serve them, by tests/docs/test_worked_example.py."""
FAMILIES = {"profile", "flow", "footprint", "toxicity", "wyckoff", "context"}
PROMISES = re.compile(r"\b(will|predicts?|buy now|sell now|signal to)\b", re.IGNORECASE)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_nothing_is_missing_from_a_card(card: RuleCard) -> None:
    """Formula, units, defaults, ties, edge cases, merging and source say something; so does what it
    is evidence of and what not, without a promise; the example of the six trades is computed."""
    assert card.name == card.name.lower()
    assert card.version >= 1
    assert card.family in FAMILIES
    for text in (card.formula, card.units, card.ties, card.merging, card.source):
        assert len(text) >= 3, card.name
    assert card.edges
    for parameter in card.parameters:
        assert parameter.default.strip(), parameter.name
        assert parameter.unit.strip(), parameter.name
    assert len(card.evidence) > 20
    assert len(card.not_evidence) > 20
    assert not PROMISES.search(card.evidence)
    assert len(SIX_TRADES) == 6
    assert (card.name in COMPUTED) != (card.name in SERVED)
    if card.name in COMPUTED:
        assert list(COMPUTED[card.name]().items()) == list(card.example.numbers)


def test_the_figures_are_on_the_cards_and_the_page(root: Path) -> None:
    """Flow is contemporaneous, not predictive: with the measured figures, not as a phrase."""
    for name in ("delta", "order_flow"):
        card = INDICATORS[name]
        words = f"{card.evidence} {card.not_evidence}"
        assert "28 %" in words
        assert "57 %" in words
        assert "0.7 %" in words
    page = (root / "docs/indicators.md").read_text()
    for figure in ("0.280", "0.301", "0.355", "0.474", "0.565", "-0.044"):
        assert figure in page
    for label in (
        "Formula",
        "Units",
        "Ties",
        "Evidence of",
        "Not evidence of",
        "Source",
        "Example",
    ):
        assert page.count(f"- **{label}**") == len(CARDS), label
