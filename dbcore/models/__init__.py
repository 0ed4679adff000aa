"""The layer's own book-keeping, in Django's database, by subject."""

from dbcore.models.deployment import Deployment
from dbcore.models.ids import new_run_id
from dbcore.models.leases import JobLease
from dbcore.models.migration import Checkpoint, DeadLetter, MigrationRun
from dbcore.models.monitoring import AlertDelivery, AlertState
from dbcore.models.retention import (
    AcceptedPolicy,
    Archive,
    Erasure,
    LegalHold,
    RestoredRecord,
    Sweep,
    SweepMark,
)

__all__ = [
    "AcceptedPolicy",
    "AlertDelivery",
    "AlertState",
    "Archive",
    "Checkpoint",
    "DeadLetter",
    "Deployment",
    "Erasure",
    "JobLease",
    "LegalHold",
    "MigrationRun",
    "RestoredRecord",
    "Sweep",
    "SweepMark",
    "new_run_id",
]
