"""What the watchers of the hosts tell each other, so that the first loss is named, and once.

A launcher that loses a rank or a connection on one host ends what it has on all the others, and their watchers then
see losses too. So each tells the others at once what it saw. The one beside the launcher's own process, whose
words surely arrive, names the first of them; where there is none, or it does not answer, each speaks for itself.
Clocks of hosts differ, so two that saw something before they heard of each other compare how much later they heard.

These are datagrams, and each begins with a word that only the ranks of this job know. One that is lost, or a name
that is not found, costs a second sentence and nothing else.

    claim HOST TEXT      this was lost on HOST
    gap HOST SECONDS     the receiver's claim came so long after that of HOST
    said HOST            it has been named
"""

import select
import socket
import threading
import time
from contextlib import suppress

COLLECT = 0.2  # seconds that the one who speaks gives the others to tell what they saw
ANSWER = 0.5  # seconds until a claim that nobody has named is named by who made it
LONGEST = 1400  # bytes of a datagram


class News:
    """This host's end. `port` is known at once, the others by `meet`."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self.said = False  # whether another has named the cause
        self._word, self._own = "", 0
        self._others: dict[int, tuple[str, int]] = {}  # host -> address
        self._claims: dict[int, tuple[float, str]] = {}  # host -> when it was heard of, what was lost
        self._gaps: dict[int, float] = {}  # host -> how long after its own claim it heard of ours
        self._began: float | None = None  # when we saw something ourselves

    def meet(self, word: str, own: int, places: list[str]) -> None:
        """`places` are `name:port` of all hosts, of which this one is number `own`. Names are looked up meanwhile."""
        self._word, self._own = word, own
        if len(places) > 1:
            threading.Thread(target=self._look_up, args=(places,), daemon=True).start()

    def _look_up(self, places: list[str]) -> None:
        for host, place in enumerate(places):
            name, _, port = place.rpartition(":")
            with suppress(OSError):
                if host != self._own:
                    self._others[host] = socket.gethostbyname(name), int(port)

    def receive(self) -> None:
        """All that has come."""
        while True:
            with suppress(ValueError):  # it is somebody else's
                try:
                    word, kind, host, text = self.socket.recv(LONGEST).decode().split(" ", 3)
                except OSError:
                    return  # there is no more
                if word == self._word and word:
                    self._take(kind, int(host), text)

    def _take(self, kind: str, host: int, text: str) -> None:
        if kind == "said":
            self.said = True
        elif kind == "gap":
            self._gaps[host] = float(text)
        elif host not in self._claims:
            now = time.monotonic()
            self._claims[host] = now, text
            if self._began is not None:
                self._send(f"gap {self._own} {now - self._began}", host)

    @property
    def heard(self) -> str:
        """What another host claimed first; empty where none did."""
        return min(self._claims.values())[1] if self._claims else ""

    def settle(self, what: str, speaks: bool) -> str:
        """Tell that `what` was lost here; what this watcher is to say about it, empty where another does.

        `speaks` says that this is the one beside the launcher.
        """
        self.receive()
        if self.said or (self._claims and not speaks):
            return ""
        self._began = time.monotonic()
        if self._others:
            self._tell(f"claim {self._own} {what}")
            until = self._began + (COLLECT if speaks else ANSWER)
            while not self.said and (left := until - time.monotonic()) > 0:
                select.select([self.socket], [], [], left)
                self.receive()
        if not speaks:
            return "" if self.said else what
        self.name()
        return self._first(what)

    def name(self) -> None:
        """Let the others know that the cause is named here."""
        self._tell(f"said {self._own} -")

    def _first(self, what: str) -> str:
        """What was lost first: `what` here, or what another claimed."""
        began, first, found = self._began or 0.0, 0.0, what
        for host, (heard, text) in self._claims.items():
            # Both gaps hold the way of a datagram, which their difference does not.
            later = (heard - began - self._gaps.get(host, 0.0)) / 2
            if later < first:
                first, found = later, text
        return found

    def _tell(self, text: str) -> None:
        for host in tuple(self._others):
            self._send(text, host)

    def _send(self, text: str, host: int) -> None:
        if host in self._others:
            with suppress(OSError):
                self.socket.sendto(f"{self._word} {text}".encode()[:LONGEST], self._others[host])
