"""What logs, alerts and messages may not say: texts as they come, each with what must be gone from
it and what must stay, so that nobody is left with a line of stars."""

from __future__ import annotations

import html
import json
import pprint
import shlex
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbcore.monitoring.scrub import mask_secrets, scrub, scrub_text
from dbcore.secrecy import Bare, mask_text, mask_values
from dbcore.secrecy.texts import MAX_TEXT


class Line(NamedTuple):
    """A text, the parts of it that must be gone, and those that must stay. `personal`: what is gone
    is no secret, so a message to operators may have it, and a log may not."""

    text: str
    gone: tuple[str, ...]
    stays: tuple[str, ...]
    personal: bool = False


AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AWS_TOKEN = "FwoGZXIvYXdzEBYaDHVuaXQ" + "Xy9Kd0QzL2h4Tm5wUWJ2" * 5 + "=="
SIGNATURE = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
API_KEY = "dl_Zq3_8fJkLmN0pQrStUvWxYz0123456789AbCdEfGhI"
SESSION = "s3Ss10n-Zq38fJkLmN0pQrStUvWxYz01"
PBKDF2 = "pbkdf2_sha256$870000$YkW3fN0pQr$mUj8z3hPq0sLd9VxN2cR5tYbGk7eWqAa1Zs="
BCRYPT = "$2b$12$KIXQfHkWJ3nN0pQrStUvWuYbGk7eWqAa1ZsLd9VxN2cR5tYbGk7eW"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1LTEifQ.dBjftJeZ4CVPmB92K27uhbUJU1p1r"
PEM_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
PEM = f"-----BEGIN PRIVATE KEY-----\n{PEM_BODY}\nq3Zt/9w==\n-----END PRIVATE KEY-----"
RSA = f"-----BEGIN RSA PRIVATE KEY-----\\n{PEM_BODY}\\nq3Zt\\n-----END RSA PRIVATE KEY-----\\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBkTCB\n-----END CERTIFICATE-----"
TRACE = (
    "Traceback (most recent call last):\n"
    '  File "site/views.py", line 12, in sign_in\n'
    '    check(user, password="hunter2 is long")\n'
    "ValueError: {'api_key': 'k-1', 'table': 'plans'}"
)
CORPUS = [
    # --- Python's reprs ---
    Line("{'password': 'hunter2', 'table': 'plans'}", ("hunter2",), ("password", "plans")),
    Line("{'password': 'two words', 'rows': 3}", ("two", "words"), ("'rows': 3",)),
    Line("dict(client_secret='c-1', limit=10)", ("c-1",), ("limit=10",)),
    Line("User(name='Ana', password_hash='x$y$z', active=True)", ("x$y",), ("active=True",)),
    Line("[('password', 'hunter2'), ('host', 'db1')]", ("hunter2",), ("host", "db1")),
    Line("(b'authorization', b'Bearer b-1'), (b'host', b'a')", ("b-1",), ("b'host', b'a'",)),
    Line(r"{'pass': 'it\'s me', 'n': 1}", ("it", "me'"), ("'n': 1",)),
    Line("<QueryDict: {'password': ['hun', 'ter'], 'next': ['/']}>", ("hun", "ter"), ("next",)),
    Line("b'user=ana&passwd=hunter2&n=1'", ("hunter2",), ("n=1",)),
    Line(r"b'{\"token\": \"t-1\", \"n\": 1}'", ("t-1",), (r"\"n\": 1",)),
    Line("os.environ['DB_PASSWORD'] = 'hunter2' # set", ("hunter2",), ("DB_PASSWORD", "# set")),
    Line('token = """many\nlines""" and more', ("many", "lines"), ("and more",)),
    Line("secrets={'a': 'x-1', 'b': ['y-2']}, n=4", ("x-1", "y-2"), ("n=4",)),
    Line("Credentials(access_key='a-1', secret_key='s-1', token=None)", ("a-1", "s-1"), ("None",)),
    Line("password=Secret('hunter2'), n=4", ("hunter2",), ("n=4",)),
    # --- JSON ---
    Line('{"password": "hunter2", "status": "ok"}', ("hunter2",), ('"status": "ok"',)),
    Line('{"a": {"clientSecret": "c 1", "b": [1, 2]}}', ("c 1",), ('"b": [1, 2]',)),
    Line('{"refresh_token":"r-1","expires_in":3600}', ("r-1",), ('"expires_in":3600',)),
    Line('{"tokens": ["t-1", "t-2"], "n": 2}', ("t-1", "t-2"), ('"n": 2',)),
    Line('{"pin": 4711, "n": 2}', ("4711",), ('"n": 2',)),
    Line(r'{"body": "{\"password\": \"two words\", \"n\": 2}"}', ("two", "words"), (r"\"n\": 2",)),
    Line('{"credentials": {"user": "u", "key": "k-1"}, "n": 2}', ("k-1",), ('"n": 2',)),
    Line('{"password": "cut off in the mid', ("cut", "mid"), ("password",)),
    Line('{\n  "apiKey":\n    "k 1",\n  "n": 2\n}', ("k 1",), ('"n": 2',)),
    Line('{"X-Api-Key": "k-1", "Accept": "*/*"}', ("k-1",), ('"Accept": "*/*"',)),
    Line('{"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIE\\n"}', ("MIIE",), ("private_key",)),
    # --- key=value, and what people write ---
    Line("password=hunter2 host=db1 port=5432", ("hunter2",), ("host=db1", "5432")),
    Line("password='two words' dbname=d", ("two", "words"), ("dbname=d",)),
    Line('password: "two words", and more', ("two", "words"), ("and more",)),
    Line("PASSWORD: hunter2", ("hunter2",), ("PASSWORD",)),
    Line("DB_PASSWORD=hun,ter;2&x next", ("hun", "ter", "&x"), ("next",)),
    Line("spring.datasource.password=hunter2\nn=1", ("hunter2",), ("n=1",)),
    Line("aws_secret_access_key = s-1\nregion = eu-1", ("s-1",), ("region = eu-1",)),
    Line("DJANGO_SECRET_KEY=k-1 DAYLIGHT_ENV=production", ("k-1",), ("DAYLIGHT_ENV=production",)),
    Line("mysqldump --password hunter2 --host db1", ("hunter2",), ("--host db1",)),
    Line("login --token=t-1 --verbose", ("t-1",), ("--verbose",)),
    Line("ALTER ROLE app WITH PASSWORD 'two words' VALID UNTIL 'x'", ("two",), ("VALID UNTIL",)),
    Line("PGPASSWORD=hunter2 psql -h db1", ("hunter2",), ("psql -h db1",)),
    Line("totp: 123456 given", ("123456",), ("given",)),
    Line("user[password]=hunter2&user[name]=Ana", ("hunter2",), ("user[name]=Ana",)),
    Line("<password>two words</password><n>1</n>", ("two", "words"), ("<n>1</n>",)),
    Line("password[]=hunter2&password[0]=hunter3&n=1", ("hunter2", "hunter3"), ("n=1",)),
    Line("DB_PASS=hunter2 MYSQL_PWD=hunter3 n=1", ("hunter2", "hunter3"), ("n=1",)),
    Line("{'smtpPass': 'two words', 'bypass': 'stays'}", ("two", "words"), ("stays",)),
    Line('{"name": "password", "value": "hunter2"}', ("hunter2",), ('"value": "', "password")),
    Line('[{"Key":"api_key","Value":"k-1"},{"n":1}]', ("k-1",), ('"Value"', '{"n":1}')),
    Line('{"field": "password", "why": "too short"}', (), ('"why": "too short"',)),
    Line("recovery_codes=['a1b2 c3'], totp_seed=JBSW, n=1", ("a1b2", "JBSW"), ("n=1",)),
    Line("https;AccountName=a;AccountKey=k1k1==;n=1", ("k1k1",), ("n=1",)),
    Line("otpauth%3A%2F%2Ftotp%2Fx%3Fsecret%3DJBSW%26n%3D1", ("JBSW",), ("n%3D1",)),
    # --- URLs, DSNs, hooks ---
    Line("postgres://app:hunter2@db1:5432/d is away", ("app", "hunter2"), ("db1:5432/d is away",)),
    Line("redis://:pw/with/slash@cache:6379/0", ("pw", "slash"), ("cache:6379/0",)),
    Line("no file postgres:/app:hunter2@db1/x here", ("app", "hunter2"), ("db1/x here",)),
    Line("amqp://app:p%40ss@mq1/vhost", ("p%40ss",), ("mq1/vhost",)),
    Line("GET https://geo.example/v1?key=k-1&q=Main+St", ("k-1", "Main"), ("geo.example/v1",)),
    Line("https://b.example/o?X-Amz-Signature=s-1&X-Amz-Date=d", ("s-1",), ("b.example/o",)),
    Line("https://a.example/cb#access_token=t-1&state=s", ("t-1",), ("a.example/cb",)),
    Line(f"dsn https://{'0a' * 16}@o1.ingest.sentry.io/4", ("0a0a",), ("o1.ingest.sentry.io/4",)),
    Line("https://hooks.slack.com/services/T0/B0/xyz no", ("T0", "xyz"), ("hooks.slack.com", "no")),
    Line("'https://discord.com/api/webhooks/12/ab-c'", ("ab-c",), ("discord.com",)),
    Line("https://events.pagerduty.com/integration/k1k1/enqueue", ("k1k1",), ("pagerduty.com",)),
    Line("https://api.telegram.org/bot12:ab-c/send", ("12:ab-c",), ("api.telegram.org", "/send")),
    Line(f"routing_key={'3c' * 16} event_action=trigger", ("3c3c",), ("event_action=trigger",)),
    # --- headers ---
    Line("Authorization: Bearer b-1.x/y", ("b-1", "x/y"), ("Authorization",)),
    Line("Authorization: Basic YW5hOmh1bnRlcjI=", ("YW5h",), ("Authorization",)),
    Line("proxy said: Basic YW5hOmh1bnRlcjI= refused", ("YW5h",), ("proxy said", "refused")),
    Line("Proxy-Authorization: Digest username=ana, response=r-1", ("ana", "r-1"), ("Proxy",)),
    Line(
        f"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261201/eu/dynamodb/"
        f"aws4_request, SignedHeaders=host, Signature={SIGNATURE}\nHost: h1",
        ("AKIA", SIGNATURE), ("Host: h1",),
    ),
    Line(f"X-Amz-Security-Token: {AWS_TOKEN}\nHost: h1", ("FwoG",), ("Host: h1",)),
    Line("Cookie: sessionid=s-1; csrftoken=c-1\nHost: h1", ("s-1", "c-1"), ("Host: h1",)),
    Line("Set-Cookie: sid=s-1; Path=/; HttpOnly\nHost: h1", ("s-1",), ("Host: h1",)),
    Line(r"b'GET / HTTP/1.1\r\nCookie: a=s-1; b=2\r\nHost: h1'", ("s-1", "b=2"), ("Host: h1",)),
    Line("curl -H 'Authorization: Bearer b-1 x' https://h1/x", ("b-1",), ("https://h1/x",)),
    Line("X-CSRFToken: c-1\nAccept: */*", ("c-1",), ("Accept: */*",)),
    # --- by their look alone ---
    Line("key AKIAIOSFODNN7EXAMPLE was refused", ("AKIA",), ("key", "was refused")),
    Line("assumed ASIAIOSFODNN7EXAMPLE with role reader", ("ASIA",), ("role reader",)),
    Line(f"signing with {AWS_SECRET} failed", ("wJal", "EXAMPLEKEY"), ("signing with", "failed")),
    Line(f"session {AWS_TOKEN} expired", ("FwoG",), ("expired",)),
    Line(f"read {PEM} from disk", (PEM_BODY, "q3Zt"), ("read", "from disk")),
    Line(f"KEY is {RSA} here", (PEM_BODY, "q3Zt"), ("here",)),
    Line(f"-----BEGIN EC PRIVATE KEY-----\n{PEM_BODY}", (PEM_BODY,), ()),
    Line(f"{CERTIFICATE} is public", (), ("MIIBkTCB", "is public")),
    Line(f"bearer of {JWT} came", ("eyJ", "dBjft"), ("came",)),
    Line(f"hash {PBKDF2} differs", ("YkW3", "mUj8"), ("hash", "differs")),
    Line(f"stored {BCRYPT} for it", ("KIXQ",), ("stored", "for it")),
    Line(f"refused {API_KEY} at once", ("Zq3_",), ("refused", "at once")),
    Line("sample dl_live_" + "0a1b" * 10, ("0a1b",), ("sample",)),
    Line("pushed with ghp_16C7e42F292c6912E7710c838347Ae178B4a", ("16C7",), ("pushed with",)),
    Line("Key (key_hash)=(aa bb) already exists.", ("aa bb",), ("(key_hash)", "already exists")),
    Line("Failing row contains (u-1, x$y$z, null).", ("u-1", "x$y"), ("Failing row",)),
    # --- encoded ---
    Line("password%3Dhunter2%26n%3D1", ("hunter2",), ("n%3D1",)),
    Line("%22token%22%3A%22t%20one%22%2C%22n%22%3A1", ("t%20one",), ("%22n%22%3A1",)),
    Line("&quot;password&quot;: &quot;two words&quot;, n", ("two", "words"), (", n",)),
    Line("{&#x27;secret&#x27;: &#x27;a b&#x27;} n", ("a b",), ("n",)),
    # --- a traceback ---
    Line(TRACE, ("hunter2", "is long", "k-1"), ("site/views.py", "line 12", "'table': 'plans'")),
    # --- what is personal ---
    Line("mail of ana@example.org bounced", ("ana", "example.org"), ("mail of", "bounced")),
    Line("mail=ana%40example.org&n=1", ("ana", "example.org"), ("n=1",)),
    Line(f"session {SESSION} has ended", (SESSION,), ("has ended",), True),
    Line(f"session_id={SESSION[:8]} rows=3", (SESSION[:8],), ("rows=3",)),
    Line(f"event by {DIGEST} noted", (DIGEST,), ("event by", "noted"), True),
    Line('{"lat": 52.520008, "lng": 13.404954, "n": 1}', ("52.52", "13.40"), ('"n": 1',), True),
    Line("lat=52.5200&lon=13.4050&zoom=3", ("52.52", "13.40"), ("zoom=3",), True),
    Line("was at 52.520008, 13.404954 then", ("52.52", "13.40"), ("was at", "then"), True),
    Line("from 203.0.113.7 port 443", ("203.0",), ("port 443",), True),
    Line("from 2001:db8::ff00:42 port 443", ("2001:db8",), ("port 443",), True),
    Line("plans u-1/p-1: is not JSON", ("u-1", "p-1"), ("plans", "is not JSON"), True),
    Line('{"user_id": "u-1", "rows": 3}', ("u-1",), ('"rows": 3',), True),
    # --- what is neither ---
    Line("copied 3,000 rows of plans in 12.5 s", (), ("copied 3,000 rows of plans in 12.5 s",)),
    Line("tokens: 42, cookies=3, api_keys: not there", (), ("42", "cookies=3", "not there")),
    Line("UNIQUE constraint failed: api_keys.key_hash", (), ("failed: api_keys.key_hash",)),
    Line("token: None, secret=null, password=''", (), ("None", "null", "password=''")),
    Line("GetItem plans: ThrottlingException at 10:20:30", (), ("ThrottlingException", "10:20:30")),
    Line("a basic migration; Basic authentication is off", (), ("Basic authentication is off",)),
    Line("engine at http://127.0.0.1:43181 and [::1]:8000", (), ("127.0.0.1:43181", "[::1]:8000")),
    Line("commit 3f786850e387550fdab836ed7e6dc881de23001b", (), ("commit",)),
]  # fmt: skip


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 80
    assert len({line.text for line in CORPUS}) == len(CORPUS)


