"""Secrets that are known by their look, whatever stands before them.

Each pattern looks ahead within bounds: a text takes time in proportion to its length.
"""

from __future__ import annotations

import re

MASK = "***"
_MIXED = r"(?=[a-z0-9/+_-]{0,99}[A-Z])(?=[A-Z0-9/+_-]{0,99}[a-z])(?=[A-Za-z/+_-]{0,99}[0-9])"
_END = r"\s\"'`<>)\]}"  # where what is part of a URL ends in a text
# Before a secret: what writes a mark as letters or digits, be it a URL, a repr, JSON or a terminal.
_CODED = (
    r"(?<=%[0-9A-Fa-f]{2})|(?<=\\[abfnrtv])|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})"
    r"|(?<=[\[;]\dm)|(?<=[\[;]\d\dm)"
)
# What follows is not the end of a word. It is asked last: that takes longest.
_AT = rf"(?:(?<![A-Za-z])|{_CODED})"
_WORD = rf"(?=[a-z]{{2,8}}_){_AT}[a-z]{{2,8}}_"

_LOOKS = tuple((re.compile(pattern), mask) for pattern, mask in (
    (r"(?<=://)[^\s/@]+@", f"{MASK}@"),  # the account in a URL
    # Its password may have a slash in it, and a path has made one slash of the two before it.
    (r"(\b[A-Za-z][A-Za-z0-9+.-]{1,20}:/{1,3})[^\s/@:]{0,64}:[^\s@?]{1,200}@", rf"\1{MASK}@"),
    # Web hooks, which are secrets as a whole.
    (rf"(https?://(?:hooks\.slack(?:-gov)?\.com|(?:[\w-]{{1,60}}\.)?webhook\.office\.com))"
     rf"/[^{_END}]*", rf"\1/{MASK}"),
    (rf"(https?://(?:\w{{1,20}}\.)?discord(?:app)?\.com/api/webhooks)/[^{_END}]*", rf"\1/{MASK}"),
    (rf"(https?://events(?:\.eu)?\.pagerduty\.com/integration)/[^{_END}]*", rf"\1/{MASK}"),
    (r"(https?://api\.telegram\.org/bot)[\w:-]+", rf"\1{MASK}"),
    # What stands behind an authentication scheme; a word of a sentence is all in small letters.
    (rf"((?=[BbTAN]){_AT}(?:[Bb]earer|[Bb]asic|Token|ApiKey|Negotiate))(\s{{1,4}}|%20)"
     r"(?=[a-z.-]{0,400}[A-Z0-9_=+/~])[A-Za-z0-9+/._~=-]{4,}", rf"\1\2{MASK}"),
    # AWS: the ids of keys and roles, a key of forty characters, a session's token.
    (rf"(?=A)(?:{_AT}|(?<=[a-z]))(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|ABIA|ACCA)"
     r"[A-Z0-9]{12,}", MASK),
    (rf"(?=[A-Za-z0-9/+]{{40}}(?![\w/+=-]))(?:(?<![\w/+=-])|(?<=\w=)|{_CODED}){_MIXED}"
     r"[A-Za-z0-9/+]{40}", MASK),
    (rf"(?<![\w/+=-])(?=[A-Za-z0-9/+]{{100}}){_MIXED}[A-Za-z0-9/+]+={{0,2}}", MASK),
    (rf"(?=eyJ){_AT}eyJ[\w-]{{1,2000}}+\.[\w-]+(?:\.[\w-]*)?", MASK),  # a JSON web token
    # Password hashes: Django's, crypt's, LDAP's.
    (rf"(?=[pbams]){_AT}(?:pbkdf2_\w{{1,20}}|bcrypt(?:_sha256)?|argon2(?:id|i|d)?|scrypt|md5|sha1"
     r"|sha(?:256|512))\$[\w./+=,$-]{8,}", MASK),
    (r"\$(?:2[abxy]|argon2(?:id|i|d)|[1567y]|scrypt)\$[\w./+=,$-]{8,}", MASK),
    (r"\{S?SHA(?:256|512)?\}[A-Za-z0-9+/=]{16,}", MASK),
    # Tokens that begin with their maker's letters.
    (rf"(?=[gxnhrwsAyS]){_AT}(?:gh[opsru]_|github_pat_|glpat-|xox[abeprs]-|npm_|hf_|"
     r"[rs]k_(?:live|test)_|whsec_|sk-|AIza|ya29\.|SG\.)[\w.-]{16,}", MASK),
    (rf"{_WORD}(?:[a-z]{{2,8}}_)?(?=[\w-]{{32}}){_MIXED}[A-Za-z0-9_-]+", MASK),
    # Of 43 random characters one in 1,500 texts has no digit, and none has no capital.
    (rf"{_WORD}(?=[\w-]{{43}})(?=[a-z0-9_-]{{0,42}}[A-Z])(?=[A-Z0-9_-]{{0,42}}[a-z])"
     r"[A-Za-z0-9_-]+", MASK),
    (rf"{_WORD}(?:[a-z]{{2,8}}_)?[0-9a-f]{{32,}}\b", MASK),
    # What databases say of a row that they refuse: they quote it.
    (r"(\([\w, \"():]{1,200}\))=\(.*\)", rf"\1=({MASK})"),
    (r"([Ff]ailing row contains )\(.*\)", rf"\1({MASK})"),
    (r"(Duplicate entry )'[^'\n]*'", rf"\1'{MASK}'"),
))  # fmt: skip
_BEGIN, _KEY, _STOP = "-----BEGIN ", "PRIVATE KEY", "-----END "
_HEAD = 64  # characters in which a PEM block says what it is


def mask_looks(text: str) -> str:
    """The text without what looks like a secret."""
    text = _mask_keys(text)
    for pattern, mask in _LOOKS:
        text = pattern.sub(mask, text)
    return text


def _mask_keys(text: str) -> str:
    """Without private keys in PEM, over however many lines, to the end where none is given."""
    parts: list[str] = []
    done = 0
    while (begin := text.find(_BEGIN, done)) >= 0:
        inside = begin + len(_BEGIN)
        if _KEY not in text[inside : inside + _HEAD]:
            parts.append(text[done:inside])
            done = inside
            continue
        parts += [text[done:begin], MASK]
        stop = text.find(_STOP, inside)
        end = text.find("-----", stop + len(_STOP)) if stop >= 0 else -1
        done = end + 5 if end >= 0 else len(text)
    return "".join(parts) + text[done:]
