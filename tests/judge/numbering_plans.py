"""The numbering plans of all countries, one line a plan, out of Google's data as the package phonenumbers has it.

    tests/judge/numbering_plans.py > src/domain/phone/numbering_plans.txt
    tests/judge/numbering_plans.py --spellings

A test regenerates them and compares, so that the version in requirements.txt says where they are from. With --spellings
it prints the examples of every country as people write them, each with what the package reads: country, spelling and
number, separated by tabs. The number is empty where the package reads none that is valid.
"""

import re
import sys

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

# Whose numbers are of one person or one business, and those that are services.
PEOPLE = ["fixed_line", "mobile", "voip", "personal_number", "pager"]
SERVICES = ["toll_free", "premium_rate", "shared_cost", "uan", "voicemail"]


def plans():
    # Of countries that share a code the main one comes first: its rules hold for what is written with the code.
    for code, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items(), key=lambda item: str(item[0])):
        for region in regions:
            known = region != "001"
            yield region, PhoneMetadata.metadata_for_region(region) if known else \
                PhoneMetadata.metadata_for_nongeo_region(code)


def pattern(meta, kinds):
    found = []
    for kind in kinds:
        desc = getattr(meta, kind)
        if desc is not None and desc.national_number_pattern and desc.national_number_pattern not in found:
            found.append(desc.national_number_pattern)
    return "|".join(found)


def line(region, meta):
    # A group of the Python package is \1, of Rust's regex ${1}.
    transform = re.sub(r"\\(\d)", r"${\1}", meta.national_prefix_transform_rule or "")
    lengths = ",".join(str(length) for length in meta.general_desc.possible_length)
    trunk = meta.national_prefix_for_parsing or ""
    return [
        str(meta.country_code), region, meta.international_prefix or "", meta.national_prefix or "", trunk, transform,
        lengths, pattern(meta, PEOPLE), pattern(meta, SERVICES),
    ]


def spellings(region, number):
    code = str(number.country_code)
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    trunk = PhoneMetadata.metadata_for_region(region).national_prefix
    yield international
    yield phonenumbers.format_number(number, PhoneNumberFormat.E164)
    yield phonenumbers.format_number(number, PhoneNumberFormat.RFC3966)
    yield national
    yield "00" + international[1:]
    if trunk and national.startswith(trunk):
        yield "+" + code + " " + national
        if trunk == "0":
            yield "+" + code + " (0)" + national[1:].lstrip()


def main():
    if sys.argv[1:] == ["--spellings"]:
        for region in sorted(phonenumbers.SUPPORTED_REGIONS):
            for kind in PhoneNumberType.values():
                number = phonenumbers.example_number_for_type(region, kind)
                if number is None:
                    continue
                for text in spellings(region, number):
                    # Written 00 is read everywhere, so it is judged as if written from a country that dials it.
                    read = phonenumbers.parse("+" + text[2:] if text.startswith("00") else text, region)
                    valid = phonenumbers.is_valid_number(read)
                    said = phonenumbers.format_number(read, PhoneNumberFormat.E164) if valid else ""
                    print(region, text, said, sep="\t")
    else:
        for region, meta in plans():
            print("\t".join(line(region, meta)))


main()
