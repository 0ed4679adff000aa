"""Which names are those of secrets: a field, a variable, a header, an option, a key of JSON."""

from __future__ import annotations

import functools
import re

# A name is compared in lower case, without what is neither letter nor digit: client_secret,
# clientSecret and X-Client-Secret are one name. It is a secret's if one of these is in it.
SECRET_PARTS = (
    "password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "privatekey",
    "accesskey", "signingkey", "encryptionkey", "routingkey", "integrationkey", "servicekey",
    "sharedkey", "masterkey", "authkey", "keyhash", "credential", "authorization", "cookie", "csrf",
    "signature", "sessionid", "sessionkey", "jwt", "webhook", "hookurl", "dsn", "connectionstring",
    "accountkey", "clientassertion", "totp", "recoverycode", "backupcode",
)  # fmt: skip
# And if it is called so.
SECRET_NAMES = frozenset({
    "auth", "pass", "pwd", "pw", "psk", "pin", "otp", "sig", "sid", "session", "phpsessid",
})  # fmt: skip
# Or ends with one of these words: DB_PASS, mysql-pwd, smtpPass.
_LAST_WORD = re.compile(
    r"(?:[^A-Za-z0-9](?i:pass|pwd|pw|psk|pin|otp)|(?<=[a-z0-9])(?:Pass|Pwd|Pw|Psk|Pin|Otp))\Z"
)
_NO_NAME = re.compile(r"[^a-z0-9]")


@functools.lru_cache(maxsize=2000)
def plain_name(name: str) -> str:
    """A name as it is compared."""
    return _NO_NAME.sub("", name.lower())


@functools.lru_cache(maxsize=2000)
def is_secret_name(name: str) -> bool:
    """Whether what is called so is secret, whatever its value."""
    plain = plain_name(name)
    if plain in SECRET_NAMES or any(part in plain for part in SECRET_PARTS):
        return True
    return _LAST_WORD.search(name) is not None
