#!/usr/bin/env python3
"""Asks `tacit verify evidence` about real evidence and compares its verdicts with cases.json.

    run.py TACIT [--fixtures]

Exit 0 when every case that could run passed, 1 when one failed, 77 when the fixtures are absent.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EXIT_OF = {"accept": 0, "reject": 1, "cannot tell": 3}
KINDS = ("intel-tdx", "intel-sgx", "amd-sev-snp", "nvidia", "tpm", "aws-nitro")


def fixtures():
    given = os.environ.get("TACIT_FIXTURES")
    return pathlib.Path(given) if given else HERE.parents[3] / "shared" / "fixtures"


def find(name, with_fixtures):
    """The path of `name`, or None when it is not there. Folders are of the fixtures only."""
    own = HERE / "files" / name
    if own.is_file():
        return own
    other = fixtures() / name
    return other if with_fixtures and other.exists() else None


def ask(tacit, case, paths):
    command = [tacit, "verify", "evidence", "--json", "--at", case["at"]]
    for option in ("policy", "nonce", "report_data"):
        if option in case:
            command += ["--" + option.replace("_", "-"), case[option]]
    for name in case["collateral"]:
        command += ["--collateral", str(paths[name])]
    command += [str(paths[name]) for name in case["evidence"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if not done.stdout.startswith("{"):
        raise ValueError(done.stderr.strip())
    return done.returncode, json.loads(done.stdout)


def problems_of(case, code, answer):
    rules = [one["rule"] for one in answer["reasons"]]
    warnings, claims = [], {}
    for piece in answer["evidence"]:
        rules += [one["rule"] for one in piece["reasons"]]
        warnings += [one["id"] for one in piece["warnings"]]
        for claim in piece["claims"]:
            claims.setdefault(claim["name"], claim["value"])
    found = []
    if answer["verdict"] != case["verdict"] or code != EXIT_OF[case["verdict"]]:
        found.append(f"verdict {answer['verdict']!r} (exit {code}), not {case['verdict']!r}; rules {rules}")
    found += [f"no rule {rule!r}" for rule in case.get("rules", []) if rule not in rules]
    found += [f"no warning {one!r}" for one in case.get("warnings", []) if one not in warnings]
    for name, value in case.get("claims", {}).items():
        if name not in claims or value not in ("*", claims[name]):
            found.append(f"claim {name!r} is {claims.get(name)!r}, not {value!r}")
    return found


def uncovered(cases):
    used = {name for case in cases for name in case["evidence"] + case["collateral"]}
    for kind in KINDS:
        for path in sorted((fixtures() / kind).rglob("*")):
            name = path.relative_to(fixtures()).as_posix()
            if path.is_file() and path.name != "README.md" and name not in used:
                yield name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tacit")
    parser.add_argument("--fixtures", action="store_true")
    options = parser.parse_args()
    if options.fixtures and not (fixtures() / "intel-tdx").is_dir():
        print("SKIPPED: fixtures not found; set TACIT_FIXTURES")
        return 77
    cases = json.loads((HERE / "cases.json").read_text())["cases"]
    failed = skipped = 0
    for case in cases:
        paths = {n: find(n, options.fixtures) for n in case["evidence"] + case["collateral"]}
        if None in paths.values():
            skipped += 1
            continue
        found = problems_of(case, *ask(options.tacit, case, paths))
        failed += bool(found)
        for problem in found:
            print(f"FAILED {case['name']}: {problem}")
    missed = list(uncovered(cases)) if options.fixtures else []
    for name in missed:
        print(f"FAILED {name} is in no case")
    ran = len(cases) - skipped
    print(f"verdicts: {ran - failed} right, {failed} wrong, {skipped} skipped (files not here)")
    return 1 if failed or missed or ran == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
