"""A small site that gunicorn serves in tests: services on both stores, before a fork and after."""
