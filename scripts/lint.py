#!/usr/bin/env python3
"""The house rules that a machine can check, clang-format and clang-tidy, over all our sources.

    lint.py format [--check]   formats the C++ sources, or lists those that are not formatted
    lint.py rules              layers, sizes, banned words, dead files
    lint.py tidy [--all]       clang-tidy over what changed since --base, or over everything
    lint.py full [--all]       the three, checking only; prints every finding before it fails

A finding is `file:line: what`. The exit status is 0 only without findings.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # No __pycache__ beside the scripts.
import tidy  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE_ENDINGS = {".cc", ".h"}
FILE_LINES_MAX = 500
TEST_LINES_MAX = 800
LINE_COLUMNS_MAX = 100

# Folder -> folders of ours that it may include, third-party libraries that it may include.
# The longest folder that fits counts; a folder not listed may include anything.
ENGINE_MAY = {"base", "crdt", "persist", "transport", "session", "engine", "joinery"}
LAYERS = {
    "lib/base": ({"base"}, set()),
    "crdt": ({"base", "crdt"}, {"sodium", "msgpack"}),
    "persist": ({"base", "persist"}, {"lmdb", "sodium"}),
    "transport": ({"base", "transport"}, {"asio", "wslay", "http_parser", "openssl", "zlib"}),
    "lib/session": ({"base", "crdt", "session"}, {"sodium", "msgpack"}),
    "lib/engine": (ENGINE_MAY, {"asio", "sodium", "msgpack", "nlohmann", "prometheus"}),
    "lib/include/joinery": (ENGINE_MAY, set()),
    # Base types are what the public headers' signatures are made of.
    "tools": ({"base", "joinery", "tools"}, None),
    # The core is measured in memory, without the store that the public headers bring.
    "bench": ({"base", "crdt", "engine", "persist", "session", "transport", "joinery", "bench"}, None),
    "web": ({"base", "crdt", "session", "joinery", "web"}, set()),
}
LIBRARIES = ("lib/", "crdt/", "persist/", "transport/")
PURE = ("lib/base/", "crdt/", "lib/session/")
# persist/ keeps the registry of environments that this process has open.
MAY_LOCK = ("lib/engine/", "persist/", "tools/", "bench/", "tests/")

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
# C++'s headers have no dot; these are the system's.
SYSTEM_HEADER = re.compile(
    r"[a-z_0-9]+|(sys|net|netinet|arpa|linux)/.+|"
    r"(dirent|dlfcn|errno|fcntl|ifaddrs|limits|netdb|poll|pwd|signal|spawn|stddef|stdint|termios|time|"
    r"unistd)\.h")

# Where (folders, or all), pattern, what to say. Searched in code without comments and literals.
CODE_RULES = (
    (None, r"\bcatch\s*\(\s*\.\.\.\s*\)", "catch (...) hides bugs: name the exception"),
    (None, r"\bs?rand\s*\(", "rand() is neither seeded nor good: use joinery::Random or a seeded engine"),
    (LIBRARIES, r"\bstd::(cout|cerr|clog)\b|\b(v?f?printf|f?puts|f?putc|putchar|perror)\s*\(",
     "a library never prints: use the log callback"),
    (PURE, r"\b(system|steady|high_resolution)_clock\s*::\s*now\b|\bstd::(random_device|j?thread|async)\b",
     "this folder is pure: time, randomness and threads are passed in"),
)
LOCK = re.compile(r"\bstd::(\w*mutex|(lock|unique_lock|shared_lock)\b|\w+_lock|lock_guard|condition_variable\w*)\b")
COMMENT_OR_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
MESON_TEST = re.compile(r"^[ \t]*(?:benchmark|test)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", re.MULTILINE)


def main():
    options = parse_arguments()
    os.chdir(ROOT)
    if options.what == "format":
        return format_sources(options.check)
    count = 0
    for finding in findings(options):
        print(finding, flush=True)
        count += 1
    print(f"lint: {count} findings", file=sys.stderr)
    return 1 if count else 0


def findings(options):
    if options.what in ("rules", "full"):
        yield from check_rules()
    if options.what == "full":
        yield from (f"{path}:1: not formatted: run ./dev fmt" for path in unformatted())
    if options.what in ("tidy", "full"):
        yield from tidy.check(sources(), options)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["format", "rules", "tidy", "full"])
    parser.add_argument("--check", action="store_true", help="format: change nothing")
    parser.add_argument("--all", action="store_true", help="tidy: every file, however long it takes")
    parser.add_argument("--base", default="", help="tidy: the commit to compare with")
    parser.add_argument("--seconds", type=int, default=360,
                        help="tidy without --all: start no further file after this (%(default)s)")
    return parser.parse_args()


def tracked_files():
    """Paths, relative to the root, of all files that are in git or would be added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return sorted(path for path in set(listed.splitlines()) if pathlib.Path(path).is_file())


