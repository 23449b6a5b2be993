#!/usr/bin/env python3
"""Runs the tests of a build directory through `meson test` and counts single test cases.

The last line on standard output is `N passed, N failed`, with `, N skipped` appended when some were.
A GoogleTest program counts by its cases, any other test as one; a program that dies without a report
counts as one failure. PATTERN selects whole Meson tests whose name contains it, and in all others the
GoogleTest cases whose `Suite.Name` contains it (`*` and `?` are wildcards).
"""
import argparse
import fnmatch
import json
import os
import pathlib
import shlex
import subprocess
import sys
import xml.etree.ElementTree

SLOW_SUITE = "slow"
FAILED_RESULTS = {"FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"}


class Counts:
    """How many cases passed, failed and were skipped, and the names of those that failed."""

    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failed = []

    def line(self):
        text = f"{self.passed} passed, {len(self.failed)} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def main():
    options = parse_arguments()
    tests = [t for t in introspect(options.build) if wanted_suite(t, options)]
    whole, filtered = select(tests, options.pattern)
    if options.pattern and not whole and not filtered:
        print(f"run_tests: nothing matches '{options.pattern}'; "
              f"`meson test -C {options.build} --list` names the tests", file=sys.stderr)
        print(Counts().line())
        return 1
    counts = Counts()
    ended_well = run_meson(options, whole, None, counts) if whole else True
    if filtered:
        ended_well &= run_meson(options, filtered, gtest_filter(options.pattern), counts)
    for name in counts.failed:
        print(f"failed: {name}")
    print(counts.line())
    return 0 if ended_well and not counts.failed else 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path, help="a configured and built Meson build directory")
    parser.add_argument("pattern", nargs="?", default="", help="what to run; everything without it")
    parser.add_argument("--fast", action="store_true", help="leave out the tests of the suite 'slow'")
    parser.add_argument("--timeout-multiplier", default="1", help="for sanitizer builds")
    return parser.parse_intermixed_args()


def introspect(build):
    command = ["meson", "introspect", "--tests", str(build)]
    listed = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    names = [test["name"] for test in listed]
    for name in {name for name in names if names.count(name) > 1}:
        sys.exit(f"run_tests: two Meson tests are called '{name}'; give one another name")
    return listed


def wanted_suite(test, options):
    # A test that is asked for by a pattern runs, however slow.
    return not options.fast or options.pattern or not in_suite(test, SLOW_SUITE)


def in_suite(test, suite):
    return any(name == suite or name.endswith(":" + suite) for name in test["suite"])


def select(tests, pattern):
    """Splits @p tests into those to run whole and those to run with a filter on their cases."""
    if not pattern:
        return tests, []
    whole = [t for t in tests if fnmatch.fnmatchcase(t["name"], gtest_filter(pattern))]
    others = [t for t in tests if t not in whole and t["protocol"] == "gtest"]
    return whole, [t for t in others if has_case(t, pattern)]


def gtest_filter(pattern):
    return f"*{pattern}*"


def has_case(test, pattern):
    command = [*test["cmd"][:1], "--gtest_list_tests", f"--gtest_filter={gtest_filter(pattern)}"]
    listed = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout
    return any(line.startswith("  ") for line in listed.splitlines())


def run_meson(options, tests, case_filter, counts):
    """Runs @p tests, adds to @p counts; whether all programs ended well."""
    reports = {t["name"]: report_path(options.build, t) for t in tests if t["protocol"] == "gtest"}
    for report in reports.values():
        report.unlink(missing_ok=True)  # A crash must not be hidden by the report of an earlier run.
    logbase = "testlog-filtered" if case_filter else "testlog"
    command = ["meson", "test", "-C", str(options.build), "--no-rebuild", "--print-errorlogs",
               "--logbase", logbase, "--timeout-multiplier", options.timeout_multiplier]
    command += [t["name"] for t in tests]
    environment = dict(os.environ)
    environment.pop("GTEST_OUTPUT", None)
    if case_filter:
        environment["GTEST_FILTER"] = case_filter
    shown = f"GTEST_FILTER={shlex.quote(case_filter)} " if case_filter else ""
    print(f"+ {shown}{shlex.join(command)}", file=sys.stderr, flush=True)
    status = subprocess.run(command, check=False, env=environment, stdout=sys.stderr).returncode
    add_log(options.build / "meson-logs" / (logbase + ".json"), reports, tests, counts)
    return status == 0


def report_path(build, test):
    # Where Meson 1.0 tells a test of protocol 'gtest' to write.
    return pathlib.Path(test["workdir"] or build) / (test["name"] + ".xml")


def add_log(path, reports, tests, counts):
    results = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            record = json.loads(line)
            results[record["name"].split(" / ")[-1]] = record["result"]
    for test in tests:
        name = test["name"]
        result = results.get(name, "ERROR")
        failed = len(counts.failed)
        if name in reports and reports[name].exists():
            add_report(name, reports[name], counts)
        elif result in FAILED_RESULTS:
            counts.failed.append(f"{name} (ended without a report: {result})")
        elif result == "SKIP":
            counts.skipped += 1
        else:
            counts.passed += 1
        if result in FAILED_RESULTS and len(counts.failed) == failed:
            counts.failed.append(f"{name} (all its cases passed, then {result})")


def add_report(name, path, counts):
    try:
        cases = xml.etree.ElementTree.parse(path).iter("testcase")
    except xml.etree.ElementTree.ParseError:
        counts.failed.append(f"{name} (its report {path} is cut short)")
        return
    for case in cases:
        if case.get("status") == "notrun":
            continue
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failed.append(f"{name}: {case.get('classname')}.{case.get('name')}")
        elif case.find("skipped") is not None or case.get("result") == "skipped":
            counts.skipped += 1
        else:
            counts.passed += 1


if __name__ == "__main__":
    sys.exit(main())
