#!/usr/bin/env python3
"""Writes data/ and damaged/ anew: a few tests of each published file, small enough to live here.

Usage: trim.py FIXTURES/crypto    (FIXTURES/ohttp, bhttp and ehbp are taken as they are)

Each test kept is unchanged; of every flag and verdict one or two stay. damaged/ holds one test of each
kind with one hexadecimal digit changed, or its verdict turned round: the runner must refuse them all.
"""

import copy
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
TESTS_MAX = 12  # a file
# Small enough to be kept whole; and which of their fields is damaged.
WHOLE_FILES = {"ohttp/rfc9458_example.json": "encapsulated_response", "ohttp/chunked_ohttp_example.json": "encapsulated_request",
               "bhttp/rfc9292_examples.json": "bhttp", "ehbp/derive.json": "derivedKey", "ehbp/response-decryption.json": "encryptedResponse"}
LARGE = {"mlkem_768": 3, "rsa_pss_4096": 6, "rsa_signature": 8, "mlkem_768_semi": 3}


def write(folder: str, name: str, value: object) -> None:
    (HERE / folder).mkdir(exist_ok=True)
    (HERE / folder / name).write_text(json.dumps(value, indent=1) + "\n")


def trim_wycheproof(name: str, file: dict) -> dict:
    limit = next((n for prefix, n in LARGE.items() if name.startswith(prefix)), TESTS_MAX)
    kept, seen, count = [], set(), 0
    for group in file["testGroups"]:
        if str(group.get("keySize")) == "192" or group.get("ivSize") not in (None, 96):
            continue
        tests = []
        for test in group["tests"]:
            key = (test["result"], *test["flags"])
            if key in seen or count >= limit:
                continue
            seen.add(key)
            count += 1
            tests.append(test)
        if tests:
            kept.append({**{k: v for k, v in group.items() if k not in ("publicKeyJwk", "keyJwk", "source")}, "tests": tests})
    source = "Selected by trim.py from C2SP/wycheproof, Apache-2.0."
    return {"algorithm": file["algorithm"], "header": [source], "testGroups": kept}


def trim_hpke(vectors: list) -> list:
    suites = {(0x20, 1, 1), (0x10, 1, 1), (0x41, 1, 1), (0x647A, 1, 3), (0x647A, 17, 3), (0x20, 1, 0xFFFF)}
    kept = []
    for vector in vectors:
        if (vector["kem_id"], vector["kdf_id"], vector["aead_id"]) in suites:
            vector = {k: v for k, v in vector.items() if k not in ("key_schedule_context", "secret", "suite_id")}
            vector["encryptions"] = vector["encryptions"][:2] + [e for e in vector["encryptions"] if e.get("seq") == 256]
            vector["exports"] = vector["exports"][:2]
            kept.append(vector)
    return kept


def other_digit(text: str) -> str:
    middle = len(text) // 2
    return text[:middle] + ("0" if text[middle] != "0" else "1") + text[middle + 1:]


def damage_wycheproof(name: str, file: dict) -> dict:
    file = copy.deepcopy(file)
    group = next(g for g in file["testGroups"] if any(t["result"] == "valid" for t in g["tests"]))
    test = next(t for t in group["tests"] if t["result"] == "valid")
    group["tests"] = [test]
    file["testGroups"] = [group]
    field = next((f for f in ("okm", "shared", "K", "tag", "sig") if test.get(f)), None)
    if field == "K" and "encaps" not in name:
        field = "c"
    test[field] = other_digit(test[field])
    return file


def main(folder: pathlib.Path) -> None:
    for path in sorted((folder / "wycheproof").glob("*.json")):
        small = trim_wycheproof(path.name, json.loads(path.read_text()))
        write("data", path.name, small)
        write("damaged", path.name, damage_wycheproof(path.name, small))
    for path in sorted((folder / "hpke").glob("*.json")):
        small = trim_hpke(json.loads(path.read_text()))
        write("data", path.name, small)
        bad = copy.deepcopy(small[:1])
        bad[0]["exports"][1]["exported_value"] = other_digit(bad[0]["exports"][1]["exported_value"])
        write("damaged", path.name, bad)
    (path,) = (folder / "xwing").glob("*.json")
    vector = json.loads(path.read_text())[0]
    write("data", path.name, [vector])
    write("damaged", path.name, [{**vector, "ss": other_digit(vector["ss"])}])

    for origin, field in WHOLE_FILES.items():
        path = folder.parent / origin
        name = "ehbp_" + path.name if origin.startswith("ehbp/") else path.name
        (HERE / "data" / name).write_bytes(path.read_bytes())
        value = json.loads(path.read_text())
        one = value[0] if isinstance(value, list) else value
        one = {**one, field: other_digit(one[field])}
        write("damaged", name, [one] if isinstance(value, list) else one)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
