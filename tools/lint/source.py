"""Reading the tree: which files are the project's, and C++ without its comments and strings."""

import dataclasses
import functools
import pathlib
import re
import subprocess

CPP = (".cpp", ".hpp", ".h")


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One thing to mend. Prints as `path:line: text`, so that editors can jump to it."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.text}"


def project_files(root: pathlib.Path) -> list[str]:
    """Tracked files and new ones that git does not ignore, as paths from the root."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True).stdout
    names = {name for name in listing.decode().split("\0") if name}
    return sorted(name for name in names if (root / name).is_file())


def cpp_files(root: pathlib.Path, *, under: tuple[str, ...] = ("src/", "include/")) -> list[str]:
    return [name for name in project_files(root) if name.endswith(CPP) and name.startswith(under)]


_TOKEN = re.compile(
    r"""
      //[^\n]*                                   # line comment
    | /\*.*?\*/                                  # block comment
    | (?:u8|[uUL])?R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"   # raw string
    | "(?:\\.|[^"\\\n])*"                        # string
    | (?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'       # character; not a digit separator
    """,
    re.VERBOSE | re.DOTALL)


def _blank(match: re.Match[str], keep_strings: bool, keep_comments: bool) -> str:
    text = match.group(0)
    comment = text.startswith("/")
    if comment and keep_comments or not comment and keep_strings:
        return text
    blank = re.sub(r"[^\n]", " ", text)
    if not comment:
        blank = '"' + blank[1:-1] + '"' if len(blank) >= 2 else blank
    return blank


def code_only(text: str, *, keep_strings: bool = False, keep_comments: bool = False) -> str:
    """C++ with comments and the insides of literals blanked; every position stays the same."""
    return _TOKEN.sub(lambda match: _blank(match, keep_strings, keep_comments), text)


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Include:
    line: int
    path: str
    quoted: bool


def includes(text: str) -> list[Include]:
    """The #include lines of a file, those in comments left out."""
    visible = code_only(text, keep_strings=True)
    return [Include(visible.count("\n", 0, match.start(1)) + 1, match.group(2), match.group(1) == '"')
            for match in _INCLUDE.finditer(visible)]


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


@functools.lru_cache(maxsize=None)
def read(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
