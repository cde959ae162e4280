"""HTTP/1.1 as hostile and odd clients speak it (RFC 9110, RFC 9112), over raw sockets, TLS and Unix sockets."""

import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import time

import httpx
import httpx2
import openai
import pytest

import harness
from harness import MODEL, Server, is_openai_error, patience, read_response, running, tacit

CHAT = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}).encode()


def speak(server: Server, *parts: bytes, pause: float = 0) -> socket.socket:
    connection = server.connect()
    for part in parts:
        connection.sendall(part)
        if pause:
            time.sleep(pause)
    return connection


def head(server: Server, line: str, *headers: str, key: bool = True) -> bytes:
    lines = [line, "Host: localhost", *headers]
    if key:
        lines.append(f"Authorization: Bearer {server.key}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def closed_by_peer(connection: socket.socket, seconds: float = 10) -> bool:
    """Whether the peer ends the connection, however it says so."""
    connection.settimeout(patience(seconds))
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


# --- methods and paths ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/v1/completionz", "/V1/models", "//v1/models",
                                  "/v1/models/../../etc/passwd", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/v1/models/%00", "/v1/models/%zz",
                                  "/health/", "/.git/config", "/v1/models/" + "a" * 5000])
def test_unknown_paths(server: Server, path: str) -> None:
    reader = speak(server, head(server, f"GET {path} HTTP/1.1", "Connection: close"))
    status, _, body = read_response(reader)
    if path == "/":
        assert status in (200, 404)  # a console may live there one day
        return
    assert status in (400, 404), body
    assert is_openai_error(json.loads(body))


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("GET", "/v1/chat/completions", "POST"), ("DELETE", "/v1/models", "GET"), ("PUT", "/v1/chat/completions", "POST"),
    ("POST", "/health", "GET"), ("POST", "/metrics", "GET"), ("BREW", "/v1/models", "GET")])
def test_wrong_method(server: Server, method: str, path: str, allowed: str) -> None:
    with server.http() as http:
        answer = http.request(method, path)
    assert answer.status_code == 405
    assert allowed in answer.headers["allow"]
    assert is_openai_error(answer.json())


def test_head_is_get_without_a_body(server: Server) -> None:
    with server.http() as http:
        whole, bare = http.get("/health"), http.head("/health")
    assert bare.status_code == whole.status_code == 200
    assert bare.content == b""
    connection = speak(server, head(server, "HEAD /health HTTP/1.1"), head(server, "GET /health HTTP/1.1", "Connection: close"))
    reader = connection.makefile("rb")
    assert read_response(reader, head_only=True)[0] == 200
    assert read_response(reader)[0] == 200, "nothing followed the head of the first answer"


def test_options_does_not_open_the_server_to_browsers(server: Server) -> None:
    with server.http() as http:
        answer = http.options("/v1/chat/completions", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})
        assert answer.status_code in (200, 204, 403, 405)
        assert answer.headers.get("access-control-allow-origin") not in ("*", "https://evil.example")
        answer = http.get("/v1/models", headers={"Origin": "https://evil.example"})
        assert answer.headers.get("access-control-allow-origin") not in ("*", "https://evil.example")


def test_health_needs_no_key_and_tells_little(server: Server) -> None:
    with server.http(headers={}) as http:
        answer = http.get("/health")
    assert answer.status_code == 200
    assert len(answer.content) < 300


def test_metrics_have_vllms_names(server: Server) -> None:
    server.ask("Hello", max_tokens=4)
    text = server.metrics_text()
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prompt_tokens_total", "generation_tokens_total",
                 "request_success_total", "time_to_first_token_seconds_bucket", "inter_token_latency_seconds_bucket",
                 "e2e_request_latency_seconds_bucket", "e2e_request_latency_seconds_sum", "e2e_request_latency_seconds_count"):
        assert f"\nvllm:{name}" in text, f"no vllm:{name} in\n{text}"
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or float(line.rpartition(" ")[2]) >= 0


