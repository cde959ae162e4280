"""A small HTTP/1.1 client on asyncio streams: what hundreds of clients on one small machine need."""

import asyncio
import contextlib
import json


class Answer:
    """One streamed chat completion, as far as it has come."""

    def __init__(self) -> None:
        self.status = 0
        self.retry_after = 1.0
        self.text = ""
        self.ids: set[str] = set()
        self.finish = ""
        self.error = ""
        self.done = 0
        self.prompt_tokens = 0
        self.pieces = 0

    def feed(self, event: str) -> None:
        if event == "[DONE]":
            self.done += 1
            return
        body = json.loads(event)
        if "error" in body:
            self.error = body["error"].get("code") or "error"
            return
        self.ids.add(body["id"])
        if body.get("usage"):
            self.prompt_tokens = body["usage"]["prompt_tokens"]
        for choice in body["choices"]:
            piece = choice["delta"].get("content") or ""
            self.text += piece
            self.pieces += bool(piece)
            self.finish = choice["finish_reason"] or self.finish

    @property
    def whole(self) -> bool:
        return self.done == 1 and bool(self.finish) and not self.error


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    return int(lines[0].split()[1]), headers


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readline()).split(b";")[0], 16)
    data = await reader.readexactly(size + 2)
    return data[:-2]


class Connection:
    """One connection; one chat at a time. Closing it in the middle is the caller's right."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self.host, self.port, self.key = host, port, key
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 16)

    def reset(self) -> None:
        """RST instead of FIN."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()
        self.reader = self.writer = None

    async def chat(self, body: dict, pieces):
        """Streams one chat; awaits pieces(answer) after each chunk, which may return True to leave."""
        await self.open()
        data = json.dumps(body).encode()
        self.writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.key}\r\n"
                          f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        await self.writer.drain()
        answer = Answer()
        answer.status, headers = await read_head(self.reader)
        if answer.status != 200:
            await self.reader.readexactly(int(headers.get("content-length", "0")))
            answer.retry_after = float(headers.get("retry-after", "1"))
            if headers.get("connection", "").lower() == "close":
                await self.close()
            return answer
        pending = b""
        while chunk := await read_chunk(self.reader):
            pending += chunk
            *events, pending = pending.split(b"\n\n")
            for event in events:
                answer.feed(event.decode().removeprefix("data: "))
            if await pieces(answer):
                return answer
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return answer
