"""The proof on many processes: what it plays and how it judges; the run itself is a make target."""

from __future__ import annotations

from typing import Any

import pytest

from wadm.chaos.asking import Asking
from wadm.chaos.scale import BOUNDS_S, Figures, judge, markets_of


def figures(**changes: Any) -> Figures:
    found = Figures(200, 20_000.0, rounds=1, minutes=10)
    found.takeover_s = {role: [bound_s - 1] for role, bound_s in BOUNDS_S.items()}
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def test_the_market_of_a_scaled_run() -> None:
    """As many instruments and trades a second as were asked for, on both venues and markets."""
    markets = markets_of(200, 20_000.0)
    assert len({market.name for market in markets}) == 200
    assert sum(market.orders_per_s for market in markets) == pytest.approx(20_000)
    kinds = {market.name.rpartition(":")[0] for market in markets}
    assert kinds == {"binance:spot", "binance:perp", "bybit:spot", "bybit:perp"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lost": 2}, "lost: 2"),
        ({"double": 1}, "double: 1"),
        ({"server_errors": 3}, "server_errors: 3"),
        ({"too_young": ["x"]}, "younger"),
        ({"minutes": 0}, "no minute"),
        ({"missed": ["the end: 4 behind"]}, "4 behind"),
        ({"takeover_s": {}}, "take-over of a processor"),
        ({"rounds": 2}, "take-over of a broker"),
    ],
)
def test_what_is_not_met_is_said(changes: dict[str, Any], said: str) -> None:
    """Each broken promise is named with its figure; a run without one is good."""
    assert judge(figures()) == []
    assert any(said in text for text in judge(figures(**changes)))


def test_a_takeover_that_is_too_slow() -> None:
    """Each role has its bound."""
    slow = figures()
    slow.takeover_s["broker"] = [9.9, 10.1]
    assert judge(slow) == ["take-over of a broker: [9.9, 10.1] s, bound 10.0 s"]


async def test_who_is_behind(tmp_path: Any) -> None:
    """An instrument is behind a moment until its trades are known up to it."""
    from wadm.certificates import Authority, write_public

    write_public(tmp_path / "ca.pem", Authority.made().pair.certificate)
    asking = Asking("https://localhost:1", str(tmp_path / "ca.pem"), lambda: 0, ["a"])
    asking.lines = {"a": {"watermark": "1970-01-01T00:00:05.000Z"}, "b": {"watermark": None}}
    assert asking.behind(5_000, ["a", "b", "c"]) == ["b", "c"]
    assert asking.behind(5_001, ["a"]) == ["a"]
    await asking.look()
    assert (asking.failed, asking.server_errors) == (1, 0)
    await asking.client.aclose()
