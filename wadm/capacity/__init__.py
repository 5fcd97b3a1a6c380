"""Capacity: what one unit of each kind of work costs here, and what a market and its readers need.

`costs` is what was measured, `model` turns it into cores, memory, disk, network and processes,
`simulation` plays days of bursts and deaths in virtual time, `measuring` takes the costs.
"""
