"""A program on a pseudo-terminal, as a person has it in front of him."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness import patience

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")


class Terminal:
    """Starts a program as the session leader of a new pseudo-terminal; so Ctrl-C is a real one."""

    def __init__(self, command: list[str], env: dict[str, str], columns: int = 100) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.output = ""
        self._status: int | None = None

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_) -> None:
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()
        os.close(self.fd)

    def pump(self, seconds: float = 0.1) -> bool:
        """Reads what there is; False once the program has closed its side."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.output += data.decode(errors="replace")
        return bool(data)

    @property
    def plain(self) -> str:
        return ESCAPES.sub("", self.output)

    def wait_for(self, what: str, probe, seconds: float = 60) -> None:
        end = time.monotonic() + patience(seconds)
        while not probe(self.plain):
            open_ = self.pump()
            if probe(self.plain):
                return
            assert open_, f"ended before {what}:\n{self.output}"
            assert time.monotonic() < end, f"never happened: {what}\n{self.output!r}"

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def interrupt(self) -> None:
        self.send("\x03")

    def wait(self, seconds: float = 30) -> int:
        """The exit status, negative for a signal."""
        end = time.monotonic() + patience(seconds)
        while self._status is None:
            self.pump(0.05)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self._status = os.waitstatus_to_exitcode(status)
            assert time.monotonic() < end, f"does not end:\n{self.output}"
        while self.pump(0):
            if not select.select([self.fd], [], [], 0)[0]:
                break
        return self._status
