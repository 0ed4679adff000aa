"""Brings DynamoDB's tables to what the models say: creates what is missing, reports the rest.

Nothing here may delete a table, an index or a record, or weaken a protection that a table has.
"""

from dbcore.table_sync.report import SyncReport, TableReport, TableSyncError
from dbcore.table_sync.run import sync_tables

__all__ = ["SyncReport", "TableReport", "TableSyncError", "sync_tables"]
