"""When a rule fires: pure decisions from answers, memory and the time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from alert_support import book_from
from hypothesis import given
from hypothesis import strategies as st

from alerts.evaluation import Memory, Verdict, evaluate
from alerts.questions import question
from alerts.rule import Rule
from orderflow.answers import iso
from orderflow.completeness import State

BEGIN = 1_735_689_600_000
TARGET = '[targets.desk]\nkind = "slack"\nurl_env = "S"\n'
HEAD = '[rules.a]\nsymbols = ["BTCUSDT"]\ntargets = ["desk"]\n'


def rule_of(text: str) -> Rule:
    return book_from(TARGET + HEAD + text).rules[0]


def now(at_ms: int, delta: str, **quality: Any) -> dict[str, Any]:
    """An answer about now."""
    proof = {"state": quality.pop("state", "contiguous"), "coverage": "1"}
    told = {"applied_through": iso(at_ms), "age_ms": 100, "stale": False, "final": False}
    return {
        "source": "live",
        "timestamp": iso(at_ms + 100),
        "period_start": iso(at_ms - 60_000),
        "period_end": iso(at_ms + 60_000),
        "delta": delta,
        "quality": {**told, "completeness": proof, **quality},
    }


def windows(*deltas: str, state: str = "verified", told_ms: int | None = None) -> dict[str, Any]:
    """Closed, final minutes, oldest first."""
    end = BEGIN + len(deltas) * 60_000
    items = [
        now(BEGIN + n * 60_000, delta, state=state, final=True)
        | {
            "period_start": iso(BEGIN + n * 60_000),
            "period_end": iso(BEGIN + (n + 1) * 60_000),
            "timestamp": iso(told_ms or end + 3_000),
        }
        for n, delta in enumerate(deltas)
    ]
    return {"items": items}


class Watcher:
    """One rule that is asked again and again, as the service does it."""

    def __init__(self, text: str) -> None:
        self.rule = rule_of(text)
        self.memory: Memory | None = None

    def sees(self, answer: dict[str, Any] | None, at_s: float = 0, trouble: str = "") -> Verdict:
        now_ms = BEGIN + int(at_s * 1_000)
        verdict = evaluate(self.rule, "BTCUSDT", answer, self.memory, now_ms, trouble)
        # What is remembered passes through the disk.
        self.memory = msgspec.json.decode(msgspec.json.encode(verdict.memory), type=Memory)
        return verdict


def test_an_episode_is_told_once() -> None:
    """It fires when it begins to hold, not again while it holds, again after it was over."""
    watcher = Watcher('field = "delta"\nabove = 10\ncooldown_s = 0\n')
    fired = [
        bool(watcher.sees(now(BEGIN + n * 1_000, delta), n).alerts)
        for n, delta in enumerate(["5", "10", "10.001", "50", "9", "11"])
    ]
    assert fired == [False, False, True, False, False, True]


def test_the_message_says_how_far_to_trust_it() -> None:
    """As of, age, provisional, completeness and source are in the alert."""
    (alert,) = Watcher('field = "delta"\nabove = 10\n').sees(now(BEGIN, "10.5")).alerts
    assert (alert.value, alert.what) == ("10.5", "delta above 10")
    assert (alert.as_of, alert.age_ms, alert.final) == (iso(BEGIN), 100, False)
    assert (alert.state, alert.coverage, alert.source) == ("contiguous", "1", "live")


def test_how_long_counts_the_markets_time() -> None:
    """`for_s` is over when the answers reach that far, and a doubt begins it anew."""
    watcher = Watcher('field = "delta"\nabove = 1\nfor_s = 10\n')
    assert "not yet" in watcher.sees(now(BEGIN, "2")).words
    assert "not yet" in watcher.sees(now(BEGIN + 9_999, "2")).words
    assert watcher.sees(now(BEGIN + 10_000, "2")).alerts
    watcher = Watcher('field = "delta"\nabove = 1\nfor_s = 10\n')
    watcher.sees(now(BEGIN, "2"))
    assert "stale" in watcher.sees(now(BEGIN + 5_000, "2", stale=True)).words
    assert not watcher.sees(now(BEGIN + 10_000, "2")).alerts
    assert watcher.sees(now(BEGIN + 20_000, "2")).alerts


def test_cooldown() -> None:
    """A new episode within the cooldown waits; it is told when that is over and it still holds."""
    watcher = Watcher('field = "delta"\nabove = 1\ncooldown_s = 60\n')
    assert watcher.sees(now(BEGIN, "2"), 0).alerts
    watcher.sees(now(BEGIN + 1_000, "0"), 1)
    assert "cooling" in watcher.sees(now(BEGIN + 2_000, "2"), 2).words
    assert watcher.sees(now(BEGIN + 60_000, "2"), 60).alerts


@given(
    st.sampled_from([State.REPAIRING, State.PARTIAL, State.APPROXIMATE, State.UNKNOWN]),
    st.integers(min_value=-1_000, max_value=1_000),
)
def test_what_is_not_whole_never_fires(state: State, delta: int) -> None:
    """Whatever the number says: a window that is not whole decides nothing, unless it is asked
    for, and then the alert says so."""
    answer = now(BEGIN, str(delta), state=str(state))
    condition = 'field = "delta"\nat_least = -1000\n'
    assert not Watcher(condition).sees(answer).alerts
    (alert,) = Watcher(condition + 'partial = "mark"\n').sees(answer).alerts
    assert alert.state == str(state)
    late = now(BEGIN, str(delta), stale=True)
    assert not Watcher(condition + 'partial = "mark"\n').sees(late).alerts


def test_only_final_and_only_verified() -> None:
    """Each final window is judged once, in its own right; `verified` asks for more."""
    watcher = Watcher('field = "delta"\nabove = 1\nonly = "final"\ncooldown_s = 0\n')
    first, again = watcher.sees(windows("2")), watcher.sees(windows("2"))
    assert (len(first.alerts), again.alerts) == (1, ())
    second = watcher.sees(windows("2", "3"))
    assert second.alerts[0].id != first.alerts[0].id
    assert second.alerts[0].final is True
    verified = 'field = "delta"\nabove = 1\nonly = "verified"\n'
    assert "not verified" in Watcher(verified).sees(windows("2", state="contiguous")).words
    assert Watcher(verified).sees(windows("2", state="verified_volume")).alerts
    open_one = {"items": [now(BEGIN, "5")]}
    assert "no final window" in Watcher(verified).sees(open_one).words


def test_an_old_window_is_no_news() -> None:
    """A window that ended long before the answer never fires as if it were new."""
    late = windows("2", told_ms=BEGIN + 3 * 3_600_000)
    watcher = Watcher('field = "delta"\nabove = 1\nonly = "final"\n')
    assert "stale" in watcher.sees(late).words


def test_deviations() -> None:
    """|z| of the newest closed window against the whole ones before it; too few decide nothing."""
    text = 'field = "delta"\nz_above = 3\nz_windows = 20\n'
    calm = ["1", "-1"] * 10
    assert Watcher(text).sees(windows(*calm, "3.1")).alerts[0].value == "3.10"
    assert Watcher(text).sees(windows(*calm, "-3.1")).alerts
    assert not Watcher(text).sees(windows(*calm, "3")).alerts
    assert "19 of at least 20" in Watcher(text).sees(windows(*calm[:19], "9")).words
    assert "all equal" in Watcher(text).sees(windows(*["1"] * 20, "9")).words


def test_words_and_truths_and_missing() -> None:
    """Equality compares text and truths; a missing or wrong value decides nothing."""
    answer = now(BEGIN, "1") | {"place": "above_value", "agree": True, "poc": None}
    assert Watcher('field = "place"\nequals = "above_value"\n').sees(answer).alerts
    assert Watcher('field = "agree"\ndiffers_from = false\n').sees(answer).alerts
    assert "missing" in Watcher('field = "poc"\nabove = 1\n').sees(answer).words
    assert "no number" in Watcher('field = "place"\nabove = 1\n').sees(answer).words


def test_staleness_and_completeness() -> None:
    """What spoils other rules is what these are about, also when nobody answers."""
    late = now(BEGIN, "1", stale=True, age_ms=45_000)
    assert Watcher("stale = true\n").sees(late).alerts
    assert Watcher("age_above_s = 44.9\n").sees(late).alerts[0].value == "45"
    assert not Watcher("age_above_s = 45\n").sees(late).alerts
    assert Watcher('worse_than = "contiguous"\n').sees(now(BEGIN, "1", state="partial")).alerts
    assert not Watcher('worse_than = "partial"\n').sees(now(BEGIN, "1", state="partial")).alerts
    gone = Watcher("stale = true\n").sees(None, 0, "no answer: away")
    assert gone.alerts[0].value == "no answer: away"
    assert Watcher('field = "delta"\nabove = 1\n').sees(None, 0, "no answer: away").alerts == ()


def event(name: str, published_s: float, **fields: Any) -> dict[str, Any]:
    base = {"id": name, "kind": "sweep", "side": "buy", "state": "verified", "complete": True}
    at = iso(BEGIN + int(published_s * 1_000))
    told = {"at": at, "published_at": at, "instrument": "v:spot:BTCUSDT", "timeframe": "1m"}
    return base | told | {"price": "7"} | fields


def test_new_events() -> None:
    """What was there at the first look is known; each new one is told once, an old one never."""
    watcher = Watcher('events = ["sweep"]\n')
    assert "first look" in watcher.sees({"events": [event("a", 0)]}).words
    assert watcher.sees({"events": [event("a", 0)]}).alerts == ()
    both = {"events": [event("c", 2), event("b", 1), event("a", 0)]}
    assert [alert.what for alert in watcher.sees(both, 3).alerts] == [
        "sweep buy on v:spot:BTCUSDT 1m"
    ] * 2
    assert watcher.sees(both, 4).alerts == ()
    assert watcher.sees({"events": [event("d", 5)]}, 3 * 3_600).alerts == ()
    doubtful = {"events": [event("e", 5, state="partial", complete=False)]}
    assert watcher.sees(doubtful, 6).alerts == ()
    healed = {"events": [event("e", 5)]}
    assert len(watcher.sees(healed, 7).alerts) == 1


def test_the_same_finding_has_the_same_id() -> None:
    """Forgotten memory finds the same thing under the same id; another rule finds another."""
    one, two = (Watcher('field = "delta"\nabove = 1\nonly = "final"\n') for _ in range(2))
    ids = {watcher.sees(windows("2")).alerts[0].id for watcher in (one, two)}
    other = Watcher('field = "delta"\nabove = 1.5\nonly = "final"\n').sees(windows("2"))
    assert len(ids) == 1
    assert other.alerts[0].id not in ids


def test_changed_rules_forget() -> None:
    """Memory of another meaning of the rule is not used."""
    watcher = Watcher('field = "delta"\nabove = 1\n')
    watcher.sees(now(BEGIN, "2"))
    watcher.rule = rule_of('field = "delta"\nabove = 1.5\n')
    assert watcher.sees(now(BEGIN + 1_000, "2"), 1).alerts


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('field = "delta"\nabove = 1\n', "/order_flow/BTCUSDT"),
        ('answer = "footprint"\nfield = "delta"\nabove = 1\n', "/footprint/BTCUSDT"),
        (
            'answer = "indicator"\nfield = "facts.vwap"\nabove = 1\n'
            'parameters = { name = "vwap" }\n',
            "/indicators/vwap/BTCUSDT",
        ),
        ('events = ["sweep"]\n', "/events"),
    ],
)
def test_what_is_asked(text: str, path: str) -> None:
    """Every rule asks for one answer, in exact numbers."""
    asked = question(rule_of(text), "BTCUSDT", BEGIN)
    assert asked.path == path
    assert dict(asked.parameters)["numbers"] == "string"
