"""Checks the signature vectors in tests/data/twilio/signatures.json against the official twilio library.

Each vector: {"url", "params": {name: value or [values]}, "body"?: JSON text, "token", "expected": the signature header,
"valid": whether the request is to be accepted}. Where the official Python library is known to differ from Twilio itself,
"python_valid" says what it answers, and "note" why.
"""

import json
import pathlib
import sys

from twilio.request_validator import RequestValidator

VECTORS = pathlib.Path(__file__).parents[1] / "data" / "twilio" / "signatures.json"


class Form(dict):
    """Repeated keys as the library expects them: as Django's QueryDict has them."""

    def getlist(self, name):
        value = self[name]
        return value if isinstance(value, list) else [value]


def verdict(vector):
    signed = vector["body"] if vector.get("body") is not None else Form(vector.get("params") or {})
    return RequestValidator(vector["token"]).validate(vector["url"], signed, vector["expected"])


def main():
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    if not vectors:
        sys.exit(f"{VECTORS} holds no vectors")
    wrong = 0
    for number, vector in enumerate(vectors):
        expected = vector.get("python_valid", vector["valid"])
        found = verdict(vector)
        if found != expected:
            wrong += 1
            print(f"vector {number}: the library says {found}, the file {expected}: {json.dumps(vector)}", file=sys.stderr)
    if wrong:
        sys.exit(f"{wrong} of {len(vectors)} vectors disagree with the official library")
    print(f"{len(vectors)} signature vectors: the official library agrees")


main()
