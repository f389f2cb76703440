"""The time zones of phone numbers by prefix, one line a prefix, out of Google's data as the package phonenumbers has it.

    tests/judge/phone_zones.py > src/time/phone_zones.txt

A test regenerates them and compares, so that the version in requirements.txt says where they are from.
"""

from phonenumbers.tzdata import TIMEZONE_DATA

for prefix, zones in sorted(TIMEZONE_DATA.items()):
    # Without the country code's +. "Etc/Unknown" says nothing.
    known = [zone for zone in zones if zone != "Etc/Unknown"]
    if known:
        print(prefix, *known)
