"""Checks compare exactly and say what they don't know."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from six_trades import whole

from orderflow.evidence import check, evidence, part_of, shown


def test_relations() -> None:
    """Borders belong to >= and <=, not to > and <."""
    assert [check("x", 1, relation, 1).held for relation in (">=", "<=", ">", "<")] == [
        True,
        True,
        False,
        False,
    ]


def test_exact_comparison() -> None:
    """A third is not 33.3333333333, which is only how it is shown."""
    third = check("x", Fraction(1, 3), "<=", Decimal("0.333333333333"))
    assert third.value == Decimal("0.333333333333")
    assert third.held is False


def test_unknown() -> None:
    """A missing number is neither held nor failed, and decides unless something failed."""
    unknown, held, failed = (check("x", v, ">", 0) for v in (None, 1, -1))
    bar = whole().flow
    assert evidence("k", None, bar, [unknown, held]).held is None
    assert evidence("k", None, bar, [unknown, failed]).held is False
    assert evidence("k", None, bar, [held]).held is True
    assert evidence("k", None, bar, []).held is None
    detail = check("detail", -1, ">", 0, required=False)
    found = evidence("k", None, bar, [held, detail], lots=Fraction(1, 4))
    assert found.held is True
    assert found.failed == ("detail",)
    assert found.number("detail") == -1
    assert found.numbers == (("lots", Decimal("0.25")),)
    with pytest.raises(KeyError):
        found.number("nothing")


def test_shares() -> None:
    """A share of nothing is unknown."""
    assert part_of(1, 3) == Fraction(100, 3)
    assert part_of(1, 0) is None
    assert part_of(None, 1) is None
    assert shown(None) is None
