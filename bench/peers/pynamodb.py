"""PynamoDB with ``Model.batch_write()`` and the maps as MapAttribute without declared members.

It must store maps as native maps. Declared members (a MapAttribute subclass) are slower here, a
custom attribute is faster: that one runs as a peer of its own, ``pynamodb_custom``.
"""

from collections.abc import Callable
from typing import Any

from pynamodb.attributes import Attribute, MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from bench.peers.child import Job, run
from bench.peers.rows import TABLE, read_items


def make_model(endpoint: str, map_of: Callable[..., Attribute[Any]]) -> type[Model]:
    class LocationHistory(Model):
        class Meta:
            table_name = TABLE
            host = endpoint
            region = "eu-central-1"
            aws_access_key_id = "AKIDEXAMPLE"
            aws_secret_access_key = "secret"

        user_id = UnicodeAttribute(hash_key=True, attr_name="userId")
        id = UnicodeAttribute(range_key=True)
        location = map_of()
        activity = UnicodeAttribute()
        timestamp = UnicodeAttribute()
        found = map_of(attr_name="metadata")
        created_at = UnicodeAttribute(attr_name="createdAt")
        updated_at = UnicodeAttribute(attr_name="updatedAt")
        ttl = NumberAttribute()
        due_day = UnicodeAttribute(attr_name="dueDay")

    return LocationHistory


def make_record(model: type[Model], item: dict[str, Any]) -> Model:
    return model(
        user_id=item["userId"],
        id=item["id"],
        location=item["location"],
        activity=item["activity"],
        timestamp=item["timestamp"],
        found=item["metadata"],
        created_at=item["createdAt"],
        updated_at=item["updatedAt"],
        ttl=item["ttl"],
        due_day=item["dueDay"],
    )


def prepare(job: Job, map_of: Callable[..., Attribute[Any]] = MapAttribute) -> Callable[[], int]:
    model = make_model(job.endpoint, map_of)

    def copy() -> int:
        rows = 0
        with model.batch_write() as batch:
            for item in read_items(job.file, job.rows):
                batch.save(make_record(model, item))
                rows += 1
        return rows

    return copy


if __name__ == "__main__":
    run(prepare)
