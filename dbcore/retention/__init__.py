"""Keeps each table's retention policy: find what is due, archive it, prove the archive, delete."""
