"""From a wanted table and what DynamoDB says of it to what must be done. Calls nothing.

An action may only add: one that deletes something, or takes a protection away, must not be here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from dbcore.schema import Request, WantedTable

Description = Mapping[str, Any]

# What passes by itself, so that a wait makes sense; ARCHIVED, for one, does not.
PASSING = frozenset({"CREATING", "UPDATING", "DELETING"})
MADE = "create the table"
INDEX_KINDS = {"LocalSecondaryIndexes": "local", "GlobalSecondaryIndexes": "global"}


@dataclass(frozen=True, slots=True)
class Action:
    """One call that mends one thing; `text` names it in logs and reports."""

    text: str
    operation: str
    request: Request


@dataclass(frozen=True, slots=True)
class Observed:
    """What DynamoDB says of one table. None: there is no table, or the engine cannot say."""

    table: Description | None
    ttl: Description | None = None
    recovery: str | None = None  # PointInTimeRecoveryStatus
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one table, in order; what to know; what cannot be mended in place."""

    actions: list[Action] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def plan_for(wanted: WantedTable, observed: Observed) -> Plan:
    """What must happen for the table to be as wanted."""
    if observed.table is not None:
        return _Comparison(wanted, observed, observed.table).run()
    plan = Plan([Action(MADE, "CreateTable", wanted.request)])
    if wanted.ttl_attribute is not None:
        plan.actions.append(_expire(wanted.name, wanted.ttl_attribute))
    if settings.DYNAMODB_POINT_IN_TIME_RECOVERY:
        plan.actions.append(_recover(wanted.name))
    return plan


def unsettled(wanted: WantedTable, table: Description) -> str | None:
    """What the table, or a wanted index of it, is still busy with, if it is."""
    if table["TableStatus"] in PASSING:
        return f"the table is {table['TableStatus']}"
    names = {index["IndexName"] for index in wanted.request.get("GlobalSecondaryIndexes", ())}
    for index in table.get("GlobalSecondaryIndexes", ()):
        if index["IndexName"] in names and index.get("IndexStatus", "ACTIVE") != "ACTIVE":
            filling = ", being filled" if index.get("Backfilling") else ""
            return f"the index {index['IndexName']} is {index['IndexStatus']}{filling}"
    return None


def _expire(table: str, attribute: str) -> Action:
    specification = {"Enabled": True, "AttributeName": attribute}
    request = {"TableName": table, "TimeToLiveSpecification": specification}
    return Action(f"let records expire by {attribute}", "UpdateTimeToLive", request)


def _recover(table: str) -> Action:
    specification = {"PointInTimeRecoveryEnabled": True}
    request = {"TableName": table, "PointInTimeRecoverySpecification": specification}
    return Action("switch on point-in-time recovery", "UpdateContinuousBackups", request)


def _types(description: Description) -> dict[str, str]:
    """Attribute -> type, of the attributes that key the table and its indexes."""
    defined = description.get("AttributeDefinitions", ())
    return {each["AttributeName"]: each["AttributeType"] for each in defined}