def faults(found: str, line: Line) -> list[str]:
    """What is not as the line says."""
    there = [each for each in line.gone if each in found]
    return there + [f"no {each}" for each in line.stays if each not in found]


@pytest.mark.parametrize("line", CORPUS, ids=lambda line: line.text[:40])
def test_what_must_be_gone_is_gone_and_what_must_stay_stays(line: Line) -> None:
    found = scrub_text(line.text)
    assert faults(found, line) == []
    assert scrub_text(found) == found
    nested = json.dumps(scrub({"part": [{"answer": line.text}]}), ensure_ascii=False)
    assert [each for each in line.gone if each in nested] == []


def test_a_message_to_operators_has_no_secret_either() -> None:
    for line in CORPUS:
        if not line.personal:
            found = mask_secrets(line.text)
            assert faults(found, line) == [], line.text
            assert mask_secrets(found) == found


def test_json_without_its_secrets_is_json() -> None:
    for line in CORPUS:
        try:
            json.loads(line.text)
        except ValueError:
            continue
        if "BEGIN" not in line.text:  # where a key ends that nothing ends is not known
            json.loads(mask_text(line.text))


def test_a_sentence_to_a_person_keeps_its_words_and_a_line_of_code_its_names() -> None:
    said = "the password: too short; use password=hunter2 or 'token': 'two words'"
    assert (
        mask_text(said, bare=Bare.EQUALS)
        == "the password: too short; use password=*** or 'token': '***'"
    )
    assert (
        mask_text("X-Api-Key: two words\nHost: h1", bare=Bare.EQUALS) == "X-Api-Key: ***\nHost: h1"
    )
    code = 'password = form["password"]; check(token="two words")'
    assert mask_text(code, bare=Bare.NEVER) == 'password = form["password"]; check(token="***")'


