"""An alert in words and as JSON. Pure."""

from __future__ import annotations

import msgspec

from alerts.evaluation import Alert
from alerts.rule import Rule


def body_of(alert: Alert) -> bytes:
    """The JSON that a webhook gets; the same bytes at every try."""
    return msgspec.json.encode({"type": "wadm.alert", "version": 1, "alert": alert})


def alert_from(body: bytes) -> Alert:
    """An alert that was kept."""
    return msgspec.convert(msgspec.json.decode(body)["alert"], Alert)


def title(alert: Alert) -> str:
    """One line: what, and whether it is real and live."""
    marks = ["TEST"] if alert.test else []
    if alert.source != "live":
        marks.append(alert.source.upper())
    about = " ".join(part for part in (f"{alert.rule}:", alert.symbol) if part)
    return " ".join([*(f"[{mark}]" for mark in marks), about, alert.what])


def lines(alert: Alert) -> list[str]:
    """What a person needs to judge it."""
    given = ", ".join(f"{name}={value}" for name, value in alert.parameters.items())
    proof = [
        {True: "final", False: "provisional", None: "finality not stated"}[alert.final],
        (alert.state or "completeness not stated").replace("_", " "),
    ]
    if alert.coverage is not None:
        proof.append(f"coverage {alert.coverage}")
    found = [
        f"value {alert.value} ({alert.answer}{', ' + given if given else ''})",
        f"as of {alert.as_of}, {_age(alert.age_ms)}",
        ", ".join(proof),
    ]
    return [*found, *([alert.note] if alert.note else []), f"id {alert.id}"]


def text_of(alert: Alert) -> str:
    """The whole message as plain text."""
    return "\n".join([title(alert), *lines(alert)])


def _age(age_ms: int | None) -> str:
    return "age not stated" if age_ms is None else f"{age_ms / 1_000:.1f} s old when found"


def test_alert(rule: Rule, symbol: str, as_of: str, nonce: str) -> Alert:
    """What `wadm alerts test` sends: it says that nothing happened."""
    return Alert(
        id=f"test-{nonce}",
        rule=rule.name,
        symbol=symbol,
        what="is a test: nothing happened",
        value="none",
        as_of=as_of,
        age_ms=None,
        final=None,
        state=None,
        coverage=None,
        source="live",
        answer=rule.answer,
        parameters=dict(rule.parameters),
        note=rule.note,
        test=True,
    )
