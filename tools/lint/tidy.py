"""clang-tidy over the project's sources, with clean results remembered by content.

The key of a result holds everything that can change it: clang-tidy's version, the configuration, the
command line, the source and every project header it reaches. So a warm run looks only at what
changed, and a cache shared between branches never lies.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

from source import Finding, includes, read

_MESSAGE = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):\d+: (?:warning|error): (?P<text>.*)$", re.MULTILINE)


def reached(root: pathlib.Path, source: pathlib.Path, memo: dict[pathlib.Path, list[pathlib.Path]]) -> set[pathlib.Path]:
    """The source and the project headers it includes, directly or not."""
    seen: set[pathlib.Path] = set()
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if path not in memo:
            candidates = [base / include.path for include in includes(read(path)) if include.quoted
                          for base in (root / "src", root / "include", path.parent)]
            memo[path] = [candidate for candidate in candidates if candidate.is_file()]
        waiting += memo[path]
    return seen


def key_of(version: str, configuration: str, command: str, contents: list[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for part in (version, configuration, command):
        digest.update(part.encode() + b"\0")
    for name, text in sorted(contents):
        digest.update(name.encode() + b"\0" + text.encode() + b"\0")
    return digest.hexdigest()


def relevant(path: str, wanted: list[str]) -> bool:
    """Sources of the product; tests and generated files are left out, they are read by people."""
    if not path.startswith(("src/", "include/")) or path.endswith(("_test.cpp", "_bench.cpp")):
        return False
    return not wanted or any(part in path for part in wanted)


def without_launcher(command: list[str]) -> list[str]:
    return command[1:] if os.path.basename(command[0]) == "ccache" else command


def run_one(clang_tidy: str, build: pathlib.Path, source: pathlib.Path) -> tuple[bool, str]:
    done = subprocess.run([clang_tidy, "-p", str(build), "--quiet", str(source)], capture_output=True, text=True)
    return done.returncode == 0, done.stdout + (done.stderr if done.returncode else "")


def messages(root: pathlib.Path, source: str, output: str) -> list[Finding]:
    """The findings in the project's own files. The analyzer does not understand coroutines and blames
    the library's awaitables: what it says about files of others is left out, errors excepted."""
    if not _MESSAGE.search(output):
        return [Finding(source, 0, "clang-tidy failed:\n" + output.strip())]
    findings = set()
    for match in _MESSAGE.finditer(output):
        path = os.path.relpath(os.path.join(root, match["path"]), root)
        if not path.startswith("..") or "[clang-diagnostic-error" in match["text"]:
            findings.add(Finding(path, int(match["line"]), match["text"]))
    return sorted(findings)


def check(root: pathlib.Path, build: pathlib.Path, cache: pathlib.Path, clang_tidy: str, jobs: int,
          wanted: list[str]) -> list[Finding]:
    database = build / "compile_commands.json"
    if not database.is_file():
        return [Finding(str(database), 0, "missing; run ./dev configure dev")]
    version = subprocess.run([clang_tidy, "--version"], check=True, capture_output=True, text=True).stdout
    configuration = read(root / ".clang-tidy")
    memo: dict[pathlib.Path, list[pathlib.Path]] = {}
    work = []
    clean = 0
    cache = cache / "tidy"
    cache.mkdir(parents=True, exist_ok=True)
    for entry in json.loads(database.read_text()):
        source = pathlib.Path(os.path.normpath(os.path.join(entry["directory"], entry["file"])))
        name = os.path.relpath(source, root)
        if not relevant(name, wanted) or not source.is_file():
            continue
        command = entry.get("command") or shlex.join(entry["arguments"])
        command = shlex.join(without_launcher(shlex.split(command))).replace(str(root), "")
        contents = [(os.path.relpath(path, root), read(path)) for path in reached(root, source, memo)]
        mark = cache / key_of(version, configuration, command, contents)
        if mark.exists():
            mark.touch()
            clean += 1
        else:
            work.append((name, source, mark))
    print(f"{clean} files unchanged since they were clean, {len(work)} to look at", flush=True)
    findings: set[Finding] = set()
    with concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        futures = {pool.submit(run_one, clang_tidy, build, source): (name, mark) for name, source, mark in work}
        for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
            name, mark = futures[future]
            good, output = future.result()
            found = [] if good else messages(root, name, output)
            print(f"[{number}/{len(work)}] {name}: {len(found) or 'clean'}", flush=True)
            findings.update(found)
            if not found:
                mark.touch()
    forget_old(cache)
    sys.stdout.flush()
    return sorted(findings)


def forget_old(cache: pathlib.Path, keep: int = 5000) -> None:
    marks = sorted(cache.iterdir(), key=lambda mark: mark.stat().st_mtime, reverse=True)
    for mark in marks[keep:]:
        mark.unlink(missing_ok=True)
