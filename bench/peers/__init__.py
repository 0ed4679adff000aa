"""The contestants: one module each, run as ``python -m bench.peers.NAME``.

A peer must never be written worse than its own documentation would have it: each module says
which of the ways that the library offers it takes, and why that is its best.
"""
