"""Sign-ins, failures, lock-outs and changes of passwords, in the audit trail."""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.http import HttpRequest

from daylight.signin.throttle import digest
from daylight.trail.entries import current, staff, tell

KIND = "sign_in"
# Of refused attempts from one address each is told until so many within the cool-off, and then the
# 128th, 256th, 512th …: nobody fills the audit trail, which nothing may be removed from.
ALL_TOLD = 100


class PasswordChanges:
    """A validator of passwords that refuses none: Django tells validators of each change, wherever
    it is made."""

    def validate(self, password: str, user: Any = None) -> None:
        """Nothing is wrong."""

    def get_help_text(self) -> str:
        return "Each change of a password is written to the audit trail."

    def password_changed(self, password: str, user: Any = None) -> None:
        """Tell of it."""
        if user is not None:
            details = {"account": staff(user)}
            tell(current.get(), kind=KIND, action="change_password", risk="high", details=details)


def _made(instance: Any, *, created: bool, raw: bool, **_: Any) -> None:
    if created and not raw:  # not what a fixture brings
        tell(current.get(), kind=KIND, action="make_account", risk="high",
             details={"account": staff(instance), "superuser": instance.is_superuser})  # fmt: skip


def _signed_in(request: HttpRequest, user: Any, **_: Any) -> None:
    by = "password" if getattr(user, "otp_device", None) is None else user.otp_device.name
    tell(request, kind=KIND, action="sign_in", actor=staff(user), details={"by": by})


def _signed_out(request: HttpRequest, user: Any, **_: Any) -> None:
    if user is not None:
        tell(request, kind=KIND, action="sign_out", actor=staff(user))


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    refused = getattr(request, "signin_refused", 0)
    if refused > ALL_TOLD and refused & (refused - 1):
        return
    why = "refused" if refused else getattr(request, "signin_failed_by", "password")
    details = {"by": why, **account(credentials)} | ({"refused": refused} if refused else {})
    risk = "high" if why == "code" or refused else "medium"
    tell(request, kind=KIND, action="sign_in", outcome="failure", risk=risk, details=details)


def _locked_out(request: HttpRequest, credentials: dict[str, Any], **_: Any) -> None:
    told = {"outcome": "failure", "risk": "high", "details": account(credentials)}
    tell(request, kind=KIND, action="lock_out", **told)


def account(credentials: dict[str, Any]) -> dict[str, Any]:
    """Whose account it is; of a name that is none, which may be a password, a digest."""
    name = str(credentials.get("username") or "")
    user = get_user_model()._default_manager.filter(username=name).first()
    return {"name": digest(name)[:16]} if user is None else {"account": staff(user)}


post_save.connect(_made, get_user_model(), dispatch_uid="daylight.trail.made")
user_logged_in.connect(_signed_in, dispatch_uid="daylight.trail.signed_in")
user_logged_out.connect(_signed_out, dispatch_uid="daylight.trail.signed_out")
user_login_failed.connect(_failed, dispatch_uid="daylight.trail.failed")
user_locked_out.connect(_locked_out, dispatch_uid="daylight.trail.locked_out")
