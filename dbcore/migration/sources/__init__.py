"""Where rows come from. A source is only ever read."""

from dbcore.migration.sources.base import Source
from dbcore.migration.sources.opening import open_source

__all__ = ["Source", "open_source"]
