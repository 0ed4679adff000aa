"""How staff sign in to the admin: throttled, with a code of their authenticator app where they have
one, for twelve hours. No password, code or session id may be kept or logged here as it is.
"""
