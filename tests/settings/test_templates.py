"""The templates, and the page of all variables, are made of the declarations: what a person copies
is what is read.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbcore.configuration.documents import retired_table, table, template
from settings.variables import ALL

ROOT = Path(__file__).resolve().parents[2]
MARKER = "<!-- made from the declarations: UPDATE_DOCS=1 make test -->\n"
HEADS = {
    "development": (
        "Daylight, development. Copy to .env and change what you need: every line shows its "
        "default. What is set in the process's environment goes before what stands here."
    ),
    "production": (
        "Daylight, production. Copy to .env on the host (never commit it), or set these in the "
        "process's environment, which goes before it. Lines without # must be filled in; the "
        "others show their defaults.\n"
        "AWS's credentials come from the role of the instance, task or function.\n"
        "Made by `UPDATE_DOCS=1 make test` from the declarations, as docs/configuration.md is. "
        "`manage.py configuration` shows what is in force, `manage.py connect` whether it works."
    ),
}


@pytest.mark.parametrize("environment", HEADS)
def test_a_template_is_as_the_declarations_make_it(environment: str) -> None:
    made = template(ALL, environment, HEADS[environment])
    path = ROOT / f".env.{environment}"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(made)
    assert path.read_text() == made, "old: UPDATE_DOCS=1 make test"


def test_the_page_of_all_variables_is_as_the_declarations_make_it() -> None:
    page = ROOT / "docs" / "configuration.md"
    head = page.read_text().partition(MARKER)[0]
    made = f"{head}{MARKER}\n{table(ALL)}\n## Earlier names\n\n{retired_table(ALL)}"
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(made)
    assert page.read_text() == made, "old: UPDATE_DOCS=1 make test"


def test_every_variable_says_in_sentences_what_it_is() -> None:
    for each in ALL.variables:
        assert each.sentence[0].isalnum() and " " in each.sentence, each.name
        assert each.group, each.name
    assert len({each.name for each in ALL.variables}) == len(ALL.variables)
