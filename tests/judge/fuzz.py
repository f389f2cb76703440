"""Writes webhooks made up by a seeded generator, one JSON object a line, judged by the official twilio library:

    {"url", "body": the raw form, "signature": the header, "token", "valid": the library's verdict}

JUDGE_CASES says how many (20,000 by default), JUDGE_SEED from which seed (1 by default).
Left out is where the library itself rewrites what Twilio signs: userinfo beside a port, an empty query, a fragment.
"""

import json
import os
import random
import sys

from urllib.parse import quote, quote_plus

from twilio.request_validator import RequestValidator

# One alphabet for each way a text can go wrong.
ALPHABETS = [
    "abcXYZ019",
    " +&=%?#/\\'\"<>;:@,.*~!()[]{}|^`$-_",
    "\x00\x01\t\r\n\x1b\x7f",
    "áéíñçÑßøЖיا语日本",
    "👋🏽👩‍👩‍👧‍👦🇪🇸",
    "e\u0301\u202e\u200b\ufeff\ufffd\U0010ffff",
]
NAMES = ["Body", "From", "To", "MessageSid", "NumMedia", "body", "Bo", "BodyBody", "A", "MediaUrl0", "Digits", "0", "_", "é"]
PATHS = ["/", "/sms/bakery", "/a%20b/c", "/it's", "/~x/(y)", "/x;v=1", "/%C3%A9"]
QUERIES = ["", "?a=1&b=2", "?q=It's+amazing", "?x=%20%2B", "?a&b=", "?a=1&&b=2", "?u=http://h:80/?q"]
PORTS = ["", "", ":443", ":80", ":1234", ":65535"]


def text(rng, longest):
    alphabet = rng.choice(ALPHABETS) if rng.random() < 0.7 else "".join(ALPHABETS)
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(longest + 1)))


def encode(rng, value):
    """One of the ways a client may write a value into a form; all of them mean the same."""
    way = rng.randrange(4)
    if way == 0:
        return quote_plus(value)
    if way == 1:
        return quote(value, safe="")
    if way == 2:
        return quote(value, safe="").lower() if value.isascii() and value.islower() else quote_plus(value, safe="*'()")
    return "".join(f"%{byte:02x}" for byte in value.encode())


class Form(dict):
    """Name to list of values, in the manner of Django's QueryDict."""

    def getlist(self, name):
        return self[name]


def form(rng):
    pairs = []
    for _ in range(rng.randrange(9)):
        name = rng.choice(NAMES) if rng.random() < 0.8 else text(rng, 6) or "x"
        pairs.append((name, text(rng, rng.choice([0, 3, 20, 200]))))
    if pairs and rng.random() < 0.2:
        # The same name again, with the same value or another.
        name, value = rng.choice(pairs)
        pairs.insert(rng.randrange(len(pairs) + 1), (name, value if rng.random() < 0.5 else text(rng, 5)))
    return pairs


def signed_url(rng, scheme, host, port, rest):
    """What Twilio may have signed for a URL: it adds and drops ports at will."""
    default = ":443" if scheme == "https" else ":80"
    return scheme + "://" + host + rng.choice([port, port, "", default]) + rest


def case(rng):
    scheme = rng.choice(["https", "https", "http"])
    host, port = rng.choice(["example.com", "hooks.example.co.uk", "127.0.0.1"]), rng.choice(PORTS)
    rest = rng.choice(PATHS) + rng.choice(QUERIES)
    url = scheme + "://" + host + port + rest
    pairs = form(rng)
    body = "&".join(encode(rng, name) + "=" + encode(rng, value) for name, value in pairs)
    params = Form()
    for name, value in pairs:
        params.setdefault(name, []).append(value)
    token = f"{rng.getrandbits(128):032x}"
    validator = RequestValidator(token)
    signature = validator.compute_signature(signed_url(rng, scheme, host, port, rest), params)

    tampering = rng.random()
    if tampering < 0.05:
        at = rng.randrange(len(signature))
        signature = signature[:at] + rng.choice("ABCabc019+/= ") + signature[at + 1 :]
    elif tampering < 0.10:
        name = rng.choice(NAMES)
        params.setdefault(name, []).append("tampered")
        body += ("&" if body else "") + quote(name) + "=tampered"
    elif tampering < 0.13:
        signature = text(rng, 40)
    elif tampering < 0.16:
        # Hardly a form at all, and signed by somebody else: it may be refused or read somehow, but never accepted.
        body = "".join(rng.choice("%&=+a0\x00é") for _ in range(rng.randrange(60)))
        signature = RequestValidator("another token").compute_signature(url, {})
        return {"url": url, "body": body, "signature": signature, "token": token, "valid": False}
    valid = validator.validate(url, params, signature)
    return {"url": url, "body": body, "signature": signature, "token": token, "valid": valid}


def main():
    seed, count = int(os.environ.get("JUDGE_SEED", "1")), int(os.environ.get("JUDGE_CASES", "20000"))
    print(f"JUDGE_SEED={seed} JUDGE_CASES={count}", file=sys.stderr)
    rng = random.Random(seed)
    for _ in range(count):
        print(json.dumps(case(rng)))


main()
