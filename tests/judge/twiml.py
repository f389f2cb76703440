"""Judges TwiML by Twilio's Python library. Reads cases from stdin, one JSON object a line:

    {"document", "names": the expected elements in order, "texts": the texts in the document, unescaped}

The judge parses each document strictly and rebuilds it with the library's classes: the library must have a method for
every element in its place, and a parameter for every attribute, and the rebuilt tree must be the same. The elements must
be those of "names", and every text must be there, except for the characters that XML forbids.
"""

import functools
import inspect
import json
import re
import sys
import xml.etree.ElementTree as ET

from twilio.twiml import voice_response

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
MAX_BYTES = 64_000
# Mistakes before the judge stops, and the characters shown of each document.
SHOWN_MAX, SHOWN_CHARS = 5, 1500
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# Elements and parameters whose name in the library differs from their name in snake case.
CLASSES = {"Uri": "SipUri", "Response": "VoiceResponse"}
PARAMETERS = {"from": "from_", "for": "for_"}


class Wrong(Exception):
    pass


class Strict(ET.TreeBuilder):
    """Keeps comments and instructions, so that they count as unknown elements."""

    def __init__(self):
        super().__init__(insert_comments=True, insert_pis=True)

    def doctype(self, name, *_):
        raise Wrong(f"a document type: {name}")


def snake(name):
    return re.sub("(?<!^)([A-Z])", r"_\1", name).lower()


@functools.cache
def known(parent, name):
    """Returns the library's method that adds the element to `parent`, its attributes, and its text parameter."""
    method = parent.__dict__.get(snake(name))
    module = sys.modules[parent.__module__]
    made = getattr(module, CLASSES.get(name, name), None)
    if method is None or made is None:
        raise Wrong(f"<{name}> is nothing that {parent.__name__} may have")
    parameters = [p for p in inspect.signature(method).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    constructed = inspect.signature(made.__init__).parameters.values()
    text = next((p.name for p in constructed if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"), None)
    return method, frozenset(p.name for p in parameters) - {text}, text


def rebuild(parent, element):
    """Adds `element` and its children to the library's `parent`."""
    if not isinstance(element.tag, str):
        raise Wrong("a comment or an instruction")
    method, attributes, text = known(type(parent), element.tag)
    arguments = {PARAMETERS.get(name) or snake(name): value for name, value in element.attrib.items()}
    unknown = arguments.keys() - attributes
    if unknown:
        raise Wrong(f"<{element.tag}> has no {', '.join(unknown)}")
    if text:
        arguments[text] = element.text or ""
    elif element.text:
        raise Wrong(f"<{element.tag}> has a text: {element.text!r}")
    child = method(parent, **arguments)
    for inner in element:
        if inner.tail:
            raise Wrong(f"text after <{inner.tag}>: {inner.tail!r}")
        rebuild(child, inner)


def same(one, other):
    return (
        (one.tag, one.attrib, one.text or "", len(one)) == (other.tag, other.attrib, other.text or "", len(other))
        and all(map(same, one, other))
    )


def judge(case):
    document = case["document"]
    if not document.startswith(DECLARATION):
        raise Wrong("it does not begin with the XML declaration")
    encoded = document.encode()
    if len(encoded) > MAX_BYTES:
        raise Wrong(f"it has {len(encoded)} bytes")
    try:
        root = ET.fromstring(encoded, ET.XMLParser(target=Strict()))
    except ET.ParseError as error:
        raise Wrong(f"it is not well-formed: {error}") from error
    if root.tag != "Response" or root.attrib or root.text:
        raise Wrong("its root is no bare <Response>")
    found = [element.tag for element in root.iter()]
    if found != case["names"]:
        raise Wrong(f"it has the elements {found}, not {case['names']}")
    rebuilt = voice_response.VoiceResponse()
    for child in root:
        if child.tail:
            raise Wrong(f"text after <{child.tag}>: {child.tail!r}")
        rebuild(rebuilt, child)
    if not same(root, rebuilt.xml()):
        raise Wrong(f"the library writes {rebuilt}")
    there = {element.text or "" for element in root.iter()}.union(*(element.attrib.values() for element in root.iter()))
    for text in case["texts"]:
        if FORBIDDEN.sub("", text) not in there:
            raise Wrong(f"{text!r} has not come through")


def main():
    wrong, count = [], 0
    for line in sys.stdin.buffer:
        case = json.loads(line)
        count += 1
        try:
            judge(case)
        except Wrong as error:
            wrong.append(f"{error}\n    {case['document'][:SHOWN_CHARS]}")
        if len(wrong) == SHOWN_MAX:
            break
    if wrong:
        sys.exit("\n".join(wrong))
    print(count)


main()
