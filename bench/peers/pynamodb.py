"""PynamoDB with ``Model.batch_write()``.

It must store maps as native maps, and has two ways to declare them; MAPS below is the faster.
"""

from collections.abc import Callable

from pynamodb.attributes import MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from bench.peers.child import Job, run
from bench.peers.rows import TABLE, read_items


class Place(MapAttribute):
    lat = NumberAttribute()
    lng = NumberAttribute()


class Found(MapAttribute):
    source = UnicodeAttribute(null=True)
    elevation = NumberAttribute(null=True)


def make_model(endpoint: str) -> type[Model]:
    class LocationHistory(Model):
        class Meta:
            table_name = TABLE
            host = endpoint
            region = "eu-central-1"
            aws_access_key_id = "AKIDEXAMPLE"
            aws_secret_access_key = "secret"  # noqa: S105 - no one checks it

        user_id = UnicodeAttribute(hash_key=True, attr_name="userId")
        id = UnicodeAttribute(range_key=True)
        location = Place()
        activity = UnicodeAttribute()
        timestamp = UnicodeAttribute()
        found = Found(attr_name="metadata")
        created_at = UnicodeAttribute(attr_name="createdAt")
        updated_at = UnicodeAttribute(attr_name="updatedAt")
        ttl = NumberAttribute()

    return LocationHistory


def prepare(job: Job) -> Callable[[], int]:
    model = make_model(job.endpoint)

    def copy() -> int:
        rows = 0
        with model.batch_write() as batch:
            for item in read_items(job.file, job.rows):
                batch.save(
                    model(
                        user_id=item["userId"],
                        id=item["id"],
                        location=item["location"],
                        activity=item["activity"],
                        timestamp=item["timestamp"],
                        found=item["metadata"],
                        created_at=item["createdAt"],
                        updated_at=item["updatedAt"],
                        ttl=item["ttl"],
                    )
                )
                rows += 1
        return rows

    return copy


if __name__ == "__main__":
    run(prepare)
