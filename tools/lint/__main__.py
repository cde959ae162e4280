"""The project's own lint. `./dev lint` runs it; by hand: python3 tools/lint COMMAND.

  layers    every include against the edges declared in CMake, and the shape of a module
  patterns  what the style guide forbids, each with its reason (see patterns.py)
  tidy      clang-tidy, with results cached by content
"""

import argparse
import pathlib
import sys

import layers
import patterns
import tidy

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/lint", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("layers")
    command.add_argument("--layers", type=pathlib.Path, required=True, help="layers.json as CMake wrote it")
    command.set_defaults(run=lambda given: layers.check(ROOT, given.layers))

    command = commands.add_parser("patterns")
    command.set_defaults(run=lambda given: patterns.check(ROOT))

    command = commands.add_parser("tidy")
    command.add_argument("--build", type=pathlib.Path, required=True, help="folder of compile_commands.json")
    command.add_argument("--cache", type=pathlib.Path, required=True)
    command.add_argument("--clang-tidy", default="clang-tidy")
    command.add_argument("--jobs", type=int, default=0, help="0: one per core")
    command.add_argument("files", nargs="*", help="only sources whose path contains one of these")
    command.set_defaults(run=lambda given: tidy.check(ROOT, given.build, given.cache, given.clang_tidy,
                                                      given.jobs, given.files))

    given = parser.parse_args()
    findings = given.run(given)
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} finding(s)")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
