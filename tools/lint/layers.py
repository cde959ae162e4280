"""Checks every #include against the edges declared in CMake, and the shape of each module.

CMake writes layers.json (see cmake/TacitModule.cmake):

  {"modules": [{"name": "http", "layer": 2, "depends": ["core", "async"], "third_party": ["beast"]}],
   "third_party": {"beast": ["boost/beast"]}}

Rules, each with its reason:
  * a module includes only itself and what it declares     - the picture in the docs stays true
  * a module declares only lower layers                     - no cycles, every part testable alone
  * a third party's headers only where it is declared       - it can be replaced in one place
  * a module's folder has CMakeLists.txt and README.md      - a stranger finds the way
  * headers speak in namespace tacit::<module>              - a name tells where it lives
"""

import json
import pathlib
import re

from source import CPP, Finding, code_only, includes, line_of, project_files, read

# The lowest layer is everyone's vocabulary: it lives in `tacit` itself.
BARE_NAMESPACE_MODULES = {"core"}
# Headers of other modules that add to that vocabulary, and nothing else: Async<T>.
VOCABULARY_HEADERS = {"src/async/async.hpp"}
# Where a library asks for specialisations in its own namespace.
FOREIGN_NAMESPACES = {"std", "fmt", "boost", "testing"}

_NAMESPACE = re.compile(r"^[ \t]*(?:inline[ \t]+)?namespace[ \t]+([A-Za-z_][\w:]*)[ \t\n]*\{", re.MULTILINE)


def check(root: pathlib.Path, description: pathlib.Path) -> list[Finding]:
    if not description.is_file():
        return [Finding(str(description), 0, "missing; run ./dev configure dev")]
    declared = json.loads(description.read_text())
    files = {name: read(root / name) for name in project_files(root)
             if name.startswith("src/") and name.endswith(CPP)}
    folders = {path.name for path in (root / "src").iterdir() if path.is_dir()}
    present = {module: {name for name in ("CMakeLists.txt", "README.md") if (root / "src" / module / name).is_file()}
               for module in folders}
    return sorted(check_declarations(declared) + check_folders(declared, folders, present) +
                  check_includes(declared, files) + check_namespaces(declared, files))


def check_declarations(declared: dict) -> list[Finding]:
    findings = []
    layer = {module["name"]: module["layer"] for module in declared["modules"]}
    for module in declared["modules"]:
        where = f"src/{module['name']}/CMakeLists.txt"
        for dependency in module["depends"]:
            if dependency not in layer:
                findings.append(Finding(where, 0, f"depends on '{dependency}', which is no module"))
            elif layer[dependency] >= module["layer"]:
                findings.append(Finding(where, 0, f"layer {module['layer']} may not depend on {dependency} "
                                                  f"(layer {layer[dependency]}): edges go strictly downwards"))
        for third in module["third_party"]:
            if third not in declared["third_party"]:
                findings.append(Finding(where, 0, f"third party '{third}' is not declared in cmake/"))
    return findings


def check_folders(declared: dict, folders: set[str], present: dict[str, set[str]]) -> list[Finding]:
    findings = []
    names = {module["name"] for module in declared["modules"]}
    for folder in sorted(folders - names):
        findings.append(Finding(f"src/{folder}", 0, "is not a module: one folder = one tacit_module()"))
    for name in sorted(names):
        for file in ("CMakeLists.txt", "README.md"):
            if file not in present.get(name, set()):
                findings.append(Finding(f"src/{name}/{file}", 0, "missing: every module has one"))
    return findings


def _module_of(path: str) -> str | None:
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else None  # src/main.cpp belongs to no module


