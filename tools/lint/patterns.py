"""What the style guide forbids, each with its reason, as text patterns.

A pattern cannot see everything, so a rule may have exceptions: tools/lint/allow/<rule>.txt lists
them, one `path: reason` a line. An entry that no longer excuses anything is itself a finding, so the
lists only shrink.
"""

import collections.abc
import dataclasses
import pathlib
import re

from source import CPP, Finding, code_only, line_of, project_files, read

LINES_NOTED = 800  # a sign to look again
LINES_MAX = 1200   # too many, whatever the reason

TEXT = CPP + (".md", ".txt", ".cmake", ".sh", ".py", ".json", ".yaml", ".yml", ".toml", ".js", ".ts", ".html", ".css")
TEXT_NAMES = ("dev", "CMakeLists.txt", ".ci/run")


@dataclasses.dataclass(frozen=True)
class Rule:
    name: str
    pattern: str
    reason: str
    where: tuple[str, ...] = ("src/", "include/")  # path prefixes
    endings: tuple[str, ...] = CPP
    except_in: tuple[str, ...] = ()                # path prefixes where it is in its place
    tests: bool = True                             # whether tests must keep it, too
    comments: bool = False                         # whether comments and literals count
    unless: str = r"(?!)"                          # a line that matches this, too, is in order


RULES = (
    Rule("output", r"std::(cout|cerr|clog)\b|(?<![\w:.])(?:std::)?(f?printf|f?puts|putchar|vf?printf)\s*\(|\bfmt::print\w*\s*\(",
         "only the command line speaks to a terminal; everything else logs, where content is kept out",
         except_in=("src/cli/", "src/main.cpp"), tests=False),
    Rule("using-namespace", r"\busing\s+namespace\s+(?![\w:]*literals\b)[\w:]+",
         "a header must not change what names mean in the files that include it", endings=(".hpp", ".h")),
    Rule("detached", r"\b(asio::)?detached\b|\.detach\s*\(\s*\)",
         "no detached work: spawn it in a TaskGroup, which refuses new work and waits for the old",
         except_in=("src/async/task_group", "src/async/runtime")),
    Rule("raw-new", r"(?<![\w.>])new\s+(?:\([^)]*\)\s*)?[A-Za-z_:]|(?<!operator )\bdelete\s*(?:\[\s*\])?\s*[A-Za-z_(*:]",
         "ownership is a type: std::make_unique, a container or a handle class",
         unless=r"\bunique_ptr<.*[({]\s*new\b"),  # private constructors: make_unique cannot reach them
    Rule("getenv", r"\b(?:secure_)?getenv\s*\(",
         "the environment is read once, by the command line, and passed on as settings",
         except_in=("src/cli/", "src/main.cpp"), tests=False),
    Rule("mutable-static",
         r"^[ \t]*(?:inline[ \t]+)?(?:static|thread_local)(?:[ \t]+(?:static|thread_local|inline))*[ \t]+"
         r"(?!const\b|constexpr\b|constinit const\b|consteval\b|inline const|assert)(?:[\w:&*]|<[^;(){}]*>|[ \t])+?"
         r"[ \t&*]\w+[ \t]*(?:=|\{|;)",
         "no singletons and no hidden state: main builds what there is and passes it on"),
    Rule("assert", r"(?<![\w])assert\s*\(",
         "it vanishes from release builds; return an Error, or make the wrong state impossible to write"),
    Rule("catch-all", r"\bcatch\s*\(\s*\.\.\.\s*\)",
         "a catch-all hides bugs; catch what a third party documents, at its edge"),
    Rule("swallow", r"\bcatch\s*\([^)]*\)\s*\{\s*\}",
         "an error that nobody sees; turn it into a Result, or let it end the process"),
    Rule("sleep", r"\b(?:std::this_thread::sleep_(?:for|until)|(?<![\w.])u?sleep|nanosleep)\s*\(",
         "it stops every request of its shard; await a timer with a Deadline", tests=False),
    Rule("c-strings", r"(?<![\w.:>])(?:std::)?(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|strncpy|alloca)\s*\(",
         "no length, no error; use string_view, fmt::format_to_n, std::from_chars"),
    Rule("c-random", r"(?<![\w.:>])(?:std::)?s?rand\s*\(",
         "randomness is injected: crypto's for keys, a seeded engine for tests"),
    Rule("std-regex", r"\bstd::(?:basic_)?regex\b",
         "it recurses with the input's length and overflows the stack on foreign text"),
    Rule("unfinished", r"\b(TODO|FIXME|XXX)\b",
         "unfinished work belongs in the tracker; a comment says what is",
         where=("",), endings=TEXT, except_in=("tools/lint/",), comments=True),
    Rule("machines", r"(?<![\w./-])/(?:work|root|home/[a-z]\w*)/[\w.-]",
         "a path of somebody's machine; write ~, a relative path or a variable",
         where=("",), endings=TEXT, except_in=("tools/lint/",), comments=True),
    Rule("issue-numbers", r"(?<![\w/])[Ii]ssues? (?:no\. ?)?#?\d+\b|(?<![\w&/#])#\d{1,5}\b(?![\w-])",
         "a number of some tracker means nothing to a reader of the tree; write the reason itself",
         where=("src/", "include/", "tests/", "cmake/", "docs/", "README.md", "CONTRIBUTING.md", "SECURITY.md", "dev", "tools/dev/"),
         endings=CPP + (".md", ".cmake", ".txt", ".sh", ".py", "dev"), comments=True),
    Rule("lock-hosts", r'"resolved":\s*"(?!https://registry\.npmjs\.org/)',
         "lock files name the public registry, so that they work for everyone; npm replaces it by the configured one",
         where=("",), endings=("package-lock.json",), comments=True),
)


