"""A server that a TPM vouches for, a client that decides, and somebody in between who cheats.

The TPM is swtpm: real quotes by a key of its own, certified by the authority of its maker. What a TPM cannot
show (debug flags, CPU generations, GPUs) is recorded evidence of real machines, behind a folder that answers
as Linux's configfs-tsm does. Refused means: the rule is named, and no sealed request has left."""

import hashlib
import http.server
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import threading

import httpx
import pytest

import harness
from harness import BIN, MODEL, Server, clean_environment, eventually, patience, running, tacit, weights_file
from software_tpm import Maker, SoftwareTpm, need_swtpm, start_tpm

EVIDENCE = "/.well-known/tacit/evidence"
FIXTURES = pathlib.Path(os.environ.get("TACIT_FIXTURES") or pathlib.Path(__file__).parents[3] / "shared" / "fixtures")


# --- evidence documents, as docs/spec/evidence.md has them ------------------------------------


def split(document: bytes) -> tuple[bytes, bytes]:
    """The signed part, and the bundle."""
    at = 4
    for skip in (0, 40, 0):  # statement, nonce and time, then two signatures
        at += skip
        if skip:
            continue
        (size,) = struct.unpack_from(">H", document, at)
        at += 2 + size
        if at > 4 + 2 + size:
            (size,) = struct.unpack_from(">H", document, at)
            at += 2 + size
    (size,) = struct.unpack_from(">I", document, at)
    assert at + 4 + size == len(document)
    return document[:at], document[at + 4:]


def join(signed: bytes, bundle: bytes) -> bytes:
    return signed + struct.pack(">I", len(bundle)) + bundle


def items_of(bundle: bytes) -> list[tuple[int, bytes]]:
    (count,) = struct.unpack_from(">H", bundle, 1)
    at, items = 3, []
    for _ in range(count):
        kind, size = struct.unpack_from(">BI", bundle, at)
        items.append((kind, bundle[at + 5:at + 5 + size]))
        at += 5 + size
    assert at == len(bundle)
    return items


def bundle_of(items: list[tuple[int, bytes]]) -> bytes:
    return struct.pack(">BH", 1, len(items)) + b"".join(struct.pack(">BI", k, len(b)) + b for k, b in sorted(items, key=lambda i: i[0]))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def report_data(nonce: bytes, document: bytes) -> bytes:
    """Section 3 of the specification, written from it alone."""
    signed, bundle = split(document)
    (size,) = struct.unpack_from(">H", signed, 4)
    statement = signed[6:6 + size]

    def listed(kind: int) -> bytes:
        return sha256(b"".join(struct.pack(">I", len(b)) + b for k, b in items_of(bundle) if k == kind))
    policy = b"".join(b for k, b in items_of(bundle) if k == 5)
    return sha256(b"tacit report data v1\0" + nonce + sha256(statement) + listed(2) + sha256(policy) + listed(6))


# --- somebody in between ----------------------------------------------------------------------


