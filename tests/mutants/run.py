"""Runs the mutants; see tests/mutants.sh."""

import os
import pathlib
import subprocess
import sys
import tomllib

TOP = pathlib.Path.cwd()
CARGO = os.environ.get("CARGO", "cargo")
FOLDER = pathlib.Path(os.environ.get("MUTANTS_FOLDER", TOP / "target" / "mutants"))
KILL_RATE_MIN = 0.9


def mutants():
    for path in sorted((TOP / "tests" / "mutants").glob("*.toml")):
        yield from tomllib.loads(path.read_text())["mutant"]


def files_of(module):
    """The files of a module: `a/b.rs`, and what is below `a/b/`."""
    base = pathlib.Path("src", *module.split("::"))
    single = base.with_suffix(".rs")
    return [path for path in [single, *sorted(base.glob("**/*.rs"))] if (FOLDER / path).is_file()]


def copy_source():
    """Copies the files that git knows or would add. Files that have not changed keep their times, so that less is built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True
    )
    wanted = {pathlib.Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name}
    for path in wanted:
        source, target = TOP / path, FOLDER / path
        if not source.is_file():
            continue
        content = source.read_bytes()
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(source.stat().st_mode)


def targets_of(tests):
    """What has to be built for these tests: those below src/ need no more than the library."""
    sources = {
        "--lib": FOLDER.glob("src/**/*.rs"),
        "--test=it": FOLDER.glob("tests/it/**/*.rs"),
    }
    wanted = [f"fn {test}(" for test in tests]
    return [
        target
        for target, paths in sources.items()
        if any(start in text for text in (path.read_text() for path in paths) for start in wanted)
    ]


def run_tests(tests):
    chosen = " | ".join(f"test(/(^|::){test}$/)" for test in tests)
    options = ["--features", "abort-points", "--no-fail-fast", *targets_of(tests)]
    command = [CARGO, "nextest", "run", *options, "-E", chosen]
    ran = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return ran.returncode, ran.stdout


def try_mutant(mutant):
    """Gives `found`, `survived`, or why it could not be tried."""
    places = [path for path in files_of(mutant["module"]) if mutant["old"] in (FOLDER / path).read_text()]
    texts = {path: (FOLDER / path).read_text() for path in places}
    if sum(text.count(mutant["old"]) for text in texts.values()) != 1:
        return "its text does not occur once"
    (path, text), = texts.items()
    try:
        (FOLDER / path).write_text(text.replace(mutant["old"], mutant["new"]))
        code, output = run_tests(mutant["tests"])
    finally:
        (FOLDER / path).write_text(text)
    match code:
        # The exit codes of cargo nextest.
        case 0:
            return "survived"
        case 100:
            return "found"
        case 4:
            return "no such tests"
        case _:
            print(output[-4000:])
            return "it does not build"


def main(words):
    chosen = [one for one in mutants() if not words or any(word in f"{one['name']} {one['module']}" for word in words)]
    if words == ["--list"]:
        for one in mutants():
            print(f"{one['module']}: {one['name']}")
        return 0
    if not chosen:
        print("no mutant has such a name: tests/mutants.sh --list shows them")
        return 2
    copy_source()
    tests = sorted({test for one in chosen for test in one["tests"]})
    print(f"{len(tests)} tests without any mutant …", flush=True)
    code, output = run_tests(tests)
    if code != 0:
        print(output[-8000:])
        print("the tests fail as it is: nothing can be said of the mutants")
        return 1
    ends = {}
    for one in chosen:
        ends[one["name"]] = try_mutant(one)
        print(f"{ends[one['name']]:<10} {one['module']}: {one['name']}", flush=True)
    found = sum(end == "found" for end in ends.values())
    rate = found / len(ends)
    print(f"\n{found} of {len(ends)} mutants were found: {rate:.0%}")
    for name, end in ends.items():
        if end != "found":
            print(f"  {end}: {name}")
    return 0 if rate >= KILL_RATE_MIN else 1


sys.exit(main(sys.argv[1:]))
