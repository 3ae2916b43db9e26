"""A headless Chromium that tests lead by its debugging protocol: pages as a person sees and uses them."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import websocket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 60.0
ALONE = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
FLAGS = (
    *ALONE,
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


class Browser:
    """One page of a browser. `said` are the errors and messages of its console."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=PATIENCE_S)
        self._numbers = itertools.count(1)
        self.said: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol and its result; what the page says meanwhile is kept."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.said.append(str(params["exceptionDetails"].get("exception", {}).get("description")))
        elif message.get("method") == "Log.entryAdded":
            self.said.append(str(params["entry"]["text"]))
        elif message.get("method") == "Runtime.consoleAPICalled":
            self.said.append(str([argument.get("value") for argument in params["args"]]))

    def open(self, address: str, width: int = 1400, *, dark: bool = False, media: str = "screen") -> None:
        """Load the page in a window of that width and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """What the expression gives in the page, as plain data; a promise is awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str, within_s: float = PATIENCE_S) -> Any:
        """Wait until the expression holds; its value."""
        deadline = time.monotonic() + within_s
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}; the page said {self.said}"
            time.sleep(0.1)
        return found

    def mouse(self, kind: str, x: float, y: float, *, held: bool = False) -> None:
        """`kind`: mousePressed, mouseMoved (with the button `held` or not) or mouseReleased."""
        self.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=int(kind != "mouseMoved"),
            button="none" if kind == "mouseMoved" and not held else "left",
            buttons=int(kind == "mousePressed" or held),
        )  # fmt: skip

    def press(self, key: str, code: int) -> None:
        """One key down and up."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, file: Path) -> None:
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        self._socket.close()


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser of its own below `folder`, always ended."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'chromium'}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _awaited(lambda: (folder / "chromium" / "DevToolsActivePort").read_text().split()[0])
        pages = _awaited(lambda: requests.get(f"http://127.0.0.1:{port}/json", timeout=5).json())
        page = Browser(next(one["webSocketDebuggerUrl"] for one in pages if one["type"] == "page"))
        try:
            yield page
        finally:
            page.close()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _awaited(read: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return read()
        except (OSError, IndexError):
            assert time.monotonic() < deadline, "the browser did not start"
            time.sleep(0.1)
