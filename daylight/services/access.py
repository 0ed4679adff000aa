"""Who may do what: roles, permissions, and whether some roles allow an action.

A role names its permissions and the roles that it inherits from by their `name`. A name that
nothing has grants nothing; what is not understood grants nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import models

from daylight.models import Permission, Role
from daylight.services.base import Service, check_id, check_mapping, new_record
from daylight.services.checks import check_texts
from daylight.services.twins import twin
from dbcore.stores.choice import primary_store
from dbcore.stores.errors import InvalidRecord, RecordNotFound
from dbcore.stores.interface import Record

RESOURCE_LENGTH = 255
ANY = "*"  # as a permission's resource or action: every one
_SCALARS = (str, bool, int, float)


class AccessService(Service):
    """Roles, permissions, and the question that they are for.

    `is_allowed` and look-ups by name always ask the store, consistently. Look-ups by id may come
    from the cache of records.
    """

    def create_role(self, data: Mapping[str, Any]) -> Role:
        """Write a new role; `permissions` and `inherited_roles` are lists of names, which need
        not exist yet. UniqueViolation (name), AlreadyExists, Conflict, InvalidRecord,
        StoreUnavailable."""
        role = new_record(Role, data)
        _check_role(role.__dict__)
        return self.store.add(role)

    def get_role(self, role_id: str) -> Role:
        """RecordNotFound, InvalidRecord (role_id), StoreUnavailable."""
        return self._get(Role, "role_id", role_id)

    def get_role_by_name(self, name: str) -> Role:
        """RecordNotFound, InvalidRecord (name), StoreUnavailable."""
        return self._get_by_name(Role, name)

    def update_role(self, role_id: str, updates: Mapping[str, Any]) -> Role:
        """Change just these fields. Roles that inherit from it by its former name do so no more.

        RecordNotFound, UniqueViolation (name), Conflict, InvalidRecord, StoreUnavailable.
        """
        _check_role(check_mapping("updates", updates))
        return self.store.update(Role, {"id": check_id("role_id", role_id)}, updates)

    def delete_role(self, role_id: str) -> None:
        """Remove a role; its name is free again, and grants nothing until a role has it.

        RecordNotFound, Conflict, InvalidRecord (role_id), StoreUnavailable.
        """
        self.store.delete(Role, {"id": check_id("role_id", role_id)})

    def create_permission(self, data: Mapping[str, Any]) -> Permission:
        """Write a new permission. UniqueViolation (name), AlreadyExists, Conflict, InvalidRecord
        (with conditions that `is_allowed` would not understand too), StoreUnavailable."""
        permission = new_record(Permission, data)
        _check_permission(permission.__dict__)
        return self.store.add(permission)

    def get_permission(self, permission_id: str) -> Permission:
        """RecordNotFound, InvalidRecord (permission_id), StoreUnavailable."""
        return self._get(Permission, "permission_id", permission_id)

    def get_permission_by_name(self, name: str) -> Permission:
        """RecordNotFound, InvalidRecord (name), StoreUnavailable."""
        return self._get_by_name(Permission, name)

    def update_permission(self, permission_id: str, updates: Mapping[str, Any]) -> Permission:
        """Change just these fields. Roles that have it by its former name have it no more.

        RecordNotFound, UniqueViolation (name), Conflict, InvalidRecord, StoreUnavailable.
        """
        _check_permission(check_mapping("updates", updates))
        key = {"id": check_id("permission_id", permission_id)}
        return self.store.update(Permission, key, updates)

    def delete_permission(self, permission_id: str) -> None:
        """Remove a permission; roles that name it grant it no more.

        RecordNotFound, Conflict, InvalidRecord (permission_id), StoreUnavailable.
        """
        self.store.delete(Permission, {"id": check_id("permission_id", permission_id)})

    def is_allowed(
        self,
        user_roles: Sequence[str],
        resource: str,
        action: str,
        context: Mapping[str, Any] | None = None,
    ) -> bool:
        """Whether one of these roles, given by name, or one that they inherit from, has a
        permission of this action on this resource whose conditions hold.

        A permission's resource or action "*" is every one; otherwise they are compared whole and
        in their case. Its conditions hold when `context` has each of their names with an equal
        value: text, a number, true or false, and true is not 1. Any other condition (a list, an
        object, null) is not understood, and the permission not granted. Roles and permissions
        that do not exist grant nothing; roles that inherit in a circle are each looked at once.
        InvalidRecord (user_roles, resource, action, context), StoreUnavailable.
        """
        wanted = check_texts("user_roles", user_roles)
        check_id("resource", resource, RESOURCE_LENGTH)
        check_id("action", action)
        if context is not None and not isinstance(context, Mapping):
            raise InvalidRecord("context", "is not a mapping")
        return any(
            permission.resource in (ANY, resource)
            and permission.action in (ANY, action)
            and _holds(permission.conditions, context or {})
            for permission in self._permissions_of(wanted)
        )

    acreate_role = twin(create_role)
    aget_role = twin(get_role)
    aget_role_by_name = twin(get_role_by_name)
    aupdate_role = twin(update_role)
    adelete_role = twin(delete_role)
    acreate_permission = twin(create_permission)
    aget_permission = twin(get_permission)
    aget_permission_by_name = twin(get_permission_by_name)
    aupdate_permission = twin(update_permission)
    adelete_permission = twin(delete_permission)
    ais_allowed = twin(is_allowed)

    def _permissions_of(self, roles: Sequence[str]) -> Iterator[Permission]:
        """The permissions of these roles and all that they inherit from, each read once."""
        seen: set[str] = set()
        for role in self._with_inherited(roles):
            for name in _names(role.permissions):
                if name in seen:
                    continue
                seen.add(name)
                permission = self._find(Permission, name)
                if permission is not None:
                    yield permission

    def _with_inherited(self, names: Sequence[str]) -> Iterator[Role]:
        waiting = list(names)
        seen: set[str] = set()
        while waiting:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            role = self._find(Role, name)
            if role is not None:
                yield role
                waiting += _names(role.inherited_roles)

    def _find(self, model: type[Record], name: str) -> Record | None:
        try:
            return primary_store(cached=False).get_by_unique(model, "name", name)
        except InvalidRecord:
            return None  # no record can have such a name

    def _get(self, model: type[Record], field: str, record_id: str) -> Record:
        found = self.store.get(model, {"id": check_id(field, record_id)})
        if found is None:
            raise _missing(model, record_id)
        return found

    def _get_by_name(self, model: type[Record], name: str) -> Record:
        found = primary_store(cached=False).get_by_unique(model, "name", name)
        if found is None:
            raise _missing(model, name)
        return found


def _missing(model: type[models.Model], which: str) -> RecordNotFound:
    return RecordNotFound(f"there is no {model._meta.verbose_name} {which}")


def _names(value: Any) -> list[str]:
    """The names in a list as it was kept, which may be anything: records are migrated too."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _is_understood(condition: Any) -> bool:
    return isinstance(condition, _SCALARS)


def _holds(conditions: Any, context: Mapping[str, Any]) -> bool:
    """Whether all conditions hold; those that are not understood do not."""
    return isinstance(conditions, dict) and all(
        _is_understood(wanted) and name in context and _equal(context[name], wanted)
        for name, wanted in conditions.items()
    )


def _equal(value: Any, wanted: Any) -> bool:
    # Python has True == 1; a permission for the owner is not one for the first.
    return isinstance(value, bool) is isinstance(wanted, bool) and bool(value == wanted)


def _check_role(values: Mapping[str, Any]) -> None:
    for field in ("permissions", "inherited_roles"):
        if field in values and not isinstance(values[field], list):
            raise InvalidRecord(field, "is not a list of names")
        check_texts(field, values.get(field, []))


def _check_permission(values: Mapping[str, Any]) -> None:
    conditions = values.get("conditions", {})
    if not isinstance(conditions, dict):
        raise InvalidRecord("conditions", "is not an object of names and values")
    for name, condition in conditions.items():
        if not _is_understood(condition):
            raise InvalidRecord("conditions", f"has {name}, whose value is no text, number or "
                                "truth value: only equality is understood")  # fmt: skip


access_service = AccessService()
