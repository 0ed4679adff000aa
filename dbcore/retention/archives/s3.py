"""Archives in an S3 bucket: each object written once, encrypted by KMS, over https.

An object is put in STANDARD and moved by S3 itself once it has been read back: one that is put into
a Glacier class cannot be read, so it could not be proven.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

from dbcore import aws
from dbcore.addresses import parse_endpoint
from dbcore.errors import ConfigurationError
from dbcore.retention.archives.storage import Facts, Frozen
from dbcore.rights import in_words

STANDARD = "STANDARD"
THAW_DAYS = 7
_FROZEN = {  # and how long the "Standard" retrieval takes (Amazon S3 User Guide, "Archive
    "GLACIER": "3 to 5 hours",  # retrieval options")
    "DEEP_ARCHIVE": "up to 12 hours",
}
_NO_PROXY: dict[
    str, str
] = {}  # that of the environment is another machine, to which plain text goes
_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 5, 60, 5


class S3Archives(S3Storage):  # type: ignore[misc]
    """A Django storage in which a name is written once. `kms_key_id`: "" is AWS's own key."""

    def __init__(self, *, kms_key_id: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.file_overwrite = False
        self.access_key: str | None  # as the class above has set it
        self._encryption = {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True}
        if kms_key_id:
            self._encryption["SSEKMSKeyId"] = kms_key_id
        loopback = bool(self.endpoint_url) and _parsed(self.endpoint_url).loopback
        if not loopback and (self.verify is False or not self.use_ssl):
            raise ConfigurationError(
                "archives go to S3 over TLS, to a server that is verified: take use_ssl=False and "
                "verify=False out of the storage's options (AWS_S3_USE_SSL, AWS_S3_VERIFY)"
            )
        if loopback and not self.access_key:
            # Local servers take any; the full chain of credentials would ask a metadata service.
            self.access_key = self.secret_key = "local"
        self.client_config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            # What is read is compared with its manifest, which says more than a broken read.
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"} if loopback else {},
            proxies=_NO_PROXY if loopback else self.proxies,
        )

    def _create_session(self) -> Any:
        made = super()._create_session()
        aws.guard(made.events)
        if not self.endpoint_url:
            found = aws.found_endpoint(made.client, "s3", self.region_name, "S3 endpoint")
            if found.loopback:
                self.client_config = self.client_config.merge(Config(proxies=_NO_PROXY))
        return made

    @property
    def client(self) -> Any:
        """S3 itself; ConfigurationError when it would be asked in plain HTTP over a network."""
        client = self.connection.meta.client
        _parsed(client.meta.endpoint_url)  # the environment may name another
        return client

    def check(self) -> None:
        try:
            self.client.head_bucket(Bucket=self.bucket_name)
        except ClientError as error:
            is_there = error.response["Error"]["Code"] != "404"
            why = in_words(error) if is_there else "there is no such bucket"
            raise ConfigurationError(f"ARCHIVE_S3_BUCKET {self.bucket_name}: {why}") from error
        except BotoCoreError as error:
            raise ConfigurationError(
                f"ARCHIVE_S3_BUCKET {self.bucket_name}: {in_words(error)}"
            ) from error

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name itself: another would be an object that no manifest names."""
        return name

    def _save(self, name: str, content: Any) -> str:
        body = b"".join(content.chunks())
        digest = hashlib.sha256(body).digest()
        try:
            self.client.put_object(
                **self._where(name),
                Body=body,
                IfNoneMatch="*",
                StorageClass=STANDARD,
                ContentType="application/octet-stream",
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(digest).decode(),
                **self._encryption,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            # The answer to a first try may have been lost, and the object there be ours.
            if self.facts(name).sha256 != digest.hex():
                raise FileExistsError(name) from error
        return name

    def read(self, name: str) -> bytes:
        try:
            answer = self.client.get_object(**self._where(name))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchKey":
                raise FileNotFoundError(name) from error
            if code == "InvalidObjectState":
                raise Frozen from error
            raise
        body: bytes = answer["Body"].read()
        return body

    def facts(self, name: str) -> Facts:
        answer = self._head(name)
        checksum = answer.get("ChecksumSHA256")
        storage_class = answer.get("StorageClass", STANDARD)
        thawed = 'ongoing-request="false"' in answer.get("Restore", "")
        return Facts(
            bytes=answer["ContentLength"],
            sha256=base64.b64decode(checksum).hex() if checksum else None,
            storage_class=storage_class,
            frozen=storage_class in _FROZEN and not thawed,
        )

    def names(self, prefix: str = "") -> Iterator[str]:
        root = f"{self.location.strip('/')}/".lstrip("/")
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket_name, Prefix=root + prefix
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                yield entry["Key"].removeprefix(root)

    def sweep_parts(self, prefix: str) -> None:
        """S3 keeps nothing of a put that was not finished."""

    def settle(self, name: str, storage_class: str) -> None:
        """One that has left STANDARD, by this or by a rule of the bucket's, is where it stays."""
        head = self._head(name)
        if storage_class == STANDARD or head.get("StorageClass", STANDARD) != STANDARD:
            return
        where = self._where(name)
        self.client.copy_object(
            **where,
            CopySource=where,
            CopySourceIfMatch=head["ETag"],
            StorageClass=storage_class,
            MetadataDirective="COPY",
            ChecksumAlgorithm="SHA256",
            **self._encryption,
        )

    def thaw(self, name: str) -> str:
        head = self._head(name)
        how_long = _FROZEN.get(head.get("StorageClass", STANDARD), "some hours")
        if 'ongoing-request="true"' in head.get("Restore", "") or not self._asked(name):
            return f"S3 is thawing it, as it was asked before; that takes {how_long} in all"
        return (
            f"S3 was asked to thaw it; that takes {how_long}, and it can be read for {THAW_DAYS} "
            "days then"
        )

    def _asked(self, name: str) -> bool:
        """Whether this call was the one that asked S3 to thaw it."""
        request = {"Days": THAW_DAYS, "GlacierJobParameters": {"Tier": "Standard"}}
        try:
            self.client.restore_object(**self._where(name), RestoreRequest=request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "RestoreAlreadyInProgress":
                raise
            return False
        return True

    def _head(self, name: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self.client.head_object(
                **self._where(name), ChecksumMode="ENABLED"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                raise FileNotFoundError(name) from error
            raise
        return answer

    def _where(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket_name, "Key": self._normalize_name(clean_name(name))}


def _parsed(url: str) -> Any:
    return parse_endpoint(url, what="S3 endpoint")