def check_includes(declared: dict, files: dict[str, str]) -> list[Finding]:
    modules = {module["name"]: module for module in declared["modules"]}
    # Longest prefix first, so that "boost/beast" is not taken for "boost".
    owners = sorted(((prefix, third) for third, prefixes in declared["third_party"].items() for prefix in prefixes),
                    key=lambda owner: -len(owner[0]))
    findings = []
    for path, text in files.items():
        module = _module_of(path)
        if module is None or module not in modules:
            continue
        allowed = {module, *modules[module]["depends"]}
        test_only = path.endswith("_test.cpp") or path.endswith("_testing.hpp")
        for include in includes(text):
            other = include.path.split("/")[0]
            if include.quoted and other in modules and "/" in include.path:
                if other not in allowed:
                    findings.append(Finding(path, include.line, _edge_text(modules, module, other, include.path)))
                continue
            if include.quoted and f"src/{include.path}" not in files and (
                    str(pathlib.PurePosixPath(path).parent / include.path) in files):
                findings.append(Finding(path, include.line,
                                        f'"{include.path}": write the module, too: "{module}/{include.path}"'))
                continue
            for prefix, third in owners:
                if not include.path.startswith(prefix):
                    continue
                if third not in _third_parties(modules, module) and not (test_only and third in ("gtest", "benchmark")):
                    findings.append(Finding(path, include.line, f"<{include.path}> belongs to third party '{third}', "
                                                                f"which module '{module}' does not declare"))
                break
    return findings


def _third_parties(modules: dict, module: str) -> set[str]:
    """What a module declares, and Asio where it declares `async`: Asio is the one public third party."""
    own = set(modules[module]["third_party"])
    for dependency in modules[module]["depends"]:
        if dependency in modules:
            own |= set(modules[dependency]["third_party"]) & {"asio", "fmt"}
    return own


def _edge_text(modules: dict, module: str, other: str, path: str) -> str:
    if modules[other]["layer"] >= modules[module]["layer"]:
        return (f'"{path}": {module} (layer {modules[module]["layer"]}) may not see {other} '
                f'(layer {modules[other]["layer"]}): edges go strictly downwards')
    return f'"{path}": {module} does not declare {other} (DEPENDS in src/{module}/CMakeLists.txt)'


def check_namespaces(declared: dict, files: dict[str, str]) -> list[Finding]:
    names = {module["name"] for module in declared["modules"]}
    findings = []
    for path, text in files.items():
        module = _module_of(path)
        if module not in names or not path.endswith(".hpp"):
            continue
        bare = module in BARE_NAMESPACE_MODULES or path in VOCABULARY_HEADERS
        wanted = "tacit" if bare else f"tacit::{module}"
        code = code_only(text)
        opened = [(match.group(1), line_of(code, match.start(1))) for match in _NAMESPACE.finditer(code)]
        own = [name for name, _ in opened if name == wanted or name.startswith(wanted + "::")]
        if not own:
            findings.append(Finding(path, 1, f"has nothing in namespace {wanted}"))
        for name, line in opened:
            first = name.split("::")[0]
            if first == "tacit" and not (name == wanted or name.startswith(wanted + "::")):
                if not _only_forward_declares(code, name, line):
                    findings.append(Finding(path, line, f"opens {name}; headers of this module speak in {wanted}"))
            elif first != "tacit" and first not in FOREIGN_NAMESPACES and code.splitlines()[line - 1][:1] != " ":
                if not own:
                    findings.append(Finding(path, line, f"opens {name}; headers of this module speak in {wanted}"))
    return findings


def _only_forward_declares(code: str, name: str, line: int) -> bool:
    """Whether the namespace opened on that line holds declarations like `class Engine;` alone."""
    start = sum(len(text) + 1 for text in code.splitlines()[:line - 1])
    opening = code.index("{", start)
    depth, position = 0, opening
    for position in range(opening, len(code)):
        depth += {"{": 1, "}": -1}.get(code[position], 0)
        if depth == 0:
            break
    inside = code[opening + 1:position]
    return all(re.fullmatch(r"(enum\s+)?(class|struct)\s+\w+(\s*:\s*[\w:]+)?", part.strip()) for part in inside.split(";")
               if part.strip())
