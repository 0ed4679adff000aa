"""What staff do in the admin, in the audit trail: who, what, to which record, from where. What a
record says is never in an entry, nor is a password, a code, a session's id or what somebody typed.
"""