def is_test(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.endswith(("_test.cpp", "_testing.hpp", "_testing.cpp", "_bench.cpp"))


def applies(rule: Rule, path: str) -> bool:
    if not path.startswith(rule.where) or path.startswith(rule.except_in or ("\0",)):
        return False
    if not path.endswith(rule.endings) and not (rule.endings is TEXT and path in TEXT_NAMES):
        return False
    return rule.tests or not is_test(path)


def scan(rule: Rule, path: str, text: str) -> list[Finding]:
    """What one rule finds in one file, allowed or not."""
    if rule.endings is CPP or set(rule.endings) <= set(CPP):
        text = code_only(text, keep_comments=rule.comments, keep_strings=rule.comments)
    lines = text.split("\n")
    findings = []
    for match in re.finditer(rule.pattern, text, re.MULTILINE):
        line = line_of(text, match.end() - len(match.group(0).lstrip()))
        if not re.search(rule.unless, lines[line - 1]):
            findings.append(Finding(path, line, f"{rule.name}: `{' '.join(match.group(0).split())}`: {rule.reason}"))
    return findings


def form(path: str, text: str) -> list[Finding]:
    """Rules about a file as a whole."""
    findings = []
    lines = text.count("\n")
    if path.endswith(CPP) and lines > LINES_MAX:
        findings.append(Finding(path, 0, f"file-length: {lines} lines, at most {LINES_MAX}: more than one thing lives here"))
    if path.endswith((".hpp", ".h")) and path.startswith(("src/", "include/")) and "#pragma once" not in text:
        findings.append(Finding(path, 1, "pragma-once: a header starts with #pragma once"))
    if "\r" in text:
        findings.append(Finding(path, 1, "line-endings: use LF"))
    if text and not text.endswith("\n"):
        findings.append(Finding(path, lines + 1, "final-newline: the last line is not ended"))
    if not path.endswith(".md"):  # two trailing spaces mean something there
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip(" \t"):
                findings.append(Finding(path, number, "trailing-space"))
    return findings


def parse_allowed(text: str) -> dict[str, str]:
    """`path: reason` lines; # starts a comment."""
    allowed = {}
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            path, _, reason = line.partition(":")
            allowed[path.strip()] = reason.strip()
    return allowed


def sift(rule_name: str, findings: list[Finding], allowed: dict[str, str],
         list_path: str) -> list[Finding]:
    """Drops what is allowed; adds entries without reason and those that excuse nothing any more."""
    result = [finding for finding in findings if finding.path not in allowed]
    hit = {finding.path for finding in findings}
    for path, reason in allowed.items():
        if not reason:
            result.append(Finding(list_path, 0, f"'{path}' is allowed to break '{rule_name}' without a reason"))
        if path not in hit:
            result.append(Finding(list_path, 0, f"'{path}' no longer breaks '{rule_name}': remove its entry"))
    return result


def notes(files: collections.abc.Mapping[str, str]) -> list[str]:
    return [f"note: {path} has {text.count(chr(10))} lines; above {LINES_NOTED} look again whether it is one thing"
            for path, text in files.items() if path.endswith(CPP) and LINES_NOTED < text.count("\n") <= LINES_MAX]


def check(root: pathlib.Path) -> list[Finding]:
    files = {name: read(root / name) for name in project_files(root)
             if (name.endswith(TEXT) or name in TEXT_NAMES) and not name.startswith(("tests/vectors/data/", "tests/vectors/evidence/files/", "tests/vectors/damaged/", "fuzz/corpus/"))}
    allow_folder = root / "tools/lint/allow"
    findings: list[Finding] = []
    for rule in RULES:
        raised = [finding for path, text in files.items() if applies(rule, path) for finding in scan(rule, path, text)]
        list_file = allow_folder / f"{rule.name}.txt"
        allowed = parse_allowed(list_file.read_text()) if list_file.is_file() else {}
        findings += sift(rule.name, raised, allowed, f"tools/lint/allow/{rule.name}.txt")
    for list_file in sorted(allow_folder.glob("*.txt")) if allow_folder.is_dir() else ():
        if list_file.stem not in {rule.name for rule in RULES}:
            findings.append(Finding(f"tools/lint/allow/{list_file.name}", 0, "belongs to no rule"))
    for path, text in files.items():
        findings += form(path, text)
    for note in notes(files):
        print(note)
    return sorted(findings)
