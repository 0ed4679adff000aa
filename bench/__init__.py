"""Measures the migration against its peers: ``python -m bench``.

Nothing of the project may import this package, and it must never state a figure it has not
measured in the same run.
"""
