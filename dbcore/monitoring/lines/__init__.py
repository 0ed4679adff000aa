"""How the log looks: JSON lines for machines, readable ones for people, scrubbed both.

The scrubbing is on the way out, whoever has logged: nothing here trusts a caller, and nothing here
may raise into one.
"""
