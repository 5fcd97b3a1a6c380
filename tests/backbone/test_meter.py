"""What is counted stays within the declared names and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric

from backbone.measures import (
    BREAKER_OPENED,
    BUCKETS_S,
    LABELS,
    LATENCY,
    LOOK_SECONDS,
    OTHER,
    READERS,
    REQUEST_SECONDS,
    REQUESTS,
    RESETS,
    ROUTES,
    STATUS,
    TOPICS,
)
from backbone.meter import Meter, family


def samples(families: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for one in families
        for sample in one.samples
    }


@given(st.lists(st.tuples(st.text(), st.text()), max_size=300))
def test_unknown_values_are_other(asked: Sequence[tuple[str, str]]) -> None:
    """However many routes and statuses are asked for, no more series exist than were declared,
    and every request is counted in one."""
    meter = Meter()
    for route, status in asked:
        meter.add(REQUESTS, route, status)
    found = samples(meter.families())
    assert sum(found.values()) == len(asked)
    assert {name[1] for name in found} <= ROUTES | {OTHER}


def test_no_more_values_than_a_label_may_have() -> None:
    """Beyond its bound a label has one more value: the sum of counters, the worst of gauges."""
    most = LABELS["breaker"].most
    found = samples([family(BREAKER_OPENED, {(str(n),): 1 for n in range(most + 50)})])
    assert len(found) == most + 1
    assert found[f"{BREAKER_OPENED}_total", OTHER] == 50
    most = LABELS["instrument"].most
    many = {(str(n),): float(n) for n in range(most + 7)}
    assert samples([family(LATENCY, many)])[LATENCY, OTHER] == most + 6
    states = {(str(n),): 1.0 for n in range(most)} | {("a",): 1.0, ("b",): -1.0}
    assert samples([family(STATUS, states)])[STATUS, OTHER] == -1


def test_histograms() -> None:
    """Durations are counted up to each bound, the bound itself with them."""
    meter = Meter()
    for seconds in (0.0, BUCKETS_S[0], 0.3, 99.0):
        meter.observe(REQUEST_SECONDS, seconds, "symbols")
    meter.observe(REQUEST_SECONDS, 0.3, "/etc/passwd")
    found = samples(meter.families())
    bucket = f"{REQUEST_SECONDS}_bucket"
    assert found[bucket, "symbols", str(BUCKETS_S[0])] == 2
    assert found[bucket, "symbols", "0.25"] == 2
    assert found[bucket, "symbols", "0.5"] == 3
    assert found[bucket, "symbols", "+Inf"] == 4
    assert found[f"{REQUEST_SECONDS}_sum", "symbols"] == pytest.approx(99.301)
    assert found[f"{REQUEST_SECONDS}_count", OTHER] == 1


def test_what_is_read_when_asked() -> None:
    """Gauges and counters that are only looked at; one without labels has one figure."""
    meter = Meter()
    meter.watch(TOPICS, lambda: 3)
    meter.watch(READERS, lambda: {("sse",): 2, ("pigeon",): 1})
    meter.watch(RESETS, dict)
    found = samples(meter.families())
    assert found == {(TOPICS,): 3, (READERS, "sse"): 2, (READERS, OTHER): 1}


def test_undeclared_is_refused() -> None:
    """A name that is not in the table, another kind and a wrong number of labels are defects."""
    meter = Meter()
    with pytest.raises(KeyError):
        meter.add("wadm_undeclared")
    with pytest.raises(ValueError, match="histogram"):
        meter.add(LOOK_SECONDS)
    with pytest.raises(ValueError, match="argument 2"):
        meter.add(REQUESTS, "symbols")
    with pytest.raises(ValueError, match="gauge"):
        meter.add(TOPICS)