def test_values_are_masked_by_their_keys_at_any_depth() -> None:
    deep: object = "hunter2"
    for _ in range(100):
        deep = [deep]
    found = mask_values(
        {"clientSecret": ["a", {"b": 1}], "n": 1, "token": None, "secret": True,
         "text": '{"password": "two words"}', "deep": deep, 3: "password=x"}
    )  # fmt: skip
    assert "hunter2" not in str(found)
    assert found.pop("deep") is not None
    pairs = [{"name": "apiKey", "value": "k"}, {"Key": "DB_PASS", "Value": 1}, {"value": "stays"}]
    assert [each.popitem()[1] for each in mask_values(pairs)] == ["***", "***", "stays"]
    assert found == {
        "clientSecret": "***", "n": 1, "token": None, "secret": True,
        "text": '{"password": "***"}', 3: "password=***",
    }  # fmt: skip


NAMES = ("password", "client_secret", "X-Api-Key", "refreshToken", "AWS_SESSION_TOKEN", "Cookie")
WORDS = st.text(alphabet="abcdefghijklmnop0123456789", min_size=6, max_size=12)


@given(
    name=st.sampled_from(NAMES), secret=st.lists(WORDS, min_size=1, max_size=3).map(" ".join),
    before=st.text(max_size=40).filter(lambda text: not set(text) & set("\"'\\-_.%`")),
    quote=st.sampled_from(('"', "'", r"\"", r"\\\"", "&quot;", "%22")),
    sep=st.sampled_from((": ", "=", " = ", ":", "%3D", " => ")),
)  # fmt: skip
def test_a_quoted_value_is_gone_whatever_stands_around_it(
    name: str, secret: str, before: str, quote: str, sep: str
) -> None:
    text = f"{before} {quote}{name}{quote}{sep}{quote}{secret}{quote}, kept=1"
    found = mask_text(text)
    assert not any(word in found.removeprefix(before) for word in secret.split())
    assert found.endswith("kept=1")


