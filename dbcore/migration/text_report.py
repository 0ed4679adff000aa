"""A report as a person reads it."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from dbcore.attributes import Item
from dbcore.migration.report import Report

_COLUMNS = (
    "read", "written", "unchanged", "skipped", "dead_lettered", "missing", "different", "extra",
)  # fmt: skip
_BAD = {"missing", "different", "extra"}
_SHOWN = 20  # dead letters and findings that the text lists; the JSON has all


def print_report(report: Report, out: Any) -> None:
    """Print a report to a stream."""
    console = Console(file=getattr(out, "_out", out), highlight=False, soft_wrap=False)
    _heading(console, report)
    if report.lines:
        console.print(_table(report))
    _letters(console, report)
    _findings(console, report)
    _estimate(console, report)
    for name in report.unknown:
        console.print(f"  left alone, not known here: {name}")
    for note in report.notes:
        console.print(f"  note: {note}")
    _verdict(console, report)


def _heading(console: Console, report: Report) -> None:
    kind = "Dry run of a migration" if report.dry_run else "Migration"
    console.print(f"[bold]{kind}[/bold] {report.run}")
    console.print(f"  from {report.source}\n    to {report.target}")
    if report.resumed:
        console.print("  resumed from its checkpoint")


def _table(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=len(report.lines) > 1)
    table.add_column("source table", footer="total")
    table.add_column("to")
    for name in _COLUMNS:
        shown = name.replace("dead_lettered", "dead letters")
        table.add_column(shown, justify="right", footer=_cell(name, report.total(name)))
    for line in report.lines:
        cells = [_cell(name, getattr(line.tally, name)) for name in _COLUMNS]
        table.add_row(line.source, line.table, *cells)
    return table


def _cell(name: str, value: int) -> str:
    text = f"{value:,}"
    if not value:
        return f"[dim]{text}[/dim]"
    if name in _BAD:
        return f"[red]{text}[/red]"
    return f"[yellow]{text}[/yellow]" if name == "dead_lettered" else text


def _letters(console: Console, report: Report) -> None:
    if not report.dead_letters:
        return
    console.print("[yellow]Dead letters[/yellow] (rows that cannot be items, kept whole):")
    for letter in report.dead_letters[:_SHOWN]:
        console.print(f"  {letter.source} {letter.key}: {letter.reason}", markup=False)
    _more(console, len(report.dead_letters))
    if not report.dry_run:
        console.print("  repair the source, then: manage.py dead_letters replay\n")


def _findings(console: Console, report: Report) -> None:
    if not report.findings:
        return
    console.print("[red]Verification found:[/red]")
    for each in report.findings[:_SHOWN]:
        names = f" ({', '.join(each.attributes)})" if each.attributes else ""
        line = f"  {each.kind:<9} {each.table} {_key_text(each.key)}{names}"
        console.print(line, markup=False)
    _more(console, len(report.findings))


def _more(console: Console, count: int) -> None:
    if count > _SHOWN:
        console.print(f"  … and {count - _SHOWN:,} more (--format json lists them)")


def _key_text(key: Item) -> str:
    return ", ".join(f"{name}={next(iter(value.values()))}" for name, value in key.items())


def _estimate(console: Console, report: Report) -> None:
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


def _verdict(console: Console, report: Report) -> None:
    seconds = f"{report.seconds:,.1f} s, {report.rows_per_second:,.0f} rows/s copied"
    if report.status == "interrupted":
        console.print(f"[yellow]Interrupted[/yellow] after {seconds}: run the same command again")
    elif report.error:
        console.print(f"[red]Failed[/red] after {seconds}: the same command goes on from here")
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
