"""What was found, as a table for people and as plain data for programs."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from dbcore.connecting.certificates import Tls
from dbcore.connecting.found import Found
from dbcore.monitoring.health.report import COLOURS
from dbcore.monitoring.health.results import worst

WIDTH = 100  # columns, where no terminal says how wide it is
_ADDRESSES = 4  # of many, so many are shown


def table(results: Sequence[Found], at: dt.datetime) -> Table:
    """Each target with its facts. All of it is text: nothing of the other side's is markup."""
    status = worst(each.status for each in results)
    title = Text.assemble(
        (str(status), COLOURS[status]),
        f" at {at:%Y-%m-%d %H:%M:%S} UTC, asked from {platform.node()}",
    )
    shown = Table("target", "status", "fact", title=title, title_justify="left", box=None)
    shown.add_column("", overflow="fold")
    for each in results:
        name, state = Text(each.name), Text(str(each.status), COLOURS[each.status])
        if each.unused and not each.troubles:
            state = Text("-")
        for label, value in lines(each, at):
            shown.add_row(name, state, Text(label, "dim"), Text(value))
            name = state = Text("")
    return shown


def sentences(results: Sequence[Found]) -> Iterator[Text]:
    """For each thing that is wrong: what it is, and what to do."""
    for each in results:
        for trouble in each.troubles:
            yield Text.assemble(
                (f"{trouble.status} ", COLOURS[trouble.status]),
                (f"{each.name}: ", "bold"),
                f"{trouble.what}. {_sentence(trouble.advice)}",
            )


def _sentence(advice: str) -> str:
    return f"{advice[:1].upper()}{advice[1:]}{'' if advice.endswith('?') else '.'}"


def lines(found: Found, at: dt.datetime) -> Iterator[tuple[str, str]]:
    """The facts of a target that are known, each with what it is."""
    if found.unused:
        yield "", found.unused
        return
    if found.endpoint:
        yield "endpoint", found.endpoint
    if found.addresses:
        more = len(found.addresses) - _ADDRESSES
        said = ", ".join(found.addresses[:_ADDRESSES])
        yield "addresses", said + (f" and {more} more" if more > 0 else "")
    if "proxy" in found.facts:
        yield "proxy", found.facts["proxy"]
    if found.tls is not None:
        yield from _of_tls(found.tls, at)
    elif found.endpoint.startswith(("http://", "redis://", "smtp://")):
        yield "TLS", "none"
    if found.authorities:
        yield "CAs", found.authorities
    yield from ((name, value) for name, value in found.facts.items() if name != "proxy")
    if found.skew is not None:
        yield "clock", f"{-found.skew:+,.0f} s from ours" if found.skew else "as ours"
    if found.answer:
        yield "answer", found.answer
    elif found.troubles:
        yield "answer", "none"


def _of_tls(tls: Tls, at: dt.datetime) -> Iterator[tuple[str, str]]:
    said = f"{tls.version}, {tls.cipher}; checked: {tls.judged}"
    yield "TLS", said
    if tls.leaf is not None:
        ends = f"{tls.leaf.not_after:%Y-%m-%d}, in {tls.leaf.days_left(at):,} days"
        chain = [tls.leaf.subject, *(each.issuer for each in tls.chain)]
        yield "certificate", f"until {ends}: {' < '.join(dict.fromkeys(chain))}"


def as_json(results: Sequence[Found], at: dt.datetime) -> dict[str, Any]:
    """The same as values that JSON can carry; times in ISO 8601, durations in seconds."""
    return {
        "status": worst(each.status for each in results).value,
        "at": at.isoformat(),
        "targets": [_as_json(each, at) for each in results],
    }


def _as_json(found: Found, at: dt.datetime) -> dict[str, Any]:
    return {
        "name": found.name,
        "status": found.status.value,
        "unused": found.unused,
        "endpoint": found.endpoint,
        "addresses": list(found.addresses),
        "facts": dict(found.facts),
        "tls": None if found.tls is None else _tls_as_json(found.tls, at),
        "authorities": found.authorities,
        "clock_skew": found.skew,
        "answer": found.answer,
        "seconds": round(found.seconds, 4),
        "troubles": [
            {"status": each.status.value, "what": each.what, "advice": each.advice}
            for each in found.troubles
        ],
    }


def _tls_as_json(tls: Tls, at: dt.datetime) -> dict[str, Any]:
    return {
        "version": tls.version,
        "cipher": tls.cipher,
        "checked": tls.judged,
        "chain": [
            {
                "subject": each.subject,
                "issuer": each.issuer,
                "names": list(each.names),
                "not_before": each.not_before.isoformat(),
                "not_after": each.not_after.isoformat(),
                "days_left": each.days_left(at),
            }
            for each in tls.chain
        ],
    }