class Middle:
    """Carries everything to the server, evidence through `change`, and counts what else came by."""

    def __init__(self, upstream: str):
        self.upstream = upstream
        self.change = lambda nonce: self.fetch(nonce)
        self.sealed = 0
        self.asked = 0  # for evidence
        middle = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                assert self.path.startswith(EVIDENCE + "?nonce="), self.path
                middle.asked += 1
                self.answer(200, "application/tacit-evidence", middle.change(self.path.rpartition("=")[2]))

            def do_POST(self):
                middle.sealed += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                with httpx.Client(trust_env=False, timeout=patience(60)) as client:
                    got = client.post(middle.upstream + self.path, content=body,
                                      headers={"content-type": self.headers["content-type"], "incremental": "?1"})
                self.answer(got.status_code, got.headers["content-type"], got.content)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def fetch(self, nonce: str, upstream: str = "") -> bytes:
        with httpx.Client(trust_env=False, timeout=patience(30)) as client:
            got = client.get(f"{upstream or self.upstream}{EVIDENCE}?nonce={nonce}")
        assert got.status_code == 200, got.text
        return got.content

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def check(url: str, folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    home = pathlib.Path(tempfile.mkdtemp(prefix="client-", dir=folder))
    return tacit("connect", url, "--check", *arguments, home=home)


def refused(done: subprocess.CompletedProcess, rule: str) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert f'rule "{rule}"' in done.stderr, done.stderr
    assert "Nothing was sent" in done.stderr
    return done.stderr


# --- the attested server ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("attestation")


@pytest.fixture(scope="module")
def tpm(folder: pathlib.Path):
    need_swtpm()
    (folder / "maker").mkdir()
    software = start_tpm(folder / "tpm", Maker(folder / "maker"))
    software.measure(folder / "boot.log", (4, 9), b"boot loader and kernel")
    yield software
    software.kill()


PCR = hashlib.sha256(bytes(32) + hashlib.sha256(b"boot loader and kernel").digest()).hexdigest()


@pytest.fixture(scope="module")
def attested(tpm: SoftwareTpm, folder: pathlib.Path, models: pathlib.Path):
    home = harness.make_home(folder, models)
    promise = folder / "promise.txt"
    promise.write_text("No content is kept.\n")
    with running(home, *tpm.serve, "--attest-policy", str(promise), "--sealed-key-life", "20",
                 "--tpm-event-log", str(folder / "boot.log")) as server:
        if server.tunnel is not None:  # this suite is about the server itself
            pytest.skip("SKIPPED: this suite has its own tunnels")
        yield server


def policy_file(tpm: SoftwareTpm, name: str, *, top: str = "", pcr4: str = PCR, more: str = "") -> str:
    path = tpm.folder / f"{name}.toml"
    path.write_text(f'{top}\nrequired = ["tpm"]\n[tpm]\nroots = ["""\n{tpm.maker.root_pem}"""]\n'
                    f'[tpm.values]\npcr4 = ["{pcr4}"]\npcr9 = ["{PCR}"]\n{more}\n')
    return str(path)


@pytest.fixture
def policy(tpm: SoftwareTpm) -> str:
    return policy_file(tpm, "right", top="require_measurements = true\nrequire_nonce = true")


@pytest.fixture
def middle(attested: Server):
    between = Middle(attested.url)
    yield between
    between.stop()


class Tunnel:
    """`tacit connect`, listening."""

    def __init__(self, url: str, folder: pathlib.Path, *arguments: str):
        self.said = pathlib.Path(tempfile.mkstemp(prefix="connect-", dir=folder)[1])
        home = tempfile.mkdtemp(prefix="client-", dir=folder)
        with open(self.said, "wb") as log:
            self.process = subprocess.Popen([BIN, "connect", url, "--port", "0", *arguments], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=clean_environment(home))
        self.url = eventually("tacit connect listens", self.listening, 20)

    def text(self) -> str:
        return self.said.read_text(errors="replace")

    def listening(self) -> str:
        match = re.search(r"^Listening +(http://[0-9.:]+)", self.text(), re.MULTILINE)
        assert match or self.process.poll() is None, self.text()
        return match.group(1) if match else ""

    def chat(self, key: str) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=patience(60)) as client:
            return client.post(self.url + "/v1/chat/completions", headers={"authorization": f"Bearer {key}"},
                               json={"model": MODEL, "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


# --- the right one ----------------------------------------------------------------------------


def test_the_right_server_is_accepted_and_answers(middle: Middle, attested: Server, folder: pathlib.Path, policy: str) -> None:
    with Tunnel(middle.url, folder, "--policy", policy) as tunnel:
        said = tunnel.text()
        assert "TPM 2.0: accepted by policy" in said and f"pcr4 {PCR}" in said and MODEL in said, said
        answer = tunnel.chat(attested.key)
        assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"], answer.text
    assert middle.sealed >= 1


def test_the_hardware_signs_what_the_specification_says(middle: Middle) -> None:
    nonce = os.urandom(32)
    document = middle.fetch(nonce.hex())
    quote = json.loads(dict(items_of(split(document)[1]))[1])
    message = bytes.fromhex(quote["message"])
    (signer,) = struct.unpack_from(">H", message, 6)
    (size,) = struct.unpack_from(">H", message, 8 + signer)
    assert message[10 + signer:10 + signer + size] == report_data(nonce, document)


def test_a_server_that_is_attested_serves_what_it_promised(attested: Server) -> None:
    with attested.http() as http:
        listed = http.get("/v1/models").json()
        assert [model["id"] for model in listed["data"]] == [MODEL]
        other = http.post("/v1/chat/completions", json={"model": "other", "messages": [{"role": "user", "content": "Hi"}]})
    assert other.status_code == 404


# --- each wrong in one way --------------------------------------------------------------------


def test_wrong_measurement(middle: Middle, tpm: SoftwareTpm, folder: pathlib.Path) -> None:
    said = refused(check(middle.url, folder, "--policy", policy_file(tpm, "pcr", pcr4="00" * 32)), "values")
    assert "pcr4 is " + "00" * 32 in said and PCR in said
    assert middle.sealed == 0


def test_stale_nonce(middle: Middle, folder: pathlib.Path, policy: str) -> None:
    middle.change = lambda nonce: middle.fetch("11" * 32)
    said = refused(check(middle.url, folder, "--policy", policy), "nonce")
    assert "11" * 32 in said
    assert middle.sealed == 0


def test_replayed_bundle(middle: Middle, folder: pathlib.Path, policy: str) -> None:
    """A fresh statement and signature, as a thief of the identity key makes them, before old hardware evidence."""
    _, old = split(middle.fetch("22" * 32))
    middle.change = lambda nonce: join(split(middle.fetch(nonce))[0], old)
    refused(check(middle.url, folder, "--policy", policy), "binding")
    assert middle.sealed == 0


def test_swapped_key_configuration(middle: Middle, tpm: SoftwareTpm, folder: pathlib.Path, models: pathlib.Path, policy: str) -> None:
    """Another server's keys and identity, before this one's hardware evidence for the same nonce."""
    other_tpm = start_tpm(folder / "other-tpm", tpm.maker)
    try:
        with running(harness.make_home(folder, models), *other_tpm.serve, model=MODEL) as other:
            middle.change = lambda nonce: join(split(middle.fetch(nonce, other.url))[0], split(middle.fetch(nonce))[1])
            refused(check(middle.url, folder, "--policy", policy), "binding")
            # And what is genuine, of the same maker, but has booted something else.
            middle.change = lambda nonce: middle.fetch(nonce, other.url)
            refused(check(middle.url, folder, "--policy", policy), "values")
    finally:
        other_tpm.kill()
    assert middle.sealed == 0


def test_no_authority_certifies_a_key_under_another_tpms_name(tpm: SoftwareTpm, folder: pathlib.Path) -> None:
    stranger = start_tpm(folder / "stranger-tpm", tpm.maker)
    try:
        assert stranger.is_one() and not stranger.is_one(tpm)
    finally:
        stranger.kill()


def test_bundle_taken_away(middle: Middle, folder: pathlib.Path, policy: str) -> None:
    middle.change = lambda nonce: split(middle.fetch(nonce))[0]
    done = check(middle.url, folder, "--policy", policy)
    assert done.returncode == 1 and "Hardware" not in done.stderr, done.stderr
    assert middle.sealed == 0


def test_no_hardware_where_the_policy_asks_for_it(folder: pathlib.Path, empty_home: pathlib.Path, policy: str) -> None:
    need_swtpm()
    with running(empty_home, model=None) as plain:
        url = plain.url if plain.tunnel is None else pytest.skip("SKIPPED: this suite has its own tunnels")
        refused(check(url, folder, "--policy", policy), "hardware")
        assert check(url, folder).returncode == 0


def test_expired_collateral(tpm: SoftwareTpm, folder: pathlib.Path, models: pathlib.Path, policy: str) -> None:
    second = start_tpm(folder / "expired-tpm", tpm.maker)
    chain = tpm.maker.certify(second.folder / "enrol" / "attestation-key.pem", second.folder / "expired.pem",
                              "-not_before", "20250101000000Z", "-not_after", "20250201000000Z")
    try:
        with running(harness.make_home(folder, models), "--attest", "tpm", "--tpm", second.tcti,
                     "--tpm-certificate", str(chain), model=MODEL) as server:
            between = Middle(server.url)
            refused(check(between.url, folder, "--policy", policy), "tpm-key")
            assert between.sealed == 0
            between.stop()
    finally:
        second.kill()


def test_wrong_model_digest(middle: Middle, tpm: SoftwareTpm, folder: pathlib.Path, weights: pathlib.Path) -> None:
    right = policy_file(tpm, "model", more=f'[endpoint]\nmodels_allowed = ["{weights.name}"]')
    assert check(middle.url, folder, "--policy", right).returncode == 0
    wrong = policy_file(tpm, "other-model", more=f'[endpoint]\nmodels_allowed = ["{"11" * 32}"]')
    said = refused(check(middle.url, folder, "--policy", wrong), "models")
    assert weights.name in said and "11" * 32 in said
    assert middle.sealed == 0


def test_operators_policy(middle: Middle, tpm: SoftwareTpm, folder: pathlib.Path) -> None:
    digest = hashlib.sha256(b"No content is kept.\n").hexdigest()
    right = policy_file(tpm, "promise", more=f'[endpoint]\npolicies = ["{digest}"]')
    assert check(middle.url, folder, "--policy", right).returncode == 0
    # Its text exchanged on the way: another digest, and no longer what the TPM has signed.
    def exchange(nonce: str) -> bytes:
        signed, bundle = split(middle.fetch(nonce))
        return join(signed, bundle_of([(k, b"Everything is kept.\n" if k == 5 else b) for k, b in items_of(bundle)]))
    middle.change = exchange
    said = refused(check(middle.url, folder, "--policy", right), "operator-policy")
    assert 'rule "binding"' in said
    assert middle.sealed == 0


def test_an_event_log_is_believed_only_as_far_as_the_registers_go(middle: Middle, folder: pathlib.Path, policy: str) -> None:
    assert "event-log-unconfirmed" not in check(middle.url, folder, "--policy", policy).stderr

    def other_log(nonce: str) -> bytes:
        signed, bundle = split(middle.fetch(nonce))
        return join(signed, bundle_of([(k, b.replace(b"boot loader", b"root kitten") if k == 4 else b) for k, b in items_of(bundle)]))
    middle.change = other_log  # the data of events, whose digests are measured
    done = check(middle.url, folder, "--policy", policy)
    assert done.returncode == 0, done.stderr

    def false_log(nonce: str) -> bytes:
        signed, bundle = split(middle.fetch(nonce))
        digest = hashlib.sha256(b"boot loader and kernel").digest()
        return join(signed, bundle_of([(k, b.replace(digest, bytes(32)) if k == 4 else b) for k, b in items_of(bundle)]))
    middle.change = false_log
    done = check(middle.url, folder, "--policy", policy)
    assert done.returncode == 0 and "event-log-unconfirmed" in done.stderr, done.stderr


def test_what_was_good_is_given_up_when_the_key_changes(attested: Server, middle: Middle, folder: pathlib.Path, policy: str) -> None:
    with Tunnel(middle.url, folder, "--policy", policy) as tunnel:
        assert tunnel.chat(attested.key).status_code == 200
        middle.change = lambda nonce: middle.fetch("33" * 32)  # from the next appraisal on

        def is_refused() -> bool:
            return tunnel.chat(attested.key).status_code == 403
        eventually("the client refuses", is_refused, 60, every=0.5)
        sealed = middle.sealed
        answer = tunnel.chat(attested.key)
        assert answer.status_code == 403 and 'rule \\"nonce\\"' in answer.text, answer.text
        assert middle.sealed == sealed


def test_evidence_is_asked_for_before_it_is_too_old(attested: Server, middle: Middle, tpm: SoftwareTpm, folder: pathlib.Path) -> None:
    short = policy_file(tpm, "short-lived", top="evidence_age_max_s = 2")
    with Tunnel(middle.url, folder, "--policy", short) as tunnel:
        eventually("it asks again", lambda: middle.asked >= 4, 60)
        assert tunnel.chat(attested.key).status_code == 200


# --- what a TPM cannot show: recorded evidence of real machines -------------------------------


@pytest.fixture
def recorded(folder: pathlib.Path, home: pathlib.Path):
    """Starts a server whose hardware always shows one recorded report."""
    if not (FIXTURES / "amd-sev-snp").exists():
        pytest.skip("SKIPPED: fixtures not found; set TACIT_FIXTURES")
    started = []

    def start(report: str, certificate: str) -> Middle:
        entry = pathlib.Path(tempfile.mkdtemp(prefix="tsm-", dir=folder)) / "tacit"
        entry.mkdir()
        for name, content in (("provider", b"sev_guest\n"), ("generation", b"1\n"), ("inblob", b""),
                              ("outblob", (FIXTURES / "amd-sev-snp" / report).read_bytes())):
            (entry / name).write_bytes(content)
        collateral = entry.parent / "collateral"
        collateral.mkdir()
        (collateral / "vcek.der").write_bytes((FIXTURES / "amd-sev-snp" / certificate).read_bytes())
        server = harness.start_server(home, "--attest", "snp", "--tsm-root", str(entry.parent),
                                      "--attest-collateral", str(collateral))
        if server.tunnel is not None:
            server.kill()
            pytest.skip("SKIPPED: this suite has its own tunnels")
        between = Middle(server.url)
        started.extend((between.stop, server.kill))
        return between
    yield start
    for end in started:
        end()


def recorded_policy(folder: pathlib.Path, text: str) -> str:
    path = pathlib.Path(tempfile.mkstemp(suffix=".toml", dir=folder)[1])
    path.write_text(text)
    return str(path)


def test_debug_flag(recorded, folder: pathlib.Path) -> None:
    middle = recorded("milan_v2_debug/report.bin", "milan_v2_debug/vcek.der")
    refused(check(middle.url, folder), "debug")
    assert middle.sealed == 0


def test_denied_generation_missing_gpu_duplicated_switch(recorded, folder: pathlib.Path) -> None:
    middle = recorded("milan_v2_vcek/report.bin", "milan_v2_vcek/vcek.der")
    said = refused(check(middle.url, folder), "binding")
    assert 'rule "debug"' not in said and 'rule "generation"' not in said
    said = refused(check(middle.url, folder, "--policy", recorded_policy(folder, '[snp]\ngenerations = ["Genoa", "Turin"]')), "generation")
    assert "Milan" in said
    said = refused(check(middle.url, folder, "--policy", recorded_policy(folder, "[nvidia]\ngpus_min = 8")), "required")
    assert "8 of kind nvidia-gpu" in said
    switch = (FIXTURES / "nvidia" / "evidence" / "switch_ls10_x1.json").read_bytes()

    def twice(nonce: str) -> bytes:
        signed, bundle = split(middle.fetch(nonce))
        return join(signed, bundle_of([*items_of(bundle), (2, switch), (2, switch)]))
    middle.change = twice
    refused(check(middle.url, folder), "unique-devices")
    assert middle.sealed == 0


# --- tacit verify evidence --------------------------------------------------------------------


def test_verify_evidence_of_a_server_and_of_a_file(attested: Server, tpm: SoftwareTpm, folder: pathlib.Path, policy: str) -> None:
    kept = folder / "kept.evidence"
    done = tacit("verify", "evidence", attested.url, "--policy", policy, "--save", str(kept), home=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ACCEPT" in done.stdout and PCR in done.stdout and MODEL in done.stdout
    assert "event_log.pcr4" in done.stdout and "1 events replayed" in done.stdout, done.stdout
    fresh = policy_file(tpm, "any-time")
    assert tacit("verify", "evidence", str(kept), "--policy", fresh, home=folder).returncode == 0
    # Nobody knows whose nonce that was.
    assert tacit("verify", "evidence", str(kept), "--policy", policy, home=folder).returncode == 3
    assert tacit("verify", "evidence", str(kept), "--policy", fresh, "--nonce", "44" * 32, home=folder).returncode == 1
    wrong = policy_file(tpm, "verify-pcr", pcr4="00" * 32)
    assert tacit("verify", "evidence", str(kept), "--policy", wrong, home=folder).returncode == 1
    assert tacit("verify", "evidence", str(kept), "--policy", "nonexistent", home=folder).returncode == 2
    damaged = bytearray(kept.read_bytes())
    damaged[-1] ^= 1
    (folder / "damaged.evidence").write_bytes(damaged)
    assert tacit("verify", "evidence", str(folder / "damaged.evidence"), "--policy", fresh, home=folder).returncode == 1
