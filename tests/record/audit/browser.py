"""A headless Chromium, spoken to over a pipe: no driver and no package is needed."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 100
"""How long a page is waited for: the machine may be slow, and busy with other things."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")

_AXE = "axe-core@4.14.1"


def axe_source(folder: Path) -> str:
    """Returns the source of axe-core, an accessibility checker, out of the npm registry."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    done = subprocess.run(["npm", "pack", "--silent", _AXE], cwd=folder, capture_output=True)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        pytest.skip("the npm registry cannot be reached")
    with tarfile.open(archives[0]) as tar:
        source = tar.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


class Browser:
    """One tab. `events` holds everything that the browser reported so far."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def place_pipes() -> None:
            # Out of the way first: either may already be 3 or 4.
            reading, writing = os.dup(to_read), os.dup(to_write)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self._process = subprocess.Popen(
            [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                f"--user-data-dir={profile}",
                "--remote-debugging-pipe",
                "about:blank",
            ],
            close_fds=False,
            preexec_fn=place_pipes,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._ids = b"", itertools.count(1)
        self.events: list[dict[str, Any]] = []
        pages = self._send("Target.getTargets", session=None)["targetInfos"]
        target = next(each["targetId"] for each in pages if each["type"] == "page")
        attached = self._send(
            "Target.attachToTarget", {"targetId": target, "flatten": True}, session=None
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._read)
        os.close(self._write)

    def size(
        self, width: int, height: int, *, phone: bool = False, dark: bool = False, scale: int = 0
    ) -> None:
        self._send(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": scale or (2 if phone else 1),
             "mobile": phone},
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, url: str) -> None:
        self._loading()
        self._send("Page.navigate", {"url": url})
        self.loaded()

    def act(self, expression: str) -> None:
        """Runs what leads to another page, and waits for it."""
        self._loading()
        self.run(expression)
        self.loaded()

    def press(self, key: str, *, leads_on: bool = False, ctrl: bool = False) -> None:
        code = {"Enter": 13, "Tab": 9}.get(key, ord(key[0].upper()))
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        text = "" if ctrl else text
        self._loading()
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": key, "windowsVirtualKeyCode": code}
            event["modifiers"] = 2 if ctrl else 0
            self._send(
                "Input.dispatchKeyEvent", event | ({"text": text} if kind == "keyDown" else {})
            )
        if leads_on:
            self.loaded()

    def run(self, expression: str) -> Any:
        found = self._send(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        taken = self._send("Page.captureScreenshot", {"captureBeyondViewport": whole})
        path.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self) -> list[Any]:
        """Console errors and warnings, page errors, and violations of the content policy."""
        levels = {
            "Runtime.exceptionThrown": lambda params: "error",
            "Runtime.consoleAPICalled": lambda params: params["type"],
            "Log.entryAdded": lambda params: params["entry"]["level"],
        }
        return [
            event["params"]
            for event in self.events
            if event["method"] in levels
            and levels[event["method"]](event["params"]) in ("error", "warning")
        ]

    def requested(self) -> set[str]:
        return {
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        }

    def _loading(self) -> None:
        self._seen = len(self.events)

    def loaded(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if any(e["method"] == "Page.loadEventFired" for e in self.events[self._seen :]):
                return
            self._receive(deadline)
        raise TimeoutError("the page did not load")

    def _send(
        self, method: str, params: dict[str, Any] | None = None, *, session: Any = ...
    ) -> Any:
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params or {}}
        if session is ...:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            reply = self._receive(deadline)
            if reply is not None and reply.get("id") == number:
                assert "error" not in reply, reply
                return reply["result"]
        raise TimeoutError(method)

    def _receive(self, deadline: float) -> dict[str, Any] | None:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                return None
            self._buffer += os.read(self._read, 1 << 20)
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        if "method" in message:
            self.events.append(message)
            return None
        return message