def test_metrics_count(server: Server) -> None:
    before = harness.parse_metrics(server.metrics_text())
    usage = server.client().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Count to five."}], max_tokens=6).usage
    after = harness.parse_metrics(server.metrics_text())
    assert after["vllm:prompt_tokens_total"] - before["vllm:prompt_tokens_total"] == usage.prompt_tokens
    assert after["vllm:generation_tokens_total"] - before["vllm:generation_tokens_total"] == usage.completion_tokens
    assert after["vllm:request_success_total"] - before["vllm:request_success_total"] == 1


# --- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [
    b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"model":"' + MODEL.encode() + b'","messages":[{"role":"user","content":"\xff\xff"}]}',
    b"\xef\xbb\xbf{}", b'{"a":1}{"b":2}', b"{'model': 1}", b'{"model": NaN}', b'{"temperature": 1e999}', b'{"a":"\\ud800"}',
    b"a=b&c=d", b'{"messages":' * 5000, b"[" * 200_000, b'{"a":' + b"9" * 100_000 + b"}"], ids=lambda b: repr(b[:24]))
def test_malformed_json(server: Server, body: bytes) -> None:
    with server.http() as http:
        answer = http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413), answer.text
    assert is_openai_error(answer.json())
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_duplicate_keys_are_refused_or_the_last_counts(server: Server) -> None:
    """What must not happen is that two readers of one body see two requests."""
    body = b'{"max_tokens":1,"model":"no-such-model","messages":[{"role":"user","content":"hi"}],"model":"' + MODEL.encode() + b'"}'
    with server.http() as http:
        answer = http.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400 or (answer.status_code == 200 and answer.json()["model"] == MODEL)


def test_a_body_over_the_limit(server: Server) -> None:
    """100 MB are refused by their announcement, before they are sent."""
    connection = speak(server, head(server, "POST /v1/chat/completions HTTP/1.1", "Content-Length: 100000000", "Content-Type: application/json"))
    status, _, body = read_response(connection)
    assert status == 413
    error = json.loads(body)
    assert is_openai_error(error)
    assert any(character.isdigit() for character in error["error"]["message"]), "the limit is named"


def test_a_chunked_body_over_the_limit(server: Server) -> None:
    connection = speak(server, head(server, "POST /v1/chat/completions HTTP/1.1", "Transfer-Encoding: chunked"))
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    try:
        for _ in range(100):
            connection.sendall(chunk)
    except OSError:
        pass  # refused in the middle, as it should be
    else:
        pytest.fail("100 MiB of body were read")
    try:
        status, _, _ = read_response(connection)
    except ConnectionError:
        return  # the answer was lost to the reset; the refusal stands
    assert status in (0, 413)


def test_a_large_client_body_gets_its_answer(server: Server) -> None:
    """httpx sends 100 MB and must still see the 413, not a broken pipe."""
    try:
        with server.http() as http:
            answer = http.post("/v1/chat/completions", content=b" " * 100_000_000)
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        pytest.skip("the refusal came as a reset: allowed by RFC 9112 section 9.6, but not as helpful")
    assert answer.status_code == 413


def test_expect_100_continue(server: Server) -> None:
    connection = speak(server, head(server, "POST /v1/chat/completions HTTP/1.1", f"Content-Length: {len(CHAT)}",
                                    "Content-Type: application/json", "Expect: 100-continue", "Connection: close"))
    reader = connection.makefile("rb")
    assert read_response(reader)[0] == 100
    connection.sendall(CHAT)
    assert read_response(reader)[0] == 200


@pytest.mark.skipif(harness.SEALED, reason="tacit connect cannot know which keys the server accepts")
def test_expect_100_continue_without_a_key_saves_the_body(server: Server) -> None:
    connection = speak(server, head(server, "POST /v1/chat/completions HTTP/1.1", "Content-Length: 1000000", "Expect: 100-continue", key=False))
    assert read_response(connection)[0] == 401


def test_chunked_request_body(server: Server) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(CHAT[i:i + 7]), CHAT[i:i + 7]) for i in range(0, len(CHAT), 7)) + b"0\r\n\r\n"
    connection = speak(server, head(server, "POST /v1/chat/completions HTTP/1.1", "Transfer-Encoding: chunked", "Connection: close") + chunks)
    assert read_response(connection)[0] == 200


def test_a_request_byte_by_byte(server: Server) -> None:
    request = head(server, "GET /v1/models HTTP/1.1", "Connection: close")
    connection = speak(server, *(request[i:i + 1] for i in range(len(request))))
    assert read_response(connection)[0] == 200


