"""Whether the database layer is well: what is measured, health checks, alerts.

It watches the other rooms; none of them imports it, and nothing here may slow or break what it
watches.
"""