def _shell(record: dict[str, Any]) -> str:
    return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in record.items())


# How programs write a record down.
FORMS: dict[str, Callable[[dict[str, Any]], str]] = {
    "JSON": json.dumps,
    "JSON, indented": lambda record: json.dumps(record, ensure_ascii=False, indent=2),
    "JSON in JSON": lambda record: json.dumps({"body": json.dumps(record)}),
    "JSON in JSON in JSON": lambda record: json.dumps([json.dumps([json.dumps(record)])]),
    "a repr": repr,
    "a repr of a repr": lambda record: repr(repr(record)),
    "a repr of bytes": lambda record: repr(json.dumps(record).encode()),
    "a repr over lines": lambda record: pprint.pformat(record, width=20),
    "pairs": lambda record: repr(list(record.items())),
    "a query": urlencode,
    "JSON in a URL": lambda record: quote(json.dumps(record)),
    "JSON in a form": lambda record: quote_plus(json.dumps(record)),
    "JSON in HTML": lambda record: html.escape(json.dumps(record)),
    "a shell's variables": _shell,
}


@pytest.mark.parametrize("form", FORMS)
@given(
    name=st.sampled_from(("password", "clientSecret", "X-Auth-Token", "AWS_SESSION_TOKEN")),
    middle=st.text(alphabet="abXY09 :'\"\\=?#%{}[]()<>/@!$^*~`+é\n\t", max_size=8),
)
def test_a_secret_is_gone_however_a_record_is_written_down(
    form: str, name: str, middle: str
) -> None:
    found = mask_text(FORMS[form]({"first": 1, name: f"Q7zq{middle}W8yw", "last": "stays"}))
    assert "Q7zq" not in found
    assert "W8yw" not in found
    assert "stays" in found


