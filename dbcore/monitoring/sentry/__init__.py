"""Errors and traced requests to Sentry: where and what failed, never whose data it was about.

What is sent is built anew from an event's known fields (`events.py`, `traces.py`): a field that
nobody has thought of stays here. Nothing here calls a store, and nothing here may slow or break
what it tells of.

`sentry_sdk` takes a tenth of a second to import, so only processes that use it do.
"""
