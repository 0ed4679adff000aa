"""What is told of a SQL statement: its table, its operation, its shape, and no value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daylight.models import Plan, User
from dbcore.monitoring.labels import OTHER
from dbcore.monitoring.shapes import MAX_TEXT, statement

KNOWN = [
    ('SELECT "plans"."id" FROM "plans" WHERE "plans"."id" = %s', "plans", "SELECT"),
    ('INSERT INTO "users" ("id") VALUES (%s)', "users", "INSERT"),
    ('INSERT OR REPLACE INTO "users" ("id") VALUES (%s)', "users", "INSERT"),
    ("REPLACE INTO users VALUES (1)", "users", "INSERT"),
    ('UPDATE "plans" SET "title" = %s', "plans", "UPDATE"),
    ('DELETE FROM "plans" WHERE 1 = 1', "plans", "DELETE"),
    ('select * from "public"."plans"', "plans", "SELECT"),
    ('SELECT COUNT(*) FROM (SELECT "plans"."id" FROM "plans") subquery', "plans", "SELECT"),
    ('(SELECT "id" FROM "plans") UNION (SELECT "id" FROM "users")', "plans", "SELECT"),
    ('SELECT EXTRACT(DAY FROM "plans"."start_time") FROM "plans"', "plans", "SELECT"),
    ('WITH old AS (SELECT 1) DELETE FROM "plans"', "plans", "DELETE"),
    ('WITH old AS (SELECT "id" FROM "users") SELECT * FROM "users"', "users", "SELECT"),
    ("-- it's a comment\nSELECT 1 FROM plans", "plans", "SELECT"),
    ('/* "users" */ SELECT 1 FROM "plans"', "plans", "SELECT"),
    ('SELECT * FROM "django_session"', "django_session", "SELECT"),
    ('SELECT * FROM "django_migrations"', "django_migrations", "SELECT"),
    ('SELECT * FROM "somebody_elses"', OTHER, "SELECT"),
    ('SELECT * FROM "alice" WHERE "id" IN (SELECT "id" FROM "plans")', OTHER, "SELECT"),
    ("SELECT 1", OTHER, "SELECT"),
    ("BEGIN IMMEDIATE", OTHER, OTHER),
    ('SAVEPOINT "s140_x1"', OTHER, OTHER),
    ("PRAGMA foreign_keys", OTHER, OTHER),
    ("", OTHER, OTHER),
]


@pytest.mark.parametrize(("sql", "table", "operation"), KNOWN)
def test_a_statement_is_put_down_to_its_table_and_operation(
    sql: str, table: str, operation: str
) -> None:
    told = statement(sql)
    assert (told.table, told.operation) == (table, operation)


@pytest.mark.parametrize(
    ("sql", "shape"),
    [
        ("SELECT 1 FROM plans WHERE id = 'it''s'", "SELECT ? FROM plans WHERE id = ?"),
        ("SELECT 1 FROM plans WHERE n > -1.5e3", "SELECT ? FROM plans WHERE n > ?"),
        ("SELECT id FROM plans WHERE id IN (%s, %s, %s)", "SELECT id FROM plans WHERE id IN (? …)"),
        ("INSERT INTO plans VALUES (%s, %s), (%s, %s)", "INSERT INTO plans VALUES (? …) …"),
        ("INSERT INTO plans VALUES (%s), (%s)", "INSERT INTO plans VALUES (?) …"),
        ("SELECT  1\n FROM\tplans ;", "SELECT ? FROM plans"),
        ('SELECT "id" "col1" FROM "plans" T3', 'SELECT "id" "col1" FROM "plans" T3'),
        ("SELECT 1 FROM plans WHERE x = 'a' -- it's 'b", "SELECT ? FROM plans WHERE x = ?"),
        ("SELECT 1 -- it's\n, 'secret' FROM plans", "SELECT ? , ? FROM plans"),
        ("SELECT $q$it's$q$, E'a\\'b', id::text FROM plans", "SELECT ?, ?, id::text FROM plans"),
        ('SELECT * FROM plans WHERE title = "alice"', "SELECT * FROM plans WHERE title = ?"),
        ("SELECT 'never closed", "SELECT ?"),
        ("SELECT %(name)s, :name, @name, ?1, $2 FROM plans", "SELECT ?, ?, ?, ?, ? FROM plans"),
    ],
)  # fmt: skip
def test_a_shape_has_no_values_and_folds_lists(sql: str, shape: str) -> None:
    assert statement(sql).text == shape


SECRET = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(SECRET, SECRET, st.integers(100, 10**9))
def test_no_literal_is_left_in_a_shape(text: str, other: str, number: int) -> None:
    marked, second = f"Qz{text}zQ", f"Xv{other}vX"
    quoted, again = marked.replace("'", "''"), second.replace("'", "''")
    shape = statement(
        f"/* {text.replace('*/', '')} */ UPDATE plans SET title = '{quoted}', n = {number} "
        f"WHERE id = '{again}'"
    ).text
    assert "Qz" not in shape and "Xv" not in shape and str(number) not in shape
    assert shape.endswith("UPDATE plans SET title = ?, n = ? WHERE id = ?")


def test_a_shape_is_cut_where_it_is_long() -> None:
    assert len(statement("SELECT " + ", ".join(["title"] * 500) + " FROM plans").text) == MAX_TEXT


@pytest.mark.django_db
def test_what_the_orm_writes_is_told_apart_whatever_the_number_of_values() -> None:
    def shape(rows: object) -> str:
        sql, _ = rows.query.sql_with_params()  # type: ignore[attr-defined]
        return statement(sql).text

    few, many = (Plan.objects.filter(id__in=[str(at) for at in range(n)]) for n in (2, 40))
    assert shape(few) == shape(many)
    assert shape(few) != shape(User.objects.filter(id__in=["a", "b"]))
