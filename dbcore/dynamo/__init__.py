"""What everybody above the wire does with DynamoDB: conditions, reads by key and by page, what a
refusal means, whether items are equal, guards of unique values, leases. Nothing here knows what its
callers are for, and nothing takes an answer that was lost for another's work.
"""
