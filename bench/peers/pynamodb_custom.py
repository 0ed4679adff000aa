"""PynamoDB as in ``pynamodb``, but with a custom attribute that writes its maps by itself.

It must be shown beside ``pynamodb`` and not instead of it: the speed is not the library's own.
"""

from functools import partial
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.constants import MAP

from bench.peers.child import run
from bench.peers.pynamodb import prepare
from bench.peers.rows import typed


class NativeMap(Attribute[dict[str, Any]]):
    """A JSON object as a native map; for writing only."""

    attr_type = MAP

    def serialize(self, value: dict[str, Any]) -> dict[str, Any]:
        return {name: typed(part) for name, part in value.items()}


if __name__ == "__main__":
    run(partial(prepare, map_of=NativeMap))
