"""Daylight's admin site: who is let in, and by which pages. Every model's pages stand whatever is
asked of them, and write what is changed in them to the audit trail, whoever registers them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.db.models import Model
from django.db.models.base import ModelBase
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode

from daylight.signin import authenticator
from daylight.signin.forms import SignInForm
from daylight.signin.pages import PasswordPage, authenticator_page
from daylight.trail.changes import Audited

# Applications that register pages of their own, with the keys and codes of authenticators.
_SECRET = frozenset({"otp_totp", "otp_static"})


class StaffSite(admin.AdminSite):
    """Django's admin site, for staff that have shown all that they must."""

    login_form = SignInForm
    login_template = "daylight/sign_in.html"

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[admin.ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Register pages, which are audited and guarded."""
        from dbcore.admin.guarded import GuardedAdmin  # it registers pages itself, on this site

        given = admin_class or admin.ModelAdmin
        guarded = (given,) if issubclass(given, GuardedAdmin) else (GuardedAdmin, given)
        audited = type(given.__name__, (Audited, *guarded), {"__module__": given.__module__})
        one = isinstance(model_or_iterable, ModelBase)
        models: Any = [model_or_iterable] if one else model_or_iterable
        shown = [model for model in models if model._meta.app_label not in _SECRET]
        super().register(shown, audited, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        return is_staff(request) and authenticator.has_proven(request.user)

    def get_urls(self) -> list[Any]:
        own = path("authenticator/", self.authenticator, name="authenticator")
        return [own, *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The page to sign in; who has, and lacks an authenticator that they must have, is led to
        where they can set it up."""
        if (
            request.method == "GET"
            and is_staff(request)
            and authenticator.must_set_up(request.user)
        ):
            after = {REDIRECT_FIELD_NAME: request.GET.get(REDIRECT_FIELD_NAME, "")}
            return redirect(f"{reverse('admin:authenticator')}?{urlencode(after)}")
        return super().login(request, extra_context)

    def authenticator(self, request: HttpRequest) -> HttpResponse:
        """The page on which one's authenticator is set up and removed."""
        proven = self.has_permission(request)
        if proven or self._must_set_up(request):
            request.current_app = self.name
            return authenticator_page(request, self.each_context(request))
        return redirect(f"{reverse('admin:login')}?{urlencode({'next': request.path})}")

    def _must_set_up(self, request: HttpRequest) -> bool:
        return is_staff(request) and authenticator.must_set_up(request.user)

    def autocomplete_view(self, request: HttpRequest) -> Any:
        """What the fields of other records search: as guarded as their lists."""
        from dbcore.admin.guarded import guarded

        return guarded(super().autocomplete_view)(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The page to change one's password."""
        view = PasswordPage.as_view(
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)


def is_staff(request: HttpRequest) -> bool:
    """Whether somebody of the staff is signed in, by their password at least."""
    user = request.user
    return bool(user.is_active and user.is_staff)
