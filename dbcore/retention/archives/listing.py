"""What stands on a shelf, told from the names alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dbcore.retention.archives.manifest import OBJECT_SUFFIX, split_manifest_name


@dataclass(frozen=True, slots=True)
class Listed:
    """An object, the versions of the manifest beside it (ascending), or one without the other."""

    object_name: str
    has_object: bool
    versions: tuple[int, ...]

    @property
    def foreign(self) -> bool:
        """Whether the name is none that an archive has."""
        return not self.object_name.endswith(OBJECT_SUFFIX)


def listed(names: Iterable[str]) -> Iterator[Listed]:
    """The archives that these names are of; those of one archive follow on one another."""
    parts = ((split_manifest_name(name) or (name, 0)) for name in names)
    for object_name, found in itertools.groupby(parts, key=lambda part: part[0]):
        versions = sorted(version for _, version in found)
        has_object = 0 in versions
        yield Listed(object_name, has_object, tuple(v for v in versions if v))