# By their look alone, whatever writes a mark before them as letters or digits.
@pytest.mark.parametrize("before", (
    "x\\n", "\\t", "%22", "a%3D", "a%3d", "\\u0022", "\\u003a", "\\x22", r"b'\x0c", "v=",
    "\x1b[31m", "\x1b[0;1m", "[", "'", "_",
))  # fmt: skip
@pytest.mark.parametrize("secret", (
    "AKIAIOSFODNN7EXAMPLE", JWT, PBKDF2, API_KEY, "Bearer abcDEF123", "sk-proj-abcdefGHIJKL123456",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "ds_" + "aBcd" * 10 + "xyz",
))  # fmt: skip
def test_a_secret_is_gone_behind_whatever_is_escaped_or_encoded(before: str, secret: str) -> None:
    for text in (f"{before}{secret}", f"a {before}{secret}%22 b", f"{before}{secret}\\u0022"):
        found = mask_text(text, bare=Bare.NEVER)
        assert secret[7:14] not in found
        assert found.startswith(text[0])


def test_a_key_of_forty_characters_is_gone_behind_them_too() -> None:
    for before in ("x\\n", "%22", "a%3D", "\\u0022", "\\x22", "v=", "\x1b[31m"):
        assert mask_text(before + AWS_SECRET, bare=Bare.NEVER) == f"{before}***"


