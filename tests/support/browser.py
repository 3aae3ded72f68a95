"""A headless Chromium, spoken to as WebDriver says (https://www.w3.org/TR/webdriver2/), without a library for it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars"),
]


class Browser:
    """One session."""

    def __init__(self, address: str, width: int, height: int, directory: str) -> None:
        self._address = address
        flags = [*FLAGS, f"--user-data-dir={directory}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        size = {"width": width, "height": height, "pixelRatio": 1.0, "touch": width < 800}
        options = {"args": flags, "mobileEmulation": {"deviceMetrics": size}}
        asked = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._session = self._post("/session", asked)["sessionId"]

    def _post(self, path: str, data: object) -> Any:
        request = urllib.request.Request(self._address + path, json.dumps(data).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path) -> None:
        """Show a file."""
        self._post(f"/session/{self._session}/url", {"url": page.as_uri()})

    def ask(self, script: str) -> Any:
        """What a JavaScript expression is."""
        return self._post(f"/session/{self._session}/execute/sync", {"script": f"return {script}", "args": []})

    def picture(self) -> bytes:
        """A PNG of what is to be seen."""
        request = f"{self._address}/session/{self._session}/screenshot"
        with urllib.request.urlopen(request, timeout=60) as answer:
            return base64.b64decode(json.load(answer)["value"])

    def dark(self) -> None:
        """As for people who like it dark."""
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}
        self._post(f"/session/{self._session}/goog/cdp/execute", command)

    def close(self) -> None:
        """End the session."""
        request = urllib.request.Request(f"{self._address}/session/{self._session}", method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()


@contextmanager
def browser(width: int, height: int) -> Iterator[Browser]:
    """A browser whose window has this size; skips the test where there is none."""
    if not shutil.which("chromedriver") or not shutil.which("chromium"):
        pytest.skip("chromium and chromium-driver are not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=directory, text=True
        )
        try:
            assert driver.stdout is not None
            line = next(line for line in driver.stdout if "started successfully on port" in line)
            port = line.rstrip().rstrip(".").rpartition(" ")[2]
            session = Browser(f"http://127.0.0.1:{port}", width, height, directory)
            try:
                yield session
            finally:
                session.close()
        finally:
            driver.terminate()
            driver.wait(20)
