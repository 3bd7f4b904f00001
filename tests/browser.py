"""Chromium without a window, spoken to over a pipe: open a page, ask it questions, take its picture.

Needs no package: the DevTools protocol is JSON with a zero byte after each message, on descriptors 3 and 4.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser():
    """The path of a Chromium; RuntimeError where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise RuntimeError(f"no browser found: looked for {', '.join(NAMES)}; on Debian: apt install chromium")
    return found


class Browser:
    """One page. A context manager; `complaints` are what the browser's console said."""

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--hide-scrollbars",
            f"--user-data-dir={self.profile.name}",
        ]
        flags += ["--no-first-run", "--disable-gpu", "--disable-extensions", "--disable-dev-shm-usage"]
        flags += ["--no-sandbox"] if os.geteuid() == 0 else []  # its sandbox refuses to run as root
        there, self.send = os.pipe()
        self.receive, back = os.pipe()
        command = f'exec "$0" "$@" 3<&{there} 4>&{back}'
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", command, find_browser(), *flags],
            pass_fds=(there, back),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(there), os.close(back)
        self.number, self.events, self.complaints, self.rest = 0, [], [], b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        os.close(self.send), os.close(self.receive)
        self.profile.cleanup()

    session = None

    def call(self, method, **parameters):
        """The result of one command; RuntimeError when the browser refuses it."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def read(self):
        """The next message; events are kept, complaints and requests noted."""
        while b"\0" not in self.rest:
            part = os.read(self.receive, 1 << 20)
            if not part:
                raise RuntimeError("the browser went away")
            self.rest += part
        text, _, self.rest = self.rest.partition(b"\0")
        message = json.loads(text)
        name, given = message.get("method"), message.get("params", {})
        if name is not None:
            self.events.append((name, given))
        if name == "Log.entryAdded":
            self.complaints.append(given["entry"]["text"])
        elif name == "Runtime.exceptionThrown":
            self.complaints.append(str(given["exceptionDetails"]))
        return message

    def open(self, path, width=1400, dark=False):
        """Load a file at a width in CSS pixels; returns when it is drawn."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 700
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media="screen", features=scheme)
        self.events.clear()
        answer = self.call("Page.navigate", url=Path(path).resolve().as_uri())
        if "errorText" in answer:
            raise RuntimeError(f"cannot open {path}: {answer['errorText']}")
        while not any(name == "Page.loadEventFired" for name, _ in self.events):
            self.read()

    def ask(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def requested(self):
        """The addresses that were asked for since the page was opened."""
        return [given["request"]["url"] for name, given in self.events if name == "Network.requestWillBeSent"]

    def picture(self, path, top=0, height=None):
        """Save the page from `top` on, down to its end or `height` pixels, as PNG or WebP by the name."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": top, "width": size["width"], "height": height or size["height"] - top, "scale": 1}
        kind = {"format": "webp", "quality": 90} if str(path).endswith(".webp") else {"format": "png"}
        data = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True, **kind)["data"]
        Path(path).write_bytes(base64.b64decode(data))
