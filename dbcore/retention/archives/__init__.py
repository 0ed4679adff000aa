"""Archives: due records as DynamoDB JSON lines, compressed, encrypted, provable.

An archive is an object and the manifest beside it, in the storage that `STORAGES["archives"]`
names. Nothing here is ever written over, and nothing that was read is given out unproven.
"""

from dbcore.retention.archives.manifest import Draft, Encryption, Manifest
from dbcore.retention.archives.shelf import Shelf, get_shelf

__all__ = ["Draft", "Encryption", "Manifest", "Shelf", "get_shelf"]
