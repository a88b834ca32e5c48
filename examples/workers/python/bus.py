"""Questbus from any language: an nkey, one socket, and request/reply. docs/protocol.md tells it in words."""

import base64
import json
import os
import socket
import time
import uuid
from urllib.parse import urlsplit

import ed25519

ANSWER_TIMEOUT_S = 5
BACKOFF_S = (0.05, 0.5)


class Refused(Exception):
    """An answer that says no, or the broker's own no. `faults` has every reason; `retryable` says whether the same command may be sent again."""

    def __init__(self, answer):
        self.faults, self.retryable = answer["faults"], answer["retryable"]
        first = self.faults[0]
        self.code = first["code"]
        super().__init__("; ".join(f"{each['code']}: {each['message']}" for each in self.faults))


class Unanswered(Exception):
    """Nothing is known of the command: it is sent again, under the same id."""


def _crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc.to_bytes(2, "little")


def read_seed(path):
    """The 32 bytes of an nkey seed file: base32 of 2 bytes of kind, the seed, and 2 of checksum."""
    with open(path, encoding="ascii") as file:
        text = file.read().strip()
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    if len(raw) != 36 or _crc16(raw[:34]) != raw[34:]:
        raise ValueError(f"{path} holds no nkey seed")
    return raw[2:34]


def public_nkey(seed):
    """`U...`: the name of a user for the broker."""
    raw = bytes([20 << 3]) + ed25519.public_key(seed)
    return base64.b32encode(raw + _crc16(raw)).decode().rstrip("=")


class Bus:
    """Requests of one agent, one at a time. A lost connection is made again, and the command sent again."""

    def __init__(self, state, role, name):
        self.state, self.role, self.name = os.path.abspath(state), role, name
        self._seed = read_seed(os.path.join(self.state, "credentials", f"{role}-{name}.nk"))
        self._socket = None
        self._count = 0

    def request(self, verb, data, wait_s=0, patience_s=60):
        """Sends a command until it is answered; gives the data of its answer. Raises Refused or Unanswered."""
        command_id = str(uuid.uuid4())
        give_up = time.monotonic() + wait_s + patience_s
        pause_s = BACKOFF_S[0]
        while True:
            try:
                answer = self._try(command_id, verb, data, ANSWER_TIMEOUT_S + wait_s)
                if answer["ok"]:
                    return answer["data"]
                if not answer["retryable"] or time.monotonic() > give_up:
                    raise Refused(answer)
            except (OSError, EOFError, Unanswered) as error:
                if not isinstance(error, Unanswered):
                    self._close()
                if time.monotonic() > give_up:
                    raise Unanswered(f"{verb}: {error}") from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_S[1])

    def _envelope(self, command_id, verb, data):
        return {
            "specversion": "1.0",
            "id": command_id,
            "type": f"questbus.command.{verb}.v1",
            "source": f"questbus/{self._space}/{self.role}/{self.name}",
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "dataschema": f"questbus:command.{verb}.v1",
            "datacontenttype": "application/json",
            "data": data,
        }

    def _try(self, command_id, verb, data, timeout_s):
        if self._socket is None:
            self._connect()
        self._count += 1
        reply = f"{self._inbox}.{self._count}"
        subject = f"{self._space}.{self.role}.{self.name}.{verb}"
        payload = json.dumps(self._envelope(command_id, verb, data)).encode()
        self._send(f"PUB {subject} {reply} {len(payload)}\r\n".encode() + payload + b"\r\n")
        due = time.monotonic() + timeout_s
        while True:
            found, headers, body = self._next_message(due)
            # A late answer to an earlier try has another subject.
            if found != reply:
                continue
            if headers.startswith(b"NATS/1.0 503"):
                raise Unanswered("no orchestrator listens")
            return json.loads(body)

    def _connect(self):
        with open(os.path.join(self.state, "stack.json"), encoding="utf-8") as file:
            stack = json.load(file)
        address = urlsplit(stack["url"].split(",")[0])
        self._space = stack["space"]
        self._socket = socket.create_connection((address.hostname, address.port or 4222), ANSWER_TIMEOUT_S)
        self._buffer = b""
        due = time.monotonic() + ANSWER_TIMEOUT_S
        info = json.loads(self._line(due).removeprefix(b"INFO "))
        signature = base64.urlsafe_b64encode(ed25519.sign(self._seed, info["nonce"].encode()))
        options = {
            "nkey": public_nkey(self._seed),
            "sig": signature.decode().rstrip("="),
            "protocol": 1,
            "headers": True,
            "no_responders": True,
            "verbose": False,
            "pedantic": False,
            "lang": "python",
            "version": "1",
        }
        self._inbox = f"_INBOX_{self.role}-{self.name}.{uuid.uuid4().hex}"
        self._send(f"CONNECT {json.dumps(options)}\r\nSUB {self._inbox}.* 1\r\nPING\r\n".encode())
        while self._line(due) != b"PONG":
            pass

    def _next_message(self, due):
        """Subject, headers and body of the next message."""
        while True:
            line = self._line(due)
            kind, *words = line.split(b" ")
            if kind not in (b"MSG", b"HMSG"):
                continue
            body = self._exactly(int(words[-1]) + 2, due)[:-2]
            at = int(words[-2]) if kind == b"HMSG" else 0
            return words[0].decode(), body[:at], body[at:]

    def _line(self, due):
        """The next line; pings are answered here, and what the broker complains of is raised."""
        while True:
            while b"\r\n" not in self._buffer:
                self._receive(due)
            line, self._buffer = self._buffer.split(b"\r\n", 1)
            if line == b"PING":
                self._send(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                self._refuse(line.decode())
            else:
                return line

    def _refuse(self, line):
        if "Permissions Violation" in line:
            fault = {"code": "ROLE_FORBIDDEN", "message": f"{self.role}/{self.name}: {line}"}
            raise Refused({"faults": [fault], "retryable": False})
        # A credential that was just made may not be known yet: whoever is not let in tries again.
        raise EOFError(f"{self.role}/{self.name}: {line}")

    def _exactly(self, size, due):
        while len(self._buffer) < size:
            self._receive(due)
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _receive(self, due):
        left_s = due - time.monotonic()
        if left_s <= 0:
            raise Unanswered("no answer came in time")
        self._socket.settimeout(left_s)
        try:
            more = self._socket.recv(65_536)
        except socket.timeout:
            raise Unanswered("no answer came in time") from None
        if not more:
            raise EOFError("the broker closed the connection")
        self._buffer += more

    def _send(self, data):
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        self._socket.sendall(data)

    def _close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None
