"""The forms of signing in. Whatever is wrong, the answer is the same; whatever was typed, no page
shows a password or a code again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from daylight.signin import authenticator
from daylight.signin.throttle import forgive

WRONG = (
    "Please enter the correct username and password of a staff account, and a code of your "
    "authenticator where you have set one up. Upper and lower case matter; each code counts once."
)


class CodeInput(forms.TextInput):
    """A field that is empty again whenever its page is shown."""

    def format_value(self, value: Any) -> None:
        return None


def _code_field(label: str, *, required: bool) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
    widget = CodeInput(attrs=attributes)
    return forms.CharField(label=label, required=required, max_length=40, widget=widget)


class SignInForm(AdminAuthenticationForm):
    """Name, password, and the code of those who have an authenticator."""

    error_messages = {**AdminAuthenticationForm.error_messages, "invalid_login": WRONG}
    code = _code_field("Code, if you have an authenticator:", required=False)

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        user: Any = self.get_user()
        if user is None or not authenticator.has_authenticator(user):
            return cleaned
        device = authenticator.prove(user, cleaned.get("code") or "")
        if device is None:
            self.user_cache = None  # nobody has signed in
            fail_by_code(self.request, user)
            raise self.get_invalid_login_error()
        user.otp_device = device  # django-otp puts it into the session when it begins
        return cleaned


class ProofForm(forms.Form):
    """Asks whoever is signed in for their password and a code: a session that was left open, or
    taken, must not be enough. Guesses are counted as those of a sign-in."""

    password = forms.CharField(
        strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    code = _code_field("Code", required=True)

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)

    @sensitive_variables()
    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not is_password_of(self.request, self.request.user, password):
            raise ValidationError("This is not your password.", code="password_incorrect")
        return password


class PasswordChangeForm(AdminPasswordChangeForm):
    """A new password. The old one cannot be guessed here more often than at the sign-in."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)

    @sensitive_variables()
    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        if not is_password_of(self.request, self.user, old):
            wrong = self.error_messages["password_incorrect"]
            raise ValidationError(wrong, code="password_incorrect")
        forgive(self.request, self.user)
        return old


@sensitive_variables("password")
def is_password_of(request: HttpRequest, user: Any, password: str) -> bool:
    """Whether it is the password of whoever is signed in. Each guess counts as one at the sign-in,
    until who asks forgives it."""
    return authenticate(request, username=user.get_username(), password=password) is not None


def fail_by_code(request: HttpRequest | None, user: Any) -> None:
    """Say that somebody has failed by their code. That the password was right has been counted as
    an attempt, and stays so."""
    if request is not None:
        request.signin_failed_by = "code"  # type: ignore[attr-defined]
    user_login_failed.send(__name__, credentials={"username": user.get_username()}, request=request)
