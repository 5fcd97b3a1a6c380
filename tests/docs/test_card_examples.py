"""The worked example of every rule card, computed by its indicator."""

from __future__ import annotations

import evidence_examples
import flow_examples
import profile_examples
import pytest

from orderflow.indicators import INDICATORS

THROUGH_THE_ENGINE = {"volume_profile", "order_flow"}
"""Computed by test_worked_example, as answers serve them."""
COMPUTED = profile_examples.COMPUTED | flow_examples.COMPUTED | evidence_examples.COMPUTED


@pytest.mark.parametrize("name", sorted(COMPUTED))
def test_example(name: str) -> None:
    """The numbers of the card are what the indicator gives for the six trades."""
    assert list(COMPUTED[name]().items()) == list(INDICATORS[name].example.numbers)


def test_no_card_without_example() -> None:
    """Every card's example is computed somewhere."""
    assert set(COMPUTED) | THROUGH_THE_ENGINE == set(INDICATORS)
