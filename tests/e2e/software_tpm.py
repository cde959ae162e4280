"""A TPM in software (swtpm) with a maker's certificate authority, as the tests of attestation need it."""

import contextlib
import dataclasses
import hashlib
import hmac
import os
import pathlib
import shutil
import socket
import struct
import subprocess

import pytest

from harness import eventually, patience, tacit

NEEDED = ("swtpm", "swtpm_setup", "swtpm_localca")


def need_swtpm() -> None:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"SKIPPED: {', '.join(missing)} not found; apt-get install swtpm swtpm-tools")


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    """The OpenSSL of the build, which can write certificates of any dates; else the system's."""
    root = os.environ.get("TACIT_E2E_OPENSSL_ROOT")
    program = str(pathlib.Path(root) / "bin" / "openssl") if root else "openssl"
    env = dict(os.environ)
    if root:
        env["LD_LIBRARY_PATH"] = f"{root}/lib64:{root}/lib"
    done = subprocess.run([program, *arguments], input=stdin, capture_output=True, env=env, timeout=patience(30))
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_pair() -> int:
    """A free port whose successor is free, too: one for commands, one for control."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            second.bind(("127.0.0.1", port + 1))
            return port


@dataclasses.dataclass
class Maker:
    """Who makes TPMs: the authority of swtpm's own tools, in a folder of the test."""

    folder: pathlib.Path

    @property
    def root_pem(self) -> str:
        return (self.folder / "swtpm-localca-rootca-cert.pem").read_text()

    def configure(self) -> pathlib.Path:
        (self.folder / "localca.conf").write_text(
            f"statedir = {self.folder}\nsigningkey = {self.folder}/signkey.pem\n"
            f"issuercert = {self.folder}/issuercert.pem\ncertserial = {self.folder}/certserial\n")
        (self.folder / "localca.options").write_text("--platform-manufacturer Tacit\n--platform-version 1\n--platform-model Test\n")
        setup = self.folder / "setup.conf"
        setup.write_text(f"create_certs_tool={shutil.which('swtpm_localca')}\n"
                         f"create_certs_tool_config={self.folder}/localca.conf\n"
                         f"create_certs_tool_options={self.folder}/localca.options\nactive_pcr_banks=sha256\n")
        return setup

    def credential(self, endorsement: pathlib.Path, area: bytes, hidden: bytes) -> bytes:
        """TPM2_MakeCredential outside of a TPM (TPM 2.0 Library, part 1, section 24): `hidden` comes out
        only of the TPM that has this endorsement key, and only for the key of this public area."""
        (size,) = struct.unpack_from(">H", area)
        assert size == len(area) - 2
        kind, name_algorithm, attributes = struct.unpack_from(">HHI", area, 2)
        assert (kind, name_algorithm) == (0x0023, 0x000B)
        wanted = 0x00050072  # fixed to TPM and parent, made inside, restricted, signs; does not decrypt
        assert attributes & 0x00070072 == wanted, hex(attributes)
        name = struct.pack(">H", name_algorithm) + hashlib.sha256(area[2:]).digest()
        seed = os.urandom(32)
        encrypted = openssl("pkeyutl", "-encrypt", "-certin", "-inkey", str(endorsement), "-pkeyopt", "rsa_padding_mode:oaep",
                            "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256",
                            "-pkeyopt", "rsa_oaep_label:" + b"IDENTITY\0".hex(), stdin=seed)

        def derive(label: bytes, context: bytes, bits: int) -> bytes:  # KDFa
            message = struct.pack(">I", 1) + label + b"\0" + context + struct.pack(">I", bits)
            return hmac.new(seed, message, "sha256").digest()[:bits // 8]
        inner = openssl("enc", "-aes-128-cfb", "-K", derive(b"STORAGE", name, 128).hex(), "-iv", "00" * 16,
                        stdin=struct.pack(">H", len(hidden)) + hidden)
        integrity = hmac.new(derive(b"INTEGRITY", b"", 256), inner + name, "sha256").digest()
        blob = struct.pack(">H", len(integrity)) + integrity + inner
        return struct.pack(">H", len(blob)) + blob + struct.pack(">H", len(encrypted)) + encrypted

    def certify(self, key: pathlib.Path, out: pathlib.Path, *dates: str) -> pathlib.Path:
        """The certificate of an attestation key, followed by the maker's intermediate one."""
        extensions = out.with_suffix(".ext")
        extensions.write_text("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n")
        leaf = openssl("x509", "-new", "-force_pubkey", str(key), "-subj", "/CN=attestation key",
                       "-CA", str(self.folder / "issuercert.pem"), "-CAkey", str(self.folder / "signkey.pem"),
                       *(dates or ("-days", "2")), "-set_serial", "77", "-extfile", str(extensions))
        out.write_bytes(leaf + (self.folder / "issuercert.pem").read_bytes())
        return out


@dataclasses.dataclass
class SoftwareTpm:
    folder: pathlib.Path
    maker: Maker
    port: int
    process: subprocess.Popen
    chain: pathlib.Path  # the certificates of its attestation key

    @property
    def tcti(self) -> str:
        return f"swtpm:host=127.0.0.1,port={self.port}"

    @property
    def serve(self) -> tuple[str, ...]:
        return ("--attest", "tpm", "--tpm", self.tcti, "--tpm-certificate", str(self.chain))

    def command(self, code: int, body: bytes) -> bytes:
        """One command of the TPM library, with an empty password."""
        session = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
        handle, parameters = body[:4], body[4:]
        message = handle + session + parameters
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience(20)) as connection:
            connection.sendall(struct.pack(">HII", 0x8002, 10 + len(message), code) + message)
            answer = connection.recv(4096)
        assert struct.unpack(">I", answer[6:10])[0] == 0, answer.hex()
        return answer

    def extend(self, pcr: int, digest: bytes) -> None:
        """TPM2_PCR_Extend, as firmware does it."""
        self.command(0x182, struct.pack(">IIH", pcr, 1, 0x000B) + digest)

    def endorsement(self) -> pathlib.Path:
        """The maker's certificate of its RSA endorsement key, as PEM; checked."""
        pem = self.folder / "endorsement.pem"
        pem.write_bytes(openssl("x509", "-inform", "der", "-in", str(self.folder / "enrol" / "endorsement-0.der")))
        openssl("verify", "-CAfile", str(self.maker.folder / "swtpm-localca-rootca-cert.pem"),
                "-untrusted", str(self.maker.folder / "issuercert.pem"), "-ignore_critical", str(pem))
        return pem

    def is_one(self, other: "SoftwareTpm | None" = None) -> bool:
        """Whether attestation key and endorsement key (of `other`, if given) are in one TPM."""
        hidden = os.urandom(32)
        challenge = self.folder / "credential.bin"
        challenge.write_bytes(self.maker.credential((other or self).endorsement(),
                                                    (self.folder / "enrol" / "attestation-key.tpm").read_bytes(), hidden))
        done = tacit("attest", "--attest", "tpm", "--tpm", self.tcti, "--activate", str(challenge), home=self.folder)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0 and done.stdout.strip() == hidden.hex()

    def measure(self, log: pathlib.Path, pcrs: tuple[int, ...], data: bytes) -> None:
        """Extends these PCRs as a boot loader does, and notes it in a log of the TCG's crypto-agile form."""
        algorithms = struct.pack("<IBBBBIHHB", 0, 0, 2, 0, 2, 1, 0x000B, 32, 0)
        head = b"Spec ID Event03\0" + algorithms
        events = struct.pack("<II20sI", 0, 3, bytes(20), len(head)) + head
        for pcr in pcrs:
            digest = hashlib.sha256(data).digest()
            self.extend(pcr, digest)
            events += struct.pack("<IIIH", pcr, 0x0D, 1, 0x000B) + digest + struct.pack("<I", len(data)) + data
        log.write_bytes(events)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def start_tpm(folder: pathlib.Path, maker: Maker) -> SoftwareTpm:
    state = folder / "state"
    state.mkdir(parents=True)
    made = subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", f"dir://{state}", "--create-ek-cert",
                           "--config", str(maker.configure())], capture_output=True, text=True, timeout=patience(60))
    assert made.returncode == 0, made.stdout + made.stderr
    port = free_pair()
    process = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}",
                                "--server", f"type=tcp,port={port},disconnect", "--ctrl", f"type=tcp,port={port + 1}",
                                "--flags", "not-need-init,startup-clear"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tpm = SoftwareTpm(folder, maker, port, process, folder / "chain.pem")

    def enrolled() -> bool:
        done = tacit("attest", "--attest", "tpm", "--tpm", tpm.tcti, "--out", str(folder / "enrol"), home=folder)
        return done.returncode == 0
    eventually("the software TPM answers", enrolled, 20)
    assert tpm.is_one(), "the attestation key is not in the TPM whose endorsement key the maker certified"
    maker.certify(folder / "enrol" / "attestation-key.pem", tpm.chain)
    return tpm