def sources():
    return [path for path in tracked_files() if pathlib.Path(path).suffix in SOURCE_ENDINGS]


def format_sources(check_only):
    paths = unformatted()
    if not check_only and paths:
        subprocess.run(["clang-format-19", "-i", *paths], check=True)
    for path in paths:
        print(f"{path}: {'not formatted: run ./dev fmt' if check_only else 'formatted'}")
    return 1 if check_only and paths else 0


def unformatted():
    paths = sources()
    command = ["clang-format-19", "--dry-run", "--ferror-limit=1", *paths]
    said = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True).stderr if paths else ""
    return sorted({line.split(":")[0] for line in said.splitlines() if "-Wclang-format-violations" in line})


def read(path):
    return pathlib.Path(path).read_text(encoding="utf-8", errors="surrogateescape")


def check_rules():
    texts = {path: read(path) for path in sources()}
    for path, text in texts.items():
        for check in (check_layers, check_size, check_text, check_code):
            yield from (f"{path}:{line}: {what}" for line, what in check(path, text))
    for path in tracked_files():
        if path == "dev" or path.endswith((".py", ".sh", "meson.build")):
            yield from (f"{path}:{line}: {what}" for line, what in check_text(path, read(path)))
    yield from check_dead_files(texts)
    yield from check_meson_tests()


def check_layers(path, text):
    folder = max((f for f in LAYERS if path.startswith(f + "/")), key=len, default=None)
    ours, third_party = LAYERS.get(folder, (None, None))
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quoted, angled = match.groups()
        if quoted and "/" not in quoted:
            yield number, f'"{quoted}" lacks its folder, as in "crdt/{quoted}"'
            continue
        top = re.split(r"[/.]", quoted or angled)[0]
        is_ours = quoted or top == "joinery"
        if is_ours and ours is not None and top not in ours:
            yield number, f"{folder}/ must not include {top}/ (layers: ARCHITECTURE.md)"
        if not is_ours and third_party is not None and not SYSTEM_HEADER.fullmatch(angled) \
                and top not in third_party:
            yield number, f"{folder}/ must not include <{angled}>"


def check_size(path, text):
    lines = text.splitlines()
    most = TEST_LINES_MAX if path.startswith("tests/") else FILE_LINES_MAX
    if len(lines) > most:
        yield most, f"{len(lines)} lines, the limit is {most}"
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_COLUMNS_MAX:
            yield number, f"{len(line)} columns, the limit is {LINE_COLUMNS_MAX}"


def check_text(path, text):
    """Rules for comments and literals as well as for code."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.isascii():
            yield number, "not ASCII: write \\u or \\x escapes"
        if re.search(r"\bFIX" r"ME\b", line):
            yield number, "FIX" "ME never lands: mend it or open an issue"
        if re.search(r"\bTO" r"DO\b(?!\(#\d+\):)", line):
            yield number, "TO" "DO without an issue: write TO" "DO(#123): ..."


def check_code(path, text):
    code = COMMENT_OR_LITERAL.sub(blank, text)
    rules = [(pattern, what) for folders, pattern, what in CODE_RULES
             if folders is None or path.startswith(folders)]
    if not path.startswith(MAY_LOCK):
        rules.append((LOCK, "no locks below lib/engine: state has one owner"))
    for pattern, what in rules:
        for match in re.finditer(pattern, code):
            yield code.count("\n", 0, match.start()) + 1, what


def blank(match):
    return re.sub(r"[^\n]", " ", match.group()) or " "


def check_dead_files(texts):
    """A .cc that no meson.build names, a .h that nobody includes."""
    built = {}
    for path in tracked_files():
        if path.endswith("meson.build"):
            folder = pathlib.Path(path).parent
            for name in re.findall(r"'([^'\n]+\.cc)'", read(path)):
                built[os.path.normpath(folder / name)] = path
    lines = (line for text in texts.values() for line in text.splitlines())
    included = {match.group(1) or match.group(2) for match in map(INCLUDE.match, lines) if match}
    for path in texts:
        if path.endswith(".cc") and path not in built:
            yield f"{path}:1: dead file: no meson.build names it"
        if path.endswith(".h") and not any(path == name or path.endswith("/" + name) for name in included):
            yield f"{path}:1: dead file: nothing includes it"


def check_meson_tests():
    """scripts/run_tests.py counts by cases only what says that it is a GoogleTest program."""
    for path in tracked_files():
        if not path.endswith("meson.build"):
            continue
        text = read(path)
        for match in MESON_TEST.finditer(text):
            if "protocol:" not in match.group():
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path}:{line}: test() without protocol: 'gtest' (or 'exitcode')"


if __name__ == "__main__":
    sys.exit(main())