def test_names_in_code_are_no_secrets() -> None:
    for text in (
        "task-force-of-many-people", "shelf_of_the_old_books_in_the_hall", "%22risk-of-a-long-name",
        "test_records_are_there_whole_or_not_at_all_whatever_comes_in_between", "MALAKIA was there",
    ):  # fmt: skip
        assert mask_text(text) == text


PIECES = (
    "1ab_", "1eyJ", "%22eyJa.", "\\nab_", "a=Aa1",
    "a", "a.", "a:", "(", "?", "://", "1.", "-", "=", "password=", "password:[", "token: {'",
    "'password', '", "\\", "%", '\\"', '{"\\', "eyJ", "eyJa.", "-----BEGIN ",
    "-----BEGIN PRIVATE KEY", "password=a,", "Bearer ", "<password>", "--password ", "a_a_",
    "Aa1/", "password \t", "&#0", "'\\", "users/", "é@", "52.1234,", "cookie='", 'cookie="\n',
    'token=\\"x\n', "a_0a", "$2b$", "(a)=", "discord.com/", "x%40", "::",
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_of_whatever_is_cut_and_done_with(piece: str) -> None:
    found = scrub_text("password=hunter2 " + piece * (1_000_000 // len(piece)))
    assert "hunter2" not in found
    assert len(found) < 4 * MAX_TEXT


@given(st.lists(st.sampled_from(PIECES), max_size=300))
def test_no_text_of_such_pieces_is_too_much(pieces: list[str]) -> None:
    text = "".join(pieces)
    for _ in range(5):  # what is masked may bring two pieces beside one another
        text = mask_text(text)
    assert mask_text(text) == text


@pytest.mark.parametrize(("text", "shown"), [
    ('INSERT INTO "a" ("session_id", "resource") VALUES (?, ?)', None),
    ('SELECT "users"."password_hash", "users"."email" FROM "users" WHERE "session_id" = %s', None),
    ('INSERT INTO "a" ("n") VALUES (?) ON CONFLICT DO UPDATE SET "copy_pass" = EXCLUDED."n"', None),
    ('UPDATE "u" SET "password" = "x y"', 'UPDATE "u" SET "password" = "***"'),
    ('create user {"password": "x y"}', 'create user {"password": "***"}'),
    ('SELECT {"password": "x y"}', 'SELECT {"password": "***"}'),
    ('Update ["password", "x y"]', 'Update ["password", "***"]'),
    ('WITH "password"="x y"', 'WITH "password"="***"'),
    ('UPDATE "u" {"password": "x y"}', 'UPDATE "u" {"password": "***"}'),
    ("UPDATE \"u\" SET \"password\" = 'x y', \"n\" = 1 WHERE \"pin\" = 1234",
     "UPDATE \"u\" SET \"password\" = '***', \"n\" = 1 WHERE \"pin\" = \"***\""),
    ("UPDATE u SET password = 'x y'", "UPDATE u SET password = '***'"),
])  # fmt: skip
def test_of_sql_values_go_and_columns_stay(text: str, shown: str | None) -> None:
    assert mask_text(text) == (text if shown is None else shown)
