"""Judges TwiML by the official twilio library. Reads cases from stdin, one JSON object a line:

    {"document", "names": the elements that it must have, in order, "texts": what was put in, as it was}

A document is parsed strictly and rebuilt with the library's classes: every element must be one that the library has a
method for in that place, every attribute one of that method's parameters, and the rebuilt tree must be the same. No element
is there that is not in "names", and every text has come through, but for the characters that XML forbids.

With the argument `everything`, the cases must have every verb and attribute of the library, but for those LEFT_OUT.
"""

import functools
import inspect
import json
import re
import sys
import xml.etree.ElementTree as ET

from twilio.twiml import messaging_response, voice_response

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
MAX_BYTES = 64_000
# Mistakes shown before the judge gives up, and how much of each document.
SHOWN_MAX, SHOWN_CHARS = 5, 1500
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# The library's words for elements and parameters that are not their names in snake case.
CLASSES = {"Uri": "SipUri", "Response": "VoiceResponse"}
PARAMETERS = {"from": "from_", "for": "for_"}

# What the library knows and the builder does not write. A line that no longer holds is a mistake too.
LEFT_OUT = {
    "Response": {"<echo>", "<pay>", "<prompt>", "<queue>", "<refer>", "<sms>"},
    "Say": {"<break_>", "<emphasis>", "<lang>", "<p>", "<phoneme>", "<prosody>", "<s>", "<say_as>", "<sub>", "<w>"},
    "Record": {"recording_configuration_id"},
    "Dial": {"<application>", "recording_configuration_id", "refer_url", "refer_method", "events", "passports"},
    "Conference": {"recording_configuration_id", "event_callback_url"},
    "Sip": {"<uri>", "<headers>"},
    "Enqueue": {"<task>"},
    "Hangup": {"<parameter>"},
    "Reject": {"<parameter>"},
    "Connect": {
        "<ai_session>",
        "<autopilot>",
        "<conversation>",
        "<conversation_relay>",
        "<conversation_relay_session>",
        "<room>",
        "<virtual_agent>",
    },
    "Start": {"<recording>", "<siprec>", "<transcription>", "action", "method"},
    "Stop": {"<siprec>", "<transcription>"},
    "Stream": {"audio_format", "sample_rate"},
}


class Wrong(Exception):
    pass


class Strict(ET.TreeBuilder):
    """Keeps comments and instructions, so that they are seen as elements that nobody knows."""

    def __init__(self):
        super().__init__(insert_comments=True, insert_pis=True)

    def doctype(self, name, *_):
        raise Wrong(f"a document type: {name}")


def snake(name):
    return re.sub("(?<!^)([A-Z])", r"_\1", name).lower()


@functools.cache
def known(parent, name):
    """The library's method that adds such an element to `parent`, its attributes, and which parameter is its text."""
    method = parent.__dict__.get(snake(name))
    module = sys.modules[parent.__module__]
    made = getattr(module, CLASSES.get(name, name), None)
    if method is None or made is None:
        raise Wrong(f"<{name}> is nothing that {parent.__name__} may have")
    parameters = [p for p in inspect.signature(method).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    constructed = inspect.signature(made.__init__).parameters.values()
    text = next((p.name for p in constructed if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"), None)
    return method, frozenset(p.name for p in parameters) - {text}, text


def rebuild(parent, element, seen):
    """Adds `element` and what is in it to the library's `parent`."""
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
    seen.setdefault(type(parent), set()).add(f"<{snake(element.tag)}>")
    child = method(parent, **arguments)
    seen.setdefault(type(child), set()).update(arguments.keys() - {text})
    ATTRIBUTES.setdefault(type(child), set()).update(attributes)
    for inner in element:
        if inner.tail:
            raise Wrong(f"text after <{inner.tag}>: {inner.tail!r}")
        rebuild(child, inner, seen)


ATTRIBUTES = {}


def same(one, other):
    return (
        (one.tag, one.attrib, one.text or "", len(one)) == (other.tag, other.attrib, other.text or "", len(other))
        and all(map(same, one, other))
    )


def judge(case, seen):
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
    is_reply = any(child.tag == "Message" for child in root)
    rebuilt = messaging_response.MessagingResponse() if is_reply else voice_response.VoiceResponse()
    for child in root:
        if child.tail:
            raise Wrong(f"text after <{child.tag}>: {child.tail!r}")
        rebuild(rebuilt, child, seen)
    if not same(root, rebuilt.xml()):
        raise Wrong(f"the library writes {rebuilt}")
    there = {element.text or "" for element in root.iter()}.union(*(element.attrib.values() for element in root.iter()))
    for text in case["texts"]:
        if FORBIDDEN.sub("", text) not in there:
            raise Wrong(f"{text!r} has not come through")


def missing(seen):
    """What the library knows and no case had, or what is said to be left out and is not."""
    for kind, had in sorted(seen.items(), key=lambda item: item[0].__name__):
        children = {
            f"<{name}>" for name, method in kind.__dict__.items() if inspect.isfunction(method) and name != "__init__"
        }
        absent = (children | ATTRIBUTES.get(kind, set())) - had
        name = "Response" if kind is voice_response.VoiceResponse else kind.__name__
        expected = LEFT_OUT.get(name, set())
        if absent != expected:
            yield f"{name}: the cases lack {sorted(absent - expected)}; LEFT_OUT wrongly names {sorted(expected - absent)}"


def main():
    seen, wrong, count = {}, [], 0
    for line in sys.stdin.buffer:
        case = json.loads(line)
        count += 1
        try:
            judge(case, seen)
        except Wrong as error:
            wrong.append(f"{error}\n    {case['document'][:SHOWN_CHARS]}")
        if len(wrong) == SHOWN_MAX:
            break
    if not wrong and sys.argv[1:] == ["everything"]:
        wrong.extend(missing(seen))
    if wrong:
        sys.exit("\n".join(wrong))
    print(count)


main()
