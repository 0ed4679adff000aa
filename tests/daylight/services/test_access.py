"""Who may do what, and who may not: whatever is not clearly allowed is denied."""

from __future__ import annotations

from typing import Any

import pytest

from daylight.models import Permission, Role
from daylight.sample_data.words import RESOURCES, ROLES
from daylight.services.access import access_service
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import AlreadyExists, InvalidRecord, RecordNotFound, UniqueViolation

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("primary")]


def permission(name: str, resource: str, action: str, **given: Any) -> Permission:
    data = {"name": name, "resource": resource, "action": action, **given}
    return access_service.create_permission(data)


def role(name: str, *permissions: str, inherits: tuple[str, ...] = ()) -> Role:
    return access_service.create_role(
        {"name": name, "permissions": list(permissions), "inherited_roles": list(inherits)}
    )


def allowed(
    user_role: str, resource: str, action: str, context: dict[str, Any] | None = None
) -> bool:
    return access_service.is_allowed([user_role], resource, action, context)


# --- the question ----------------------------------------------------------------------------


def test_a_role_allows_what_its_permissions_say_and_nothing_else() -> None:
    permission("plans:read", "plans", "read")
    permission("plans:write", "plans", "write")
    role("guest", "plans:read")
    assert allowed("guest", "plans", "read")
    assert not allowed("guest", "plans", "write")
    assert not allowed("guest", "Plans", "read")
    assert not allowed("guest", "plans/1", "read")
    assert not access_service.is_allowed([], "plans", "read")


def test_one_of_several_roles_is_enough() -> None:
    permission("a", "plans", "read")
    role("empty")
    role("reader", "a")
    assert access_service.is_allowed(("empty", "unknown", "reader"), "plans", "read")


def test_what_is_inherited_is_allowed_however_far_up() -> None:
    permission("a", "plans", "read")
    role("level0", "a")
    for level in range(1, 6):
        role(f"level{level}", inherits=(f"level{level - 1}",))
    assert allowed("level5", "plans", "read")
    assert not allowed("level5", "plans", "write")


def test_nothing_is_inherited_downwards() -> None:
    permission("a", "plans", "read")
    role("child", "a", inherits=("parent",))
    role("parent")
    assert not allowed("parent", "plans", "read")


@pytest.mark.parametrize("circle", [("x",), ("x", "y"), ("x", "y", "z")])
def test_a_circle_of_roles_is_walked_once(circle: tuple[str, ...]) -> None:
    permission("a", "plans", "read")
    for name, parent in zip(circle, (*circle[1:], circle[0]), strict=True):
        role(name, "a" if name == circle[-1] else "b", inherits=(parent,))
    assert allowed("x", "plans", "read")
    assert not allowed("x", "plans", "write")


def test_what_does_not_exist_grants_nothing() -> None:
    role("guest", "no such permission", "x" * 500, inherits=("no such role", "y" * 500))
    assert not allowed("guest", "plans", "read")
    assert not allowed("no such role", "plans", "read")
    assert not allowed("z" * 500, "plans", "read")


def test_a_role_is_meant_by_its_name_and_not_by_its_id() -> None:
    granted = permission("a", "plans", "read")
    by_id = role("by id", granted.id)
    role("reader", "a")
    heir = role("heir", inherits=(by_id.id,))
    assert not allowed("by id", "plans", "read")
    assert not allowed(access_service.get_role_by_name("reader").id, "plans", "read")
    assert not allowed(heir.name, "plans", "read")


@pytest.mark.parametrize(
    ("resource", "action", "asked", "granted"),
    [
        ("*", "read", ("plans", "read"), True),
        ("*", "read", ("plans", "write"), False),
        ("plans", "*", ("plans", "anything"), True),
        ("plans", "*", ("users", "anything"), False),
        ("*", "*", ("users", "suspend"), True),
        ("*", "*", ("*", "*"), True),
        ("plans", "read", ("*", "read"), False),
        ("plans", "read", ("plans", "*"), False),
        ("plan*", "read", ("plans", "read"), False),
    ],
)
def test_a_star_is_every_one(
    resource: str, action: str, asked: tuple[str, str], granted: bool
) -> None:
    permission("p", resource, action)
    role("r", "p")
    assert allowed("r", *asked) is granted