def _definitions(types: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def key_names(description: Description) -> list[str]:
    """The attributes of a key, hash first."""
    schema = sorted(description["KeySchema"], key=lambda each: str(each["KeyType"]))
    return [each["AttributeName"] for each in schema]


def key_of(description: Description) -> str:
    """The key of a table, with the types of its attributes. One with another is another table."""
    types = _types(description)
    return " + ".join(f"{name} ({types.get(name, '?')})" for name in key_names(description))


def _shape(index: Description) -> str:
    """What an index is, as text: two indexes of the same shape hold the same."""
    projection = index["Projection"]["ProjectionType"]
    return f"on {' + '.join(key_names(index))}, projecting {projection}"


class _Comparison:
    """One existing table against what is wanted of it."""

    def __init__(self, wanted: WantedTable, observed: Observed, table: Description) -> None:
        self.wanted = wanted
        self.request = wanted.request
        self.observed = observed
        self.table = table
        self.plan = Plan()

    def run(self) -> Plan:
        usable = self._is_usable()
        self._compare_types()
        self._compare_indexes()
        self._compare_expiry()
        self._compare_encryption()
        self._compare_protections()
        self._compare_tags()
        self._compare_billing()
        if not usable:
            # Not the table that we know: every change of it would be a guess.
            self.plan.actions.clear()
        return self.plan

    def _update(self, text: str, **change: Any) -> None:
        request = {"TableName": self.wanted.name, **change}
        self.plan.actions.append(Action(text, "UpdateTable", request))

    def _is_usable(self) -> bool:
        status = self.table["TableStatus"]
        is_there = status in PASSING or status == "ACTIVE"
        if not is_there:
            self.plan.differences.append(f"the table is {status}")
        now, then = key_of(self.table), key_of(self.request)
        if now != then:
            self.plan.differences.append(
                f"its key is {now}, wanted is {then}: records must move to a new table"
            )
        return is_there and now == then

    def _compare_types(self) -> None:
        now = _types(self.table)
        for name, wanted in _types(self.request).items():
            if now.get(name, wanted) != wanted:
                self.plan.differences.append(
                    f"attribute {name} keys the table or an index as {now[name]}, "
                    f"wanted is {wanted}"
                )

    def _compare_indexes(self) -> None:
        for kind, adjective in INDEX_KINDS.items():
            now = {each["IndexName"]: each for each in self.table.get(kind, ())}
            for wanted in self.request.get(kind, ()):
                found = now.pop(wanted["IndexName"], None)
                if found is None:
                    self._missing_index(adjective, wanted)
                elif _shape(found) != _shape(wanted):
                    self.plan.differences.append(
                        f"the {adjective} index {wanted['IndexName']} is {_shape(found)}, "
                        f"wanted is one {_shape(wanted)}"
                    )
            self.plan.notes.extend(f"the {adjective} index {name} is not ours" for name in now)

    def _missing_index(self, adjective: str, index: Description) -> None:
        name = index["IndexName"]
        if adjective == "local":
            self.plan.differences.append(
                f"the local index {name} is missing: it can only be made with its table"
            )
            return
        now, wanted = _types(self.table), _types(self.request)
        needed = {key: wanted[key] for key in key_names(index)}
        if any(now.get(key, kind) != kind for key, kind in needed.items()):
            self.plan.differences.append(
                f"the global index {name} is missing, and the type of its key stands in the way"
            )
            return
        create = {**index, **self._throughput()}
        self._update(
            f"add the global index {name}",
            AttributeDefinitions=_definitions({**now, **needed}),
            GlobalSecondaryIndexUpdates=[{"Create": create}],
        )

    @property
    def _is_provisioned(self) -> bool:
        # A table that has never been anything else has no summary at all.
        summary = self.table.get("BillingModeSummary", {})
        return bool(summary.get("BillingMode", "PROVISIONED") == "PROVISIONED")

    def _throughput(self) -> Request:
        """What a new index of this table needs: with provisioned capacity, as much as it has."""
        if not self._is_provisioned:
            return {}
        now = self.table["ProvisionedThroughput"]
        names = ("ReadCapacityUnits", "WriteCapacityUnits")
        return {"ProvisionedThroughput": {name: now[name] for name in names}}

    def _compare_billing(self) -> None:
        if self._is_provisioned:
            self.plan.notes.append("it has provisioned capacity; a new one would be on demand")

    def _compare_expiry(self) -> None:
        if self.observed.ttl is None:
            return
        wanted = self.wanted.ttl_attribute
        now = self.observed.ttl.get("AttributeName")
        status = self.observed.ttl.get("TimeToLiveStatus", "DISABLED")
        if status in ("ENABLED", "ENABLING"):
            if now != wanted:
                self.plan.differences.append(
                    f"records expire by {now}, wanted is {wanted or 'no expiry'}"
                )
        elif wanted is not None and status == "DISABLING":
            self.plan.differences.append(
                "its expiry is being switched off, which takes up to an hour; run again then"
            )
        elif wanted is not None:
            self.plan.actions.append(_expire(self.wanted.name, wanted))

    def _compare_encryption(self) -> None:
        specification = self.request["SSESpecification"]
        wanted = specification.get("KMSMasterKeyId")
        now = self.table.get("SSEDescription", {})
        key = str(now.get("KMSMasterKeyArn", ""))
        if now.get("SSEType") != "KMS" or now.get("Status") in ("DISABLED", "DISABLING"):
            self._update("encrypt with a KMS key", SSESpecification=specification)
        elif wanted is None or key == wanted or key.endswith(f"/{wanted}"):
            return
        elif "alias/" in wanted:
            # Only KMS knows which key an alias names, and it is not asked here.
            self.plan.notes.append(f"encrypted with {key}; whether that is {wanted} is not known")
        else:
            self._update(f"encrypt with the KMS key {wanted}", SSESpecification=specification)

    def _compare_protections(self) -> None:
        wanted = self.request["DeletionProtectionEnabled"]
        now = self.table.get("DeletionProtectionEnabled", False)
        if wanted and not now:
            self._update("protect from deletion", DeletionProtectionEnabled=True)
        elif now and not wanted:
            self.plan.notes.append("protected from deletion, which the settings do not ask for")
        recovery = settings.DYNAMODB_POINT_IN_TIME_RECOVERY
        if recovery and self.observed.recovery == "DISABLED":
            self.plan.actions.append(_recover(self.wanted.name))
        elif self.observed.recovery == "ENABLED" and not recovery:
            self.plan.notes.append("has point-in-time recovery, which the settings do not ask for")

    def _compare_tags(self) -> None:
        now = self.observed.tags
        wanted = self.request.get("Tags", [])
        missing = [tag for tag in wanted if now is not None and now.get(tag["Key"]) != tag["Value"]]
        if missing:
            request = {"ResourceArn": self.table["TableArn"], "Tags": missing}
            names = ", ".join(f"{tag['Key']}={tag['Value']}" for tag in missing)
            self.plan.actions.append(Action(f"tag with {names}", "TagResource", request))
