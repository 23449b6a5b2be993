"""clang-tidy over the files that changed, several at once; a part of scripts/lint.py."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

BUILD = pathlib.Path("build-clang")
DIAGNOSTIC = re.compile(r"(?m)^([^\s:][^:\n]*):(\d+):\d+: (?:warning|error): (.*)$")


def check(sources, options):
    """Yields findings, each `file:line: what`, for the files of @p sources that are to be checked now."""
    units = compiled_units()
    wanted = set(sources) if options.all else changed_since(options.base or default_base()) & set(sources)
    chosen = units_of(wanted, units)
    print(f"lint: clang-tidy on {len(chosen)} of {len(units)} files", file=sys.stderr, flush=True)
    end = time.monotonic() + (1e9 if options.all else options.seconds)
    left_out = []
    seen = set()  # What stands in a header is found through each file that includes it.
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS") or os.cpu_count())) as pool:
        for unit, found in zip(chosen, pool.map(lambda unit: check_unit(unit, end), chosen)):
            if found is None:
                left_out.append(unit)
                continue
            for finding in found:
                if finding not in seen:
                    yield finding
                seen.add(finding)
    if left_out:
        print(f"lint: clang-tidy: no time for {len(left_out)} files ({' '.join(left_out)}); "
              "./dev lint --all takes it", file=sys.stderr)


def compiled_units():
    """Paths, relative to the root, of all that the clang build compiles."""
    database = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    paths = {os.path.relpath(os.path.join(entry["directory"], entry["file"])) for entry in database}
    return sorted(path for path in paths if not path.startswith(".."))


def default_base():
    """Where this branch left the remote's main; on main itself, or without a remote, ten commits back."""
    head = git("rev-parse", "HEAD")
    for remote in ("origin/HEAD", "origin/main", "origin/master"):
        base = git("merge-base", "HEAD", remote)
        if base and base != head:
            return base
    ancestors = git("rev-list", "--first-parent", "--max-count=11", "HEAD").split()
    return ancestors[-1] if len(ancestors) == 11 else ""


def changed_since(base):
    """Files that differ from @p base, in the work tree too; all files if there is no base."""
    listed = git("diff", "--name-only", "--diff-filter=d", base, "--") if base else git("ls-files")
    return set(listed.splitlines()) | set(git("ls-files", "--others", "--exclude-standard").splitlines())


def git(*arguments):
    done = subprocess.run(["git", *arguments], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def units_of(paths, units):
    """The compiled files among @p paths, and for each header one that includes it: its own, if any."""
    chosen = {path for path in paths if path in units}
    for header in sorted(path for path in paths if path.endswith(".h")):
        own = header[:-2] + ".cc"
        if own in units:
            chosen.add(own)
        else:
            includers = [unit for unit in units if includes(unit, header)]
            chosen.update(includers[:0 if chosen.intersection(includers) else 1])
    return sorted(chosen)


def includes(unit, header):
    text = pathlib.Path(unit).read_text(encoding="utf-8", errors="replace")
    name = re.sub(r"^lib/(include/)?", "", header)
    return re.search(rf'#include ["<]{re.escape(name)}[">]', text) is not None


def check_unit(unit, end):
    """Findings in one file and its headers; None if there was no time left to start it."""
    if time.monotonic() > end:
        return None
    command = ["clang-tidy-19", "-p", str(BUILD), "--quiet", unit]
    if unit.startswith("tests/"):
        # Minutes a file through GoogleTest's and rapidcheck's templates; the sanitizers run tests anyway.
        command.append("--checks=-clang-analyzer-*")
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace")
    # Paths are relative to the build folder.
    found = [f"{os.path.relpath(BUILD / path)}:{line}: {what}"
             for path, line, what in DIAGNOSTIC.findall(done.stdout)]
    if done.returncode < 0:
        found.append(f"{unit}:1: clang-tidy was killed by signal {-done.returncode}")
    elif done.returncode > 0 and not found:
        found.append(f"{unit}:1: clang-tidy failed: {done.stderr.strip()[-200:]}")
    return found