@pytest.mark.parametrize(
    ("conditions", "context", "granted"),
    [
        ({}, None, True),
        ({}, {"anything": 1}, True),
        ({"owner": True}, {"owner": True}, True),
        ({"owner": True}, {"owner": False}, False),
        ({"owner": True}, {"owner": 1}, False),
        ({"owner": 1}, {"owner": True}, False),
        ({"owner": True}, {"owner": "true"}, False),
        ({"owner": True}, {"owner": None}, False),
        ({"owner": True}, {}, False),
        ({"owner": True}, None, False),
        ({"owner": True, "plan": "pro"}, {"owner": True}, False),
        ({"owner": True, "plan": "pro"}, {"owner": True, "plan": "pro", "more": 1}, True),
        ({"level": 3}, {"level": 3.0}, True),
        ({"level": 3}, {"level": "3"}, False),
        ({"region": "eu"}, {"region": "EU"}, False),
    ],
)
def test_conditions_are_equal_values_of_the_context(
    conditions: dict[str, Any], context: dict[str, Any] | None, granted: bool
) -> None:
    permission("p", "plans", "write", conditions=conditions)
    role("r", "p")
    assert allowed("r", "plans", "write", context) is granted


@pytest.mark.parametrize(
    "conditions",
    [{"hours": [8, 20]}, {"owner": True, "hours": [8, 20]}, {"a": {"b": 1}}, {"a": None}, []],
)
def test_conditions_that_are_not_understood_deny(conditions: Any) -> None:
    # A migrated permission may have them; the service itself writes none.
    primary_store().add(
        Permission(name="p", resource="plans", action="write", conditions=conditions)
    )
    role("r", "p")
    held = conditions if isinstance(conditions, dict) else {}
    assert not allowed("r", "plans", "write", {"owner": True, **held})


@pytest.mark.parametrize("names", [{}, {"a": 1}, [None, 5, ["p"], {"p": 1}, ""]])
def test_a_migrated_role_whose_lists_are_no_names_grants_nothing(names: Any) -> None:
    permission("p", "plans", "read")
    primary_store().add(Role(name="odd", permissions=names, inherited_roles=names))
    assert not allowed("odd", "plans", "read")


def test_the_sample_roles_allow_what_their_table_says() -> None:
    for resource, actions in RESOURCES.items():
        for action in actions:
            permission(f"{resource}:{action}", resource, action)
    for name, (_, _, inherited, added) in ROLES.items():
        role(name, *added, inherits=inherited)
    everything = {(resource, action) for resource in RESOURCES for action in RESOURCES[resource]}

    def of(name: str) -> set[tuple[str, ...]]:
        _, _, inherited, added = ROLES[name]
        own: set[tuple[str, ...]] = {tuple(each.split(":")) for each in added}
        return own.union(*(of(each) for each in inherited))

    for name in ROLES:
        assert {pair for pair in everything if allowed(name, *pair)} == of(name)


def test_a_change_counts_at_once() -> None:
    granted = permission("p", "plans", "read")
    reader = role("reader", "p")
    assert allowed("reader", "plans", "read")
    access_service.update_permission(granted.id, {"action": "write"})
    assert not allowed("reader", "plans", "read")
    access_service.update_permission(granted.id, {"action": "read", "name": "renamed"})
    assert not allowed("reader", "plans", "read")
    access_service.update_role(reader.id, {"permissions": ["renamed"]})
    assert allowed("reader", "plans", "read")
    access_service.delete_permission(granted.id)
    assert not allowed("reader", "plans", "read")


def test_a_deleted_role_grants_nothing() -> None:
    permission("p", "plans", "read")
    reader = role("reader", "p")
    role("heir", inherits=("reader",))
    access_service.delete_role(reader.id)
    assert not allowed("reader", "plans", "read") and not allowed("heir", "plans", "read")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"user_roles": "admin"}, "user_roles"),
        ({"user_roles": None}, "user_roles"),
        ({"user_roles": [5]}, "user_roles"),
        ({"user_roles": [""]}, "user_roles"),
        ({"resource": ""}, "resource"),
        ({"resource": None}, "resource"),
        ({"action": ""}, "action"),
        ({"context": [("owner", True)]}, "context"),
    ],
)
def test_a_bad_question_is_refused(given: dict[str, Any], field: str) -> None:
    question: dict[str, Any] = {"user_roles": ["r"], "resource": "plans", "action": "read"}
    with pytest.raises(InvalidRecord) as refused:
        access_service.is_allowed(**{**question, **given})
    assert refused.value.field == field


# --- roles and permissions -------------------------------------------------------------------


