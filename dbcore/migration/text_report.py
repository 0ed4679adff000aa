"""A report as a person reads it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rich import box
from rich.table import Table

from dbcore.attributes import Item
from dbcore.migration.report import Report
from dbcore.printable import printable
from dbcore.terminal import Screen, escape

_HEADINGS = {"dead_lettered": "dead letters"}
_BAD = ("missing", "different", "extra")
_SHOWN = 20  # dead letters and findings that the text lists; the JSON has all


def print_report(report: Report, out: Any) -> None:
    """Print a report to a stream."""
    console = Screen(out)
    _heading(console, report)
    if report.lines:
        console.print(_table(report))
    _letters(console, report)
    _findings(console, report)
    _estimate(console, report)
    for name in report.unknown:
        console.say(f"  left alone, not known here: {name}")
    for note in report.notes:
        console.say(f"  note: {note}")
    _verdict(console, report)


def _heading(console: Screen, report: Report) -> None:
    kind = "Dry run of a migration" if report.dry_run else "Migration"
    console.print(f"[bold]{kind}[/bold] {report.run}")
    console.say(f"  from {report.source}")
    console.say(f"    to {report.target}")
    if report.resumed:
        console.print("  resumed from its checkpoint")


def _table(report: Report) -> Table:
    """Counts by source table; columns that are zero everywhere are left out but for the first."""
    counted = [
        name
        for name in ("read", "written", "unchanged", "skipped", "dead_lettered")
        if name in ("read", "written") or report.total(name)
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=len(report.lines) > 1)
    table.add_column("table", footer="total", no_wrap=True)
    for name in counted:
        heading = _HEADINGS.get(name, name)
        footer = _count(name, report.total(name))
        table.add_column(heading, justify="right", footer=footer, no_wrap=True)
    table.add_column("verified", footer=_found(report.total, report.verified), no_wrap=True)
    for line in report.lines:
        arrow = "" if line.source == line.table else f" → {line.table}"
        cells = [_count(name, getattr(line.tally, name)) for name in counted]
        found = _found(functools.partial(getattr, line.tally), report.verified)
        expired = f", {line.expired:,} expired since" if line.expired else ""
        table.add_row(escape(printable(line.source + arrow)), *cells, found + expired)
    return table


def _count(name: str, value: int) -> str:
    text = f"{value:,}"
    if not value:
        return f"[dim]{text}[/dim]"
    return f"[yellow]{text}[/yellow]" if name == "dead_lettered" else text


def _found(count: Callable[[str], int], verified: bool) -> str:
    """What verification found, in words."""
    found = [f"{count(name):,} {name}" for name in _BAD if count(name)]
    if found:
        return f"[red]{', '.join(found)}[/red]"
    return "[green]yes[/green]" if verified else "[dim]–[/dim]"


def _letters(console: Screen, report: Report) -> None:
    if not report.dead_letters:
        return
    console.print("[yellow]Dead letters[/yellow] (rows that cannot be items, kept whole):")
    for letter in report.dead_letters[:_SHOWN]:
        console.say(f"  {letter.source} {letter.key}: {letter.reason}")
    _more(console, len(report.dead_letters))
    if not report.dry_run:
        console.print("  repair the source, then: manage.py dead_letters replay\n")


def _findings(console: Screen, report: Report) -> None:
    if not report.findings:
        return
    console.print("[red]Verification found:[/red]")
    for each in report.findings[:_SHOWN]:
        names = f" ({', '.join(each.attributes)})" if each.attributes else ""
        line = f"  {each.kind:<9} {each.table} {_key_text(each.key)}{names}"
        console.say(line)
    _more(console, len(report.findings))


def _more(console: Screen, count: int) -> None:
    if count > _SHOWN:
        console.print(f"  … and {count - _SHOWN:,} more (--format json lists them)")


def _key_text(key: Item) -> str:
    return ", ".join(f"{name}={next(iter(value.values()))}" for name, value in key.items())


def _estimate(console: Screen, report: Report) -> None:
    found = report.estimate
    if found is None:
        return
    console.print(
        f"It would write [bold]{found.items:,}[/bold] items ({found.bytes / 1e6:,.1f} MB) with "
        f"{found.write_units:,} write units: [bold]${found.dollars:,.2f}[/bold] on demand in "
        f"{found.region} (${found.price_per_million} a million)"
    )
    if found.minutes is not None:
        console.print(f"  {found.minutes:,.1f} minutes at the given rate")


def _verdict(console: Screen, report: Report) -> None:
    seconds = f"{report.seconds:,.1f} s, {report.rows_per_second:,.0f} rows/s copied"
    if report.status == "interrupted":
        console.print(f"[yellow]Interrupted[/yellow] after {seconds}: run the same command again")
    elif report.error:
        later = ": the same command goes on from here" if report.total("read") else ""
        console.print(f"[red]Failed[/red] after {seconds}{later}")
    elif report.differs:
        console.print(f"[red]DynamoDB differs from the source[/red] ({seconds})")
        console.print("  run again to copy what changed, or with --repair to make it so")
    elif report.dry_run:
        console.print("Nothing was written.")
    elif report.verified:
        dead = report.total("dead_lettered")
        but = f", but for [yellow]{dead:,} dead letters[/yellow]" if dead else ""
        console.print(f"[green]Complete and verified[/green]{but} ({seconds})")
    else:
        console.print(f"Copied, [yellow]not verified[/yellow] ({seconds})")
