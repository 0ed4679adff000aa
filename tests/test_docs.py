"""The documents are of this code: every command is described, no link leads nowhere."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

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
            what += f" {action.metavar or choices or action.dest.upper()}"
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_leads_nowhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    missing = [
        link for link in links
        if "://" not in link and not (document.parent / link).exists()
    ]  # fmt: skip
    assert missing == []


def test_every_path_that_the_readme_names_is_there() -> None:
    named = re.findall(
        r"`((?:dbcore|daylight|tests|settings|docs|bench)/[\w./]*)`",
        (ROOT / "README.md").read_text(),
    )
    assert len(named) > 10
    made = {"bench/latest.json"}
    assert [name for name in named if name not in made and not (ROOT / name).exists()] == []