def test_a_role_is_found_by_id_and_by_name() -> None:
    made = role("reader", "p", inherits=("guest",))
    assert access_service.get_role(made.id) == made
    found = access_service.get_role_by_name("reader")
    assert (found.id, found.permissions, found.inherited_roles) == (made.id, ["p"], ["guest"])
    with pytest.raises(RecordNotFound):
        access_service.get_role("nothing")
    with pytest.raises(RecordNotFound):
        access_service.get_role_by_name("Reader")


def test_a_permission_is_found_by_id_and_by_name() -> None:
    made = permission("plans:read", "plans", "read", conditions={"owner": True})
    assert access_service.get_permission(made.id).conditions == {"owner": True}
    assert access_service.get_permission_by_name("plans:read") == made
    with pytest.raises(RecordNotFound):
        access_service.get_permission("nothing")
    with pytest.raises(RecordNotFound):
        access_service.get_permission_by_name("nothing")


def test_a_name_belongs_to_one_and_is_free_again() -> None:
    first, second = role("a"), role("b")
    with pytest.raises(UniqueViolation) as taken:
        role("a")
    assert taken.value.field == "name"
    with pytest.raises(UniqueViolation):
        access_service.update_role(second.id, {"name": "a"})
    access_service.update_role(first.id, {"name": "c"})
    access_service.update_role(second.id, {"name": "a"})
    access_service.delete_role(second.id)
    role("a")
    with pytest.raises(AlreadyExists):
        access_service.create_role({"id": first.id, "name": "d"})


def test_what_is_not_there_can_be_neither_changed_nor_removed() -> None:
    for attempt in (
        lambda: access_service.update_role("nothing", {"description": "x"}),
        lambda: access_service.delete_role("nothing"),
        lambda: access_service.update_permission("nothing", {"action": "x"}),
        lambda: access_service.delete_permission("nothing"),
    ):
        with pytest.raises(RecordNotFound):
            attempt()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 151}, "name"),
        ({"permissions": "plans:read"}, "permissions"),
        ({"permissions": {"plans": "read"}}, "permissions"),
        ({"permissions": ("plans:read",)}, "permissions"),
        ({"permissions": [5]}, "permissions"),
        ({"inherited_roles": [""]}, "inherited_roles"),
        ({"inherited_roles": None}, "inherited_roles"),
        ({"scope": "galaxy"}, "scope"),
        ({"metadata": {"x": "y" * 500_000}}, "item"),
    ],
)
def test_a_bad_role_is_neither_made_nor_left_behind(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        access_service.create_role({"name": "new", **given})
    assert refused.value.field == field
    made = role("reader", "p")
    with pytest.raises(InvalidRecord) as refused:
        access_service.update_role(made.id, given)
    assert refused.value.field == field
    assert access_service.get_role(made.id).permissions == ["p"]
    with pytest.raises(RecordNotFound):
        access_service.get_role_by_name("new")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"name": ""}, "name"),
        ({"resource": ""}, "resource"),
        ({"action": None}, "action"),
        ({"conditions": []}, "conditions"),
        ({"conditions": None}, "conditions"),
        ({"conditions": {"hours": [8, 20]}}, "conditions"),
        ({"conditions": {"a": {"b": 1}}}, "conditions"),
        ({"conditions": {"a": float("nan")}}, "conditions"),
    ],
)
def test_a_bad_permission_is_neither_made_nor_left_behind(
    given: dict[str, Any], field: str
) -> None:
    good = {"name": "new", "resource": "plans", "action": "read"}
    with pytest.raises(InvalidRecord) as refused:
        access_service.create_permission({**good, **given})
    assert refused.value.field == field
    made = permission("p", "plans", "read")
    with pytest.raises(InvalidRecord) as refused:
        access_service.update_permission(made.id, given)
    assert refused.value.field == field
    with pytest.raises(RecordNotFound):
        access_service.get_permission_by_name("new")


def test_what_is_given_is_a_mapping_and_ids_are_texts() -> None:
    for attempt, field in (
        (lambda: access_service.create_role(["name"]), "data"),  # type: ignore[arg-type]
        (lambda: access_service.update_role("r", ["name"]), "updates"),  # type: ignore[arg-type]
        (lambda: access_service.update_permission("p", None), "updates"),  # type: ignore[arg-type]
        (lambda: access_service.get_role(""), "role_id"),
        (lambda: access_service.delete_permission(5), "permission_id"),  # type: ignore[arg-type]
        (lambda: access_service.get_role_by_name(""), "name"),
        (lambda: access_service.update_role("r", {"id": "other"}), "id"),
    ):
        with pytest.raises(InvalidRecord) as refused:
            attempt()
        assert refused.value.field == field
