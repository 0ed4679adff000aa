"""A sweep's report as a person reads it."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from dbcore.retention.report import Damage, SweepReport, TableLine
from dbcore.terminal import Screen, escape

_COLUMNS = ("due", "would", "archived", "deleted")
_HEADINGS = {"would": "would go"}
_STAYS = {
    "held": "under legal hold",
    "in_grace": "restored lately",
    "kept": "kept by another record",
    "changed": "changed meanwhile",
    "gone": "gone meanwhile",
    "left": "over --max-records",
    "unproven": "in an unproven archive",
    "undone": "not come to",
    "unreadable": "unreadable",
}


def print_report(report: SweepReport, out: Any) -> None:
    """Print a report to a stream."""
    console = Screen(out)
    kind = "Dry run of a sweep" if report.dry_run else "Sweep"
    console.print(f"[bold]{kind}[/bold] {report.sweep}")
    console.print(f"  as of {report.as_of:%Y-%m-%d %H:%M %Z}")
    if report.target:
        console.say(f"  of {report.target}")
    if report.lines:
        console.print(_table(report))
    for line in report.lines:
        for note in line.notes:
            console.say(f"  {line.table}: {note}")
        for each in line.unreadable_records:
            console.say(f"  {line.table}: {each.key}: {each.why}")
    _without_policy(console, report)
    _earlier(console, report)
    for note in report.notes:
        console.say(f"  note: {note}")
    for line in report.lines:
        if line.error:
            console.say(f"  {line.table}: {line.error}", "red")
    _verdict(console, report)


def _table(report: SweepReport) -> Table:
    """Counts by table; columns that are zero everywhere are left out but for the first."""
    shown = [name for name in _COLUMNS if name == "due" or report.total(name)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=len(report.lines) > 1)
    table.add_column("table", footer="total", no_wrap=True)
    table.add_column("policy", no_wrap=True)
    for name in shown:
        heading = _HEADINGS.get(name, name)
        footer = f"{report.total(name):,}"
        table.add_column(heading, justify="right", footer=footer, no_wrap=True)
    table.add_column("stays")
    for line in report.lines:
        counts = [_count(getattr(line, name)) for name in shown]
        table.add_row(escape(line.table), _policy(line), *counts, _stays(line))
    return table


def _policy(line: TableLine) -> str:
    return "expiry" if line.days is None else f"{line.days} days, {line.tier}"


def _count(value: int) -> str:
    return f"{value:,}" if value else "[dim]0[/dim]"


def _stays(line: TableLine) -> str:
    found = [f"{count:,} {text}" for name, text in _STAYS.items() if (count := getattr(line, name))]
    return f"[yellow]{', '.join(found)}[/yellow]" if found else ""


def _without_policy(console: Screen, report: SweepReport) -> None:
    for table, reason in report.without_policy.items():
        swept = any(line.table == table for line in report.lines)
        what = "swept for expiry only" if swept else "never swept"
        console.say(f"  {table}: {what} ({reason})", "dim")


def _earlier(console: Screen, report: SweepReport) -> None:
    for damage in report.damages:
        console.say(f"  {_damage(damage)}", "red")
    for archive, why in report.unfinished.items():
        console.say(f"  archive {archive} is not finished: {why}", "red")
    for archive in report.resumed:
        console.say(f"  archive {archive}: an earlier sweep had begun it; it is finished now")
    for archive in report.discarded:
        console.say(f"  archive {archive}: never proven, thrown away; nothing had been deleted")


def _damage(damage: Damage) -> str:
    """What is wrong with an archive, where its records are, and what to do."""
    head = f"archive {damage.archive} of {damage.table}"
    if damage.locked:
        return (
            f"{head} cannot be opened: {damage.why}. Nothing of it was touched; with its key in "
            "ARCHIVE_ENCRYPTION_KEYS the next sweep goes on with it"
        )
    return (
        f"{head} is damaged: {damage.why}. {_whereabouts(damage)}. It is kept, and nothing more is "
        "deleted on its account. Put its object back from a backup (on S3: an earlier version), "
        "then run reconcile_archives --deep"
    )


def _whereabouts(damage: Damage) -> str:
    if damage.missing is None:
        return f"Its manifest is lost: where its {damage.count:,} records are is not known"
    found = (
        f"Of its {damage.count:,} records {damage.live:,} are still in the store, "
        f"{damage.elsewhere:,} in other archives, and {damage.missing:,} in neither"
    )
    if damage.missing:
        found += ": deleted on its account, or changed or deleted since, and perhaps LOST"
    if damage.unopened:
        found += f" ({damage.unopened:,} archives of that time could not be looked into)"
    return found


def _verdict(console: Screen, report: SweepReport) -> None:
    seconds = f"{report.seconds:,.1f} s"
    if report.status == "interrupted":
        console.print(f"[yellow]Interrupted[/yellow] after {seconds}: run the same command again")
    elif report.status == "failed":
        console.print(f"[red]Failed[/red] after {seconds}; the same command goes on from here")
    elif report.status == "unproven":
        what = "see what is said of it above" if report.damaged else "nothing of it was deleted"
        console.print(f"[red]An archive could not be proven[/red] ({seconds}): {what}")
    elif report.dry_run:
        console.print(f"Nothing was changed ({seconds}).")
    else:
        console.print(
            f"[green]Done[/green]: {report.total('deleted'):,} deleted, "
            f"{report.total('archived'):,} of them archived and proven{_resumed(report)} "
            f"({seconds})"
        )


def _resumed(report: SweepReport) -> str:
    count = report.resumed_deleted
    return f"; and {count:,} that an earlier sweep had archived" if count else ""
