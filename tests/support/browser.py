"""Chromium without a window, and what it tells of a page: requests, violations, saved files."""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from patience import PATIENCE_S
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--window-size=1100,900",
)
NETWORK = ("http", "https", "ws", "wss")
DROP = """
const [name, base64] = arguments;
const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const dataTransfer = new DataTransfer();
dataTransfer.items.add(new File([bytes], name));
document.querySelector("main").dispatchEvent(
  new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
"""


class Page:
    """The page in a browser of its own."""

    def __init__(self, driver: webdriver.Chrome, origin: str, downloads: Path) -> None:
        self.driver = driver
        self.origin = origin
        self._downloads = downloads
        self.open()

    def open(self) -> None:
        """Load the page, afresh if it is there already."""
        self.driver.get(f"{self.origin}/")

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def words(self) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, ".word")

    def text(self) -> str:
        """What the page says was said."""
        script = "return [...document.querySelectorAll('.word')].map((e) => e.textContent)"
        return " ".join(self.run(script))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Any, message: str) -> Any:
        waiting = WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.05)
        return waiting.until(lambda _: condition(), message)

    def choose(self, path: Path) -> None:
        self.find("#file").send_keys(str(path))

    def drop(self, path: Path) -> None:
        self.run(DROP, path.name, base64.b64encode(path.read_bytes()).decode())

    def result(self) -> str:
        """The text, once all is there and can be played."""
        self.until(lambda: self.find("#tools").is_displayed(), "no result came")
        self.until(lambda: self.find("#play").is_enabled(), "it cannot be played")
        return self.text()

    def problem(self) -> str:
        self.until(lambda: self.find("#problem").is_displayed(), "no problem was shown")
        return self.find("#problem-text").text

    def position_s(self) -> float:
        return float(self.run("return document.getElementById('audio').currentTime"))

    def saved(self, name: str) -> str:
        """A downloaded file's content, once it is complete."""
        path = self._downloads / name
        self.until(path.exists, f"{name} was not saved")
        return path.read_text(encoding="utf-8")

    def asked(self) -> set[str]:
        """Addresses of all requests and sockets since it was last asked."""
        entries = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        messages = [entry["message"] for entry in entries]
        found = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        found += [
            message["params"]["url"]
            for message in messages
            if message["method"] == "Network.webSocketCreated"
        ]
        return {url for url in found if urlsplit(url).scheme in NETWORK}

    def complaints(self) -> list[str]:
        """What the browser's console says: violations of the policy, errors of scripts."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def opened(origin: str, folder: Path, *arguments: str) -> Iterator[Page]:
    """The page at an origin; skipped where there is no Chromium, but not in CI.

    Args:
        origin: `http://host:port`.
        folder: for the browser's profile and downloads.
        arguments: more of Chromium's.
    """
    browser, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and chromedriver):
        reason = "needs chromium and chromedriver (Debian: chromium, chromium-driver)"
        assert "CI" not in os.environ, reason
        pytest.skip(reason)
    downloads = folder / "downloads"
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (*ARGUMENTS, f"--user-data-dir={folder / 'profile'}", *arguments):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    try:
        yield Page(driver, origin, downloads)
    finally:
        driver.quit()