def test_keep_alive_and_pipelining(server: Server) -> None:
    connection = speak(server, head(server, "GET /v1/models HTTP/1.1") + head(
        server, "POST /v1/chat/completions HTTP/1.1", f"Content-Length: {len(CHAT)}") + CHAT + head(
            server, "GET /health HTTP/1.1") + head(server, "GET /nowhere HTTP/1.1", "Connection: close"))
    reader = connection.makefile("rb")
    assert [read_response(reader)[0] for _ in range(4)] == [200, 200, 200, 404]
    assert closed_by_peer(connection)


def test_http_1_0_closes(server: Server) -> None:
    connection = speak(server, b"GET /health HTTP/1.0\r\n\r\n")
    assert read_response(connection)[0] == 200
    assert closed_by_peer(connection)


def test_http_1_0_streams_without_chunks(server: Server) -> None:
    body = CHAT[:-1] + b',"stream":true}'
    connection = speak(server, f"POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer {server.key}\r\n"
                               f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status, headers, answer = read_response(connection)
    assert status == 200
    assert "transfer-encoding" not in headers
    assert answer.endswith(b"data: [DONE]\n\n")


# --- request smuggling ------------------------------------------------------------------------

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

SMUGGLING = {
    "length and chunked": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two lengths in one": b"Content-Length: 5, 6\r\n\r\nhello!",
    "equal lengths twice": b"Content-Length: 5, 5\r\n\r\nhello",
    "negative length": b"Content-Length: -5\r\n\r\nhello",
    "signed length": b"Content-Length: +5\r\n\r\nhello",
    "hexadecimal length": b"Content-Length: 0x5\r\n\r\nhello",
    "empty length": b"Content-Length: \r\n\r\nhello",
    "length beyond 64 bits": b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding with a tab": b"Transfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n",
    "space before the colon": b"Content-Length : 5\r\n\r\nhello",
    "space before chunked's colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded header": b"X-A: b\r\n Content-Length: 5\r\n\r\nhello",
    "folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "bare CR in a value": b"X-A: b\rContent-Length: 5\r\n\r\nhello",
    "NUL in a value": b"X-A: b\x00c\r\nContent-Length: 5\r\n\r\nhello",
    "NUL in a name": b"X\x00A: b\r\nContent-Length: 5\r\n\r\nhello",
    "header without a colon": b"Content-Length 5\r\n\r\nhello",
    "empty header name": b": 5\r\nContent-Length: 5\r\n\r\nhello",
    "chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    "chunk size with 0x": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size beyond 64 bits": b"Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk size empty": b"Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n",
    "chunk longer than its size": b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
    "chunk ended by LF": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
    "chunk size ended by LF": b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_smuggling(server: Server, name: str) -> None:
    """Whatever two readers could frame differently is refused and the connection is closed, so that
    what follows is never taken for a second request."""
    request = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n".encode() + SMUGGLING[name] + SMUGGLED
    connection = speak(server, request)
    reader = connection.makefile("rb")
    try:
        status, _, body = read_response(reader)
    except ConnectionError:
        return
    if name == "equal lengths twice":  # RFC 9112 section 6.3: may be taken as one
        assert status == 400
        return
    assert status in (400, 501), (status, body)
    if name.startswith(("chunk size", "chunk longer", "chunk ended")):
        assert b"messages" not in body, "refused for its JSON, not for its framing"
    assert read_response(reader)[0] == 0, "the connection is closed after a refusal"


LINES = {
    "no target": b"GET HTTP/1.1\r\n", "no version": b"GET /health\r\n", "version 2": b"GET /health HTTP/2.0\r\n",
    "version 1.2.3": b"GET /health HTTP/1.1.1\r\n", "lower-case": b"GET /health http/1.1\r\n", "two spaces": b"GET  /health HTTP/1.1\r\n",
    "leading space": b" GET /health HTTP/1.1\r\n", "tabs": b"GET\t/health\tHTTP/1.1\r\n", "control": b"GET /he\x01alth HTTP/1.1\r\n",
    "high byte": b"GET /h\xe9alth HTTP/1.1\r\n", "fragment": b"GET /health#x HTTP/1.1\r\n", "bare target": b"GET health HTTP/1.1\r\n",
    "method with parenthesis": b"G(T /health HTTP/1.1\r\n", "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "garbage": bytes(range(128, 256)) * 4, "null bytes": b"\x00" * 64,
}


@pytest.mark.parametrize("name", LINES)
def test_bad_request_lines(server: Server, name: str) -> None:
    connection = speak(server, LINES[name] + b"Host: x\r\n\r\n" + SMUGGLED)
    reader = connection.makefile("rb")
    try:
        status = read_response(reader)[0]
    except (ConnectionError, ValueError):
        return
    assert status in (0, 400, 404, 501, 505), status
    if status != 404:
        assert read_response(reader)[0] == 0


@pytest.mark.parametrize("headers", ["", "Host: a\r\nHost: b\r\n"])
def test_exactly_one_host(server: Server, headers: str) -> None:
    connection = speak(server, f"GET /health HTTP/1.1\r\n{headers}\r\n".encode())
    assert read_response(connection)[0] == 400


def test_head_limits(server: Server) -> None:
    for request in (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
                    b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(5000)) + b"\r\n"):
        connection = server.connect()
        try:
            connection.sendall(request)
            status = read_response(connection)[0]
        except ConnectionError:
            continue
        assert status in (400, 414, 431), status


def test_a_response_cannot_be_split(server: Server) -> None:
    connection = speak(server, head(server, "GET /health HTTP/1.1", "X-Request-Id: a%0d%0aX-Evil: 1", "Connection: close"))
    _, headers, _ = read_response(connection)
    assert "x-evil" not in headers
    connection = speak(server, head(server, "GET /health HTTP/1.1", "X-Request-Id: " + "a" * 3000, "Connection: close"))
    status, headers, _ = read_response(connection)
    assert len(headers.get("x-request-id", "")) < 300


def test_the_callers_request_id_is_kept(server: Server) -> None:
    with server.http() as http:
        assert http.get("/health", headers={"X-Request-Id": "abc-123"}).headers["x-request-id"] == "abc-123"


# --- slow and many ----------------------------------------------------------------------------


def test_slow_heads_do_not_block_others(server: Server) -> None:
    slow = [speak(server, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(200)]
    try:
        assert server.ask("Hello", max_tokens=2)
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.skipif(os.environ.get("TACIT_E2E_LONG", "") == "", reason="waits for the default head timeout; TACIT_E2E_LONG=1 runs it")
def test_slowloris_is_cut_off(server: Server) -> None:
    connection = speak(server, b"GET /health HTTP/1.1\r\nHost: x\r\n")
    started = time.monotonic()
    connection.settimeout(1)
    while time.monotonic() - started < 60:
        try:
            connection.sendall(b"X-A: b\r\n")
            if not connection.recv(4096):
                return
        except TimeoutError:
            continue
        except OSError:
            return
        break
    assert closed_by_peer(connection, 30)


def test_half_a_request_then_silence_is_no_error_in_the_log(server: Server) -> None:
    speak(server, b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Le").close()
    speak(server, b"").close()
    assert server.ask("Hello", max_tokens=2)
    assert not [r for r in server.records() if r.get("level") == "error"]


# --- other carriers ---------------------------------------------------------------------------


def openssl_program() -> str | None:
    """The OpenSSL of the build, which knows X25519MLKEM768; else the system's."""
    root = os.environ.get("TACIT_E2E_OPENSSL_ROOT")
    if root:
        return str(pathlib.Path(root) / "bin" / "openssl")
    return shutil.which("openssl")


def openssl_run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess:
    root = os.environ.get("TACIT_E2E_OPENSSL_ROOT")
    env = dict(os.environ)
    if root:
        env["LD_LIBRARY_PATH"] = f"{root}/lib64:{root}/lib"
    return subprocess.run([openssl_program(), *arguments], input=stdin, capture_output=True, env=env, timeout=patience(30))


def make_certificate(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    made = openssl_run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                       "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    assert made.returncode == 0, made.stderr
    (folder / "key.pem").chmod(0o600)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory, models: pathlib.Path, certificate):
    home = harness.make_home(tmp_path_factory.mktemp("tls-server"), models)
    cert, key = certificate
    with running(home, "--tls-cert", str(cert), "--tls-key", str(key)) as server:
        yield server


def handshake(server: Server, *options: str) -> str:
    done = openssl_run("s_client", "-connect", f"127.0.0.1:{server.port}", "-brief", *options, stdin=b"")
    return (done.stdout + done.stderr).decode(errors="replace")


def test_tls_prefers_the_post_quantum_group(tls_server: Server) -> None:
    assert tls_server.url.startswith("https://")
    text = handshake(tls_server)
    assert "TLSv1.3" in text and "X25519MLKEM768" in text, text


def test_tls_offers_classical_groups_too(tls_server: Server) -> None:
    for group in ("X25519", "P-256"):
        assert "TLSv1.3" in handshake(tls_server, "-groups", group)


def test_tls_refuses_old_versions(tls_server: Server) -> None:
    text = handshake(tls_server, "-tls1_2")
    assert "CONNECTION ESTABLISHED" not in text, text


def test_openai_over_tls(tls_server: Server, certificate) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with httpx.Client(verify=context, trust_env=False, timeout=patience(30), headers=tls_server.headers()) as http:
        answer = http.post(f"https://localhost:{tls_server.port}/v1/chat/completions", content=CHAT)
        assert answer.status_code == 200
        with http.stream("POST", f"https://localhost:{tls_server.port}/v1/chat/completions",
                         content=CHAT[:-1] + b',"stream":true}') as stream:
            assert stream.read().endswith(b"data: [DONE]\n\n")


def test_plain_text_to_a_tls_port(tls_server: Server) -> None:
    connection = tls_server.connect()
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert closed_by_peer(connection)


def test_tls_files_that_do_not_fit(home: pathlib.Path, certificate, tmp_path: pathlib.Path) -> None:
    cert, key = certificate
    other = tmp_path / "other.pem"
    openssl_run("genpkey", "-algorithm", "ED25519", "-out", str(other))
    (tmp_path / "empty.pem").write_text("")
    for wrong in ((cert, other), (key, cert), (cert, tmp_path / "missing.pem"), (tmp_path / "empty.pem", key)):
        done = harness.tacit("serve", "--port", "0", "--tls-cert", str(wrong[0]), "--tls-key", str(wrong[1]), home=home, seconds=20)
        assert done.returncode not in (0, -11, -6), done.stderr
        assert any(path.name in done.stderr for path in wrong), done.stderr


def test_unix_socket(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "tacit.sock"
    with running(home, listen=("--unix", str(path))) as server:
        assert path.is_socket()
        assert path.stat().st_mode & 0o077 == 0, "others may not connect"
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)), timeout=patience(30)) as http:
            assert http.get("http://localhost/health").status_code == 200
            client = openai.OpenAI(base_url="http://localhost/v1", api_key=server.key or "none", http_client=http, max_retries=0)
            answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}], max_tokens=2)
            assert answer.usage.completion_tokens >= 1
    assert not path.exists(), "the socket is removed at the end"


def test_a_stale_unix_socket_is_replaced(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "tacit.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with running(home, listen=("--unix", str(path))):
        pass


def test_pull_from_an_index_it_cannot_trust(empty_home: pathlib.Path, tls_server: Server, certificate, tmp_path: pathlib.Path) -> None:
    """The advice is about the machine's trusted authorities, not about the index."""

    def trusting(authority: pathlib.Path) -> dict[str, str]:
        return {"PIP_INDEX_URL": tls_server.url.replace("127.0.0.1", "localhost") + "/simple", "PIP_CERT": str(authority)}

    done = tacit("pull", MODEL, home=empty_home, env=trusting(make_certificate(tmp_path)[0]))
    assert done.returncode != 0
    assert "certificate" in done.stderr and "ca-certificates" in done.stderr and "SSL_CERT_FILE" in done.stderr, done.stderr
    # Trusted, but no index: what is wrong then is the index.
    done = tacit("pull", MODEL, home=empty_home, env=trusting(certificate[0]))
    assert done.returncode != 0
    assert "ca-certificates" not in done.stderr and "PIP_INDEX_URL" in done.stderr, done.stderr
