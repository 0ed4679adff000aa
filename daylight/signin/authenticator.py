"""A colleague's second factor: an authenticator app (TOTP, RFC 6238), and recovery codes for when
it is lost, both kept by django-otp. A code counts once. Recovery codes are kept as digests.

The app's key has to be kept as it is, since codes are computed from it: who can read Django's
database and its backups can compute them, too.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import secrets
from collections.abc import MutableMapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_otp import user_has_device, verify_token
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

RECOVERY_CODES = 10
PATIENCE = dt.timedelta(minutes=15)  # in which a key that was shown can be confirmed
WAITING = "authenticator_waiting"  # a session's word for the key that it was shown
_BYTES = 10  # of a recovery code, and of its digest: 16 characters each, all that the column takes
_BLANKS = re.compile(r"[\s-]")
Session = MutableMapping[str, Any]
_RECOVERY = re.compile(r"[a-z2-7]{16}")


def has_authenticator(user: Any) -> bool:
    """Whether signing in asks for a code."""
    return bool(user_has_device(user))


def has_proven(user: Any) -> bool:
    """Whether somebody who is signed in has shown all that they must: a code, where they have an
    authenticator or must have one."""
    if getattr(user, "otp_device", None) is not None:
        return True
    return not settings.ADMIN_TOTP_REQUIRED and not has_authenticator(user)


def must_set_up(user: Any) -> bool:
    """Whether somebody can do nothing here before they have set up an authenticator."""
    return bool(settings.ADMIN_TOTP_REQUIRED) and not has_authenticator(user)


def prove(user: Any, code: str) -> Any:
    """The device that a code is of; it does not count again. None: wrong, used, or too soon after
    wrong ones."""
    plain = _BLANKS.sub("", code).lower()
    # By its look: a code that is tried on a device counts there as failed, and nothing else is one.
    if plain.isdecimal():
        model, token = TOTPDevice, plain
    elif _RECOVERY.fullmatch(plain):
        model, token = StaticDevice, _digest(plain)
    else:
        return None
    device = model.objects.filter(user=user, confirmed=True).first()
    return None if device is None else verify_token(user, device.persistent_id, token)


def begin(user: Any, session: Session, now: dt.datetime | None = None) -> TOTPDevice:
    """A key for somebody's app, which is not asked for before it is confirmed. The same one for a
    while: a page may be loaded twice. Never one that another session was shown: whoever has stolen
    the password would have the owner confirm a key that they know."""
    now = now or timezone.now()
    waiting = TOTPDevice.objects.filter(user=user, confirmed=False)
    mine = waiting.filter(pk=session.get(WAITING), created_at__gte=now - PATIENCE)
    found: TOTPDevice | None = mine.first()
    if found is None:
        waiting.filter(created_at__lt=now - PATIENCE).delete()
        found = TOTPDevice.objects.create(user=user, confirmed=False, name="authenticator app")
        session[WAITING] = found.pk
    return found


def confirm(user: Any, session: Session, code: str) -> tuple[TOTPDevice, list[str]] | None:
    """Take the key that this session was shown into use, whose app has shown this code: the device,
    and the recovery codes, which nobody can be told again. None where the code is wrong, or there
    is another authenticator."""
    if has_authenticator(user):
        return None
    device = begin(user, session)
    if verify_token(user, device.persistent_id, _BLANKS.sub("", code)) is None:
        return None
    with transaction.atomic():
        remove(user, but=device.pk)
        TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
        codes = _recovery_codes(user)
    device.refresh_from_db()
    return device, codes


def remove(user: Any, *, but: int | None = None) -> int:
    """Take somebody's authenticator and recovery codes out of use; how many there were."""
    apps = TOTPDevice.objects.filter(user=user).exclude(pk=but)
    gone = int(apps.filter(confirmed=True).count())
    apps.delete()
    StaticDevice.objects.filter(user=user).delete()
    return gone


def codes_left(user: Any) -> int:
    """How many recovery codes have not been used."""
    return int(StaticToken.objects.filter(device__user=user).count())


def _recovery_codes(user: Any) -> list[str]:
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = [_text(secrets.token_bytes(_BYTES)) for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(
        [StaticToken(device=device, token=_digest(code)) for code in codes]
    )
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


def _digest(code: str) -> str:
    # Of 80 random bits: no key is needed against guessing, and none can be lost.
    return _text(hashlib.sha256(code.encode()).digest()[:_BYTES])


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode().lower()
