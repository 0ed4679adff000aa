"""The documents are of this code: every command is described, no link leads nowhere."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from dbcore.items import layout_of
from dbcore.schema import storage_models
from dbcore.tables import NoRetention, Tier

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ROOT / "docs" / "commands.md"
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def own_commands() -> dict[str, BaseCommand]:
    """The project's management commands, by name."""
    names = (name for name, app in get_commands().items() if app in ("daylight", "dbcore"))
    return {name: load_command_class(get_commands()[name], name) for name in sorted(names)}


def described(name: str, command: BaseCommand) -> str:
    """A command as its section in docs/commands.md: what it does, its options, its examples."""
    parser = command.create_parser("manage.py", name)
    inherited = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions}
    text = str(parser.description).splitlines()
    prose = " ".join(line.strip() for line in text if not line.startswith("  "))
    lines = [f"## {name}", "", " ".join(prose.split()), ""]
    examples = [line for line in text if line.startswith("  ")]
    rows = []
    for action in parser._actions:
        if action.dest in inherited or not action.help:
            continue
        what = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        if action.option_strings and action.nargs != 0:
            choices = r"\|".join(map(str, action.choices)) if action.choices else ""
            names = action.metavar or choices or action.dest.upper()
            what += f" {names if isinstance(names, str) else ' '.join(names)}"
        meaning = " ".join(str(action.help % vars(action)).split())
        rows.append(f"| `{what}` | {meaning} |")
    if rows:
        lines += ["| option | meaning |", "|---|---|", *rows, ""]
    if examples:
        lines += ["```text", *examples, "```", ""]
    if parser.epilog:
        lines += ["```text", parser.epilog.strip(), "```", ""]
    return "\n".join(lines)


def test_every_command_is_described_as_it_is_now() -> None:
    head = (
        "# Commands\n\nMade from the commands themselves: "
        "`UPDATE_DOCS=1 make test` writes this page anew.\n\n"
    )
    page = head + "\n".join(described(*each) for each in own_commands().items())
    if os.environ.get("UPDATE_DOCS"):
        COMMANDS.write_text(page)
    assert COMMANDS.read_text() == page, "docs/commands.md is old: UPDATE_DOCS=1 make test"
    assert "## migrate_to_dynamo" in page and "--verify-only" in page


def policy_table() -> str:
    """Each table's retention, from the models."""
    lines = ["| table | kept | since | then |", "|---|---|---|---|"]
    ends = {
        Tier.HOT: "deleted",
        Tier.WARM: "archived (STANDARD_IA), deleted",
        Tier.COLD: "archived (GLACIER), deleted",
    }
    for layout in sorted(map(layout_of, storage_models()), key=lambda each: each.table.name):
        table, policy = layout.table, layout.table.retention
        if isinstance(policy, NoRetention):
            lines.append(f"| `{table.name}` | {policy.reason} | – | – |")
            continue
        since = "the latest of " * (len(policy.since) > 1) + ", ".join(policy.since)
        kept = f"{policy.days} days" + ", and while its user is kept" * bool(policy.while_kept)
        end = ends[policy.tier]
        if policy.tier is Tier.COLD and policy.days >= 2555:
            end = end.replace("GLACIER", "DEEP_ARCHIVE")
        lines.append(f"| `{table.name}` | {kept} | {since} | {end} |")
    return "\n".join(lines)


def test_the_policies_are_as_the_models_declare_them() -> None:
    path = ROOT / "docs" / "retention.md"
    page = path.read_text()
    found = re.search(r"(<!-- policies:[^>]*-->\n)(.*)(<!-- end of policies -->)", page, re.DOTALL)
    assert found is not None
    if os.environ.get("UPDATE_DOCS"):
        page = page.replace(found[0], f"{found[1]}{policy_table()}\n{found[3]}")
        path.write_text(page)
    assert policy_table() in page, "docs/retention.md is old: UPDATE_DOCS=1 make test"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_leads_nowhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    missing = [
        link for link in links
        if "://" not in link and not (document.parent / link).exists()
    ]  # fmt: skip
    assert missing == []


def bare_calls(text: str) -> list[str]:
    """Lines that are to be typed, and do not run: after `make setup` it is ./manage.py."""
    typed = re.findall(r"^(?:\$ +| {2,})?(?:python3? )?(?<!\./)manage\.py .*", text, re.MULTILINE)
    return [line.strip() for line in typed]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_to_be_typed_runs_as_it_is_written(document: Path) -> None:
    blocks = re.findall(r"^```(?:console|sh|text)?\n(.*?)^```", document.read_text(), re.M | re.S)
    assert [line for block in blocks for line in bare_calls(block)] == []


def test_what_is_to_be_typed_is_found() -> None:
    assert bare_calls("$ manage.py x\npython manage.py y\n  manage.py z\n$ ./manage.py w") == [
        "$ manage.py x", "python manage.py y", "manage.py z",
    ]  # fmt: skip


def test_every_path_that_the_readme_names_is_there() -> None:
    named = re.findall(
        r"`((?:dbcore|daylight|tests|settings|docs|bench)/[\w./]*)`",
        (ROOT / "README.md").read_text(),
    )
    assert len(named) > 10
    made = {"bench/latest.json"}
    assert [name for name in named if name not in made and not (ROOT / name).exists()] == []
