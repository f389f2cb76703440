"""Checks the signature vectors in tests/data/twilio/signatures.json against the official twilio library.

Each vector: {"name", "token", "url", "form"?: [[name, value]], "json"?: the raw body, "signature", "valid"}.
"""

import json
import pathlib
import sys

from twilio.request_validator import RequestValidator

VECTORS = pathlib.Path(__file__).parents[1] / "data" / "twilio" / "signatures.json"

# Where the Python library is known to judge otherwise than we do, and why. A line that no longer holds is a failure too.
DIFFERS = {
    "JSON sent again as an empty form": "it looks at the hash only where it is given a text",
    "JSON sent again as a GET": "it looks at the hash only where it is given a text",
    "apostrophe in the query, signed as %27": "only the Node library tries other encodings of the query",
    "apostrophe in the query, signed as querystring writes it": "only the Node library tries other encodings of the query",
    "fragment is not signed": "it expects the caller to take the fragment off",
}


class Form(dict):
    """Name to list of values, in the manner of Django's QueryDict, which the library knows."""

    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    def getlist(self, name):
        return self[name]


def accepts(vector):
    body = vector["json"] if "json" in vector else Form(vector.get("form", []))
    try:
        return RequestValidator(vector["token"]).validate(vector["url"], body, vector["signature"])
    except TypeError:
        # The library takes a text only where the URL carries its hash.
        return False


def main():
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    if not vectors:
        sys.exit(f"{VECTORS} holds no vectors")
    names = {vector["name"] for vector in vectors}
    wrong = [f"there is no vector named {name!r}: remove it from DIFFERS" for name in DIFFERS if name not in names]
    for vector in vectors:
        name, found = vector["name"], accepts(vector)
        if (found == vector["valid"]) == (name in DIFFERS):
            wrong.append(f"{name}: the library says {found}, the file {vector['valid']}; known to differ: {name in DIFFERS}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(vectors)} signature vectors: the official library agrees, but for {len(DIFFERS)} known differences")


main()
