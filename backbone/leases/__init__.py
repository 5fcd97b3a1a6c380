"""Who is there and who owns what, among processes of a kind: the lease port and its homes."""

from __future__ import annotations
