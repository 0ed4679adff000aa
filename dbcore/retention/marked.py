"""Keeps the book of erasures and the markers beside the archives equal: an erasure that only one of
them has is never forgotten by the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError

from dbcore.errors import DbcoreError
from dbcore.models import Archive, Erasure
from dbcore.retention.archives import Shelf, get_shelf
from dbcore.retention.archives.markers import Marker
from dbcore.retention.errors import NotProven, RetentionError

_RECALLED = "read back from the marker beside the archives"


def mark(erasure: Erasure) -> None:
    """Write an erasure's marker beside the archives, where there can be any.

    The shelf's own errors; ConfigurationError too, unless nothing was ever archived.
    """
    shelf = get_shelf()
    if Archive.objects.exists() or _is_usable(shelf):
        shelf.markers.write(_marker_of(erasure))


def _is_usable(shelf: Shelf) -> bool:
    try:
        shelf.check()
    except (DbcoreError, BotoCoreError, ClientError, OSError):
        return False  # without a place or a key for archives there is none to restore from
    return True


def recall(shelf: Shelf) -> None:
    """Enter the erasures that only a marker knows into the book. RetentionError where one of those
    cannot be proven: a restore might bring an erased user back."""
    for subject, name in unknown(shelf):
        try:
            enter(shelf.markers.read(name))
        except NotProven as error:
            raise RetentionError(
                f"{error}. Nothing is restored while it is not known who was erased: put it back "
                f"from a backup, or remove it if no user of that digest ({subject}) was"
            ) from error


def unknown(shelf: Shelf) -> Iterator[tuple[str, str]]:
    """The markers, subject and name, of erasures that are not in the book."""
    found = shelf.markers.names()
    known = set(Erasure.objects.values_list("subject", flat=True))
    return ((subject, name) for subject, name in found.items() if subject not in known)


def unmarked(shelf: Shelf) -> Iterator[Marker]:
    """The markers, not written, of erasures that have none."""
    found = shelf.markers.names()
    return (
        _marker_of(each) for each in Erasure.objects.iterator() if each.subject not in found
    )  # fmt: skip


def enter(marker: Marker) -> None:
    """Enter an erasure into the book. As begun: nobody knows how far it came; `erase_user` would
    complete it."""
    Erasure.objects.get_or_create(
        subject=marker.subject,
        defaults={"id": marker.erasure, "started_at": marker.started_at, "reason": _RECALLED},
    )


def _marker_of(erasure: Erasure) -> Marker:
    return Marker(erasure.id, erasure.subject, erasure.started_at)
