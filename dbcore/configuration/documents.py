"""What is told of variables: a `.env` template for an environment, and the table of all. Both are
made from the declarations, and a test holds the files of a project to what is made here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from dbcore.configuration.registry import ENVIRONMENTS, Registry, Variable

WIDTH = 100


def template(registry: Registry, environment: str, head: str) -> str:
    """A `.env` file: what must be set without #, and the rest commented out with its default."""
    return "\n".join((*_comment(head), *_groups(registry, environment))) + "\n"


def _groups(registry: Registry, environment: str) -> Iterator[str]:
    for group in _names_of_groups(registry):
        yield ""
        yield f"# --- {group} ".ljust(WIDTH, "-")
        for variable in registry.variables:
            if variable.group == group:
                yield from _comment(f"{variable.sentence}\nAllowed: {variable.kind.allowed}")
                yield from _line(variable, environment)


def _line(variable: Variable, environment: str) -> Iterator[str]:
    if environment in variable.required:
        yield f"{variable.name}="
    elif variable.name == "DAYLIGHT_ENV" and environment != ENVIRONMENTS[0]:
        yield f"{variable.name}={environment}"
    else:
        yield f"#{variable.name}={variable.default_in(environment)}"


def _comment(text: str) -> Iterator[str]:
    for paragraph in text.split("\n"):
        for line in textwrap.wrap(
            paragraph, WIDTH - 2, break_long_words=False, break_on_hyphens=False
        ):
            yield f"# {line}"


def table(registry: Registry) -> str:
    """Every variable, by group, as Markdown."""
    return "\n".join(_tables(registry))


def _tables(registry: Registry) -> Iterator[str]:
    for group in _names_of_groups(registry):
        yield f"### {group}\n"
        yield "| variable | what it is | allowed | default |"
        yield "|---|---|---|---|"
        for each in registry.variables:
            if each.group == group:
                cells = (each.sentence, each.kind.allowed, _default(each))
                yield f"| `{each.name}` | " + " | ".join(map(_cell, cells)) + " |"
        yield ""


def _default(variable: Variable) -> str:
    """The default by environment, where they differ; what must be set is said so."""
    said = {
        each: "**must be set**" if each in variable.required else _code(variable.default_in(each))
        for each in ENVIRONMENTS[:2]
    }
    development, production = said.values()
    secret = " (secret)" if variable.secret else ""
    if development == production:
        return f"{development or 'empty'}{secret}"
    return f"{development or 'empty'}; production: {production or 'empty'}{secret}"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _names_of_groups(registry: Registry) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.group for each in registry.variables))


def retired_table(registry: Registry) -> str:
    """The earlier names, as Markdown."""
    rows = (f"| `{name}` | {_cell(text)} |" for name, text in sorted(registry.retired.items()))
    return "\n".join(("| earlier name | instead |", "|---|---|", *rows)) + "\n"
