"""Alerts in Django's admin: what is wrong since when, and whom it was told. To read: what the
monitors keep here decides what they send.
"""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dbcore.admin.display import EMPTY, ViewOnlyAdmin, pretty_json, text_of
from dbcore.models import AlertDelivery, AlertState
from dbcore.printable import shortened


@admin.register(AlertState)
class AlertStateAdmin(ViewOnlyAdmin):
    list_display = ("rule", "subject", "phase", "severity", "since", "sentence_short", "messages")
    list_filter = ("phase", "severity", "rule")
    search_fields = ("rule", "subject", "incident", "sentence")
    date_hierarchy = "since"
    ordering = ("-since",)
    fieldsets = (
        (None, {"fields": ("rule", "subject", "phase", "severity", "sentence")}),
        ("When", {"fields": ("since", "fired_at", "ended_at")}),
        ("Incident", {"fields": ("incident", "messages", "bad_by", "bad_at")}),
    )

    @admin.display(description="what", ordering="sentence")
    def sentence_short(self, state: AlertState) -> str:
        return shortened(state.sentence, 120)

    @admin.display(description="messages")
    def messages(self, state: AlertState) -> SafeString | str:
        """A link to the messages of the incident that is open, or was the last."""
        if not state.incident:
            return EMPTY
        url = reverse("admin:dbcore_alertdelivery_changelist")
        return format_html('<a href="{}?incident__exact={}">messages</a>', url, state.incident)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ViewOnlyAdmin):
    list_display = ("created_at", "channel", "event", "state", "attempts", "answer_short")
    list_filter = ("state", "channel", "created_at")
    linked_lookups = ("incident__exact",)
    search_fields = ("id", "incident", "answer")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("id", "channel", "incident", "state")}),
        ("Sending", {"fields": ("created_at", "attempts", "attempted_at", "next_at", "answer")}),
        ("Message", {"fields": ("message_shown",)}),
    )

    @admin.display(description="event")
    def event(self, delivery: AlertDelivery) -> str:
        """What began, got worse or ended."""
        message = delivery.message if isinstance(delivery.message, dict) else {}
        told = (text_of(message.get(name, "")) for name in ("rule", "subject", "event"))
        return " ".join(filter(None, told)) or EMPTY

    @admin.display(description="answer", ordering="answer")
    def answer_short(self, delivery: AlertDelivery) -> str:
        return shortened(delivery.answer, 120)

    @admin.display(description="message")
    def message_shown(self, delivery: AlertDelivery) -> SafeString | str:
        return pretty_json(delivery.message)
