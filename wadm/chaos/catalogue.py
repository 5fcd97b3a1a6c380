"""Every kind of fault the proofs promise, and the counters that show that it happened."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.faults import CONNECTION_ACTIONS, ROW_ACTIONS, VENUE_ACTIONS

NAMES: Mapping[str, tuple[str, ...]] = {
    **{kind: (kind,) for kind in (*ROW_ACTIONS, *CONNECTION_ACTIONS, *VENUE_ACTIONS)},
    "refuse_connects": ("refuse_connects", "connect_refused"),
    "429": ("429", "rest_429"),
    "418": ("418", "rest_418"),
    "403": ("403", "rest_403"),
    "outage": ("outage", "rest_outage"),
    "refused_subscription": ("subscription_refused",),
    "poisoned_batch": ("batch_poisoned",),
    "wrong_route": ("silent_stream",),
    "clock_offset": ("clock_offset",),
    "24h_cut": ("End of life",),
    "id_reset": ("id_reset",),
    "kill": ("big_kill",),
    "store_refuses": ("store_failed",),
}
"""`swap` is a reordering, `abort` an RST, `drip` a slow connection, `stall` one silent stream."""

CATALOGUE = frozenset(NAMES)
