#!/usr/bin/env python3
"""Opens a page of `estudely analyze report --html` in headless Chromium, as a reader would: narrow and wide, light and dark.

    tests/page/run.py PAGE.html [DIRECTORY FOR SCREENSHOTS]

Fails if the console has an error, a plot is not visible, sorting does not sort, or the page is wider than its window. Needs chromium
and chromedriver (Debian: chromium, chromium-driver) and Python's standard library. The page is a file: no network is used.
"""

import base64
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
WIDTHS = [400, 1600]
SCHEMES = ["light", "dark"]

# What is looked at in the page.
LOOK = """
const seen = [...document.querySelectorAll("svg")].map((svg) => svg.getBoundingClientRect());
const body = document.scrollingElement;
const smallest = Math.min(...[...document.querySelectorAll("p, td, h2")].map((e) => parseFloat(getComputedStyle(e).fontSize)));
const ink = getComputedStyle(document.body);
return {
  plots: seen.length, hidden: seen.filter((box) => box.width < 200 || box.height < 30).length,
  wider: body.scrollWidth - document.documentElement.clientWidth, tables: document.querySelectorAll("table").length,
  smallest, ink: ink.color, paper: ink.backgroundColor,
};
"""

# Sorts every column of every table both ways and says which did not come out in order.
SORT = """
const wrong = [];
for (const table of document.querySelectorAll("table")) {
  for (const head of table.tHead.rows[0].cells) {
    for (const down of [false, true]) {
      head.querySelector("button").click();
      const texts = [...table.tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent);
      const numbers = head.classList.contains("n");
      const values = numbers ? texts.filter((text) => text !== "").map(Number) : texts;
      for (let at = 1; at < values.length; at += 1) {
        const order = numbers ? values[at] - values[at - 1] : values[at].localeCompare(values[at - 1], undefined, { numeric: true });
        if (down ? order > 0 : order < 0) { wrong.push(head.textContent + " of " + table.closest("section").id); break; }
      }
    }
  }
}
return wrong;
"""


class Browser:
    """A session of chromedriver, by its HTTP interface (WebDriver)."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                self.call("GET", "/status")
                break
            except OSError:
                time.sleep(0.1)
        options = {"args": FLAGS + [f"--user-data-dir={self.home.name}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}}
        self.url += "/session/" + self.call("POST", "/session", wanted)["sessionId"]

    def call(self, method, path, what=None):
        body = None if what is None else json.dumps(what).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def tell(self, command, params):
        self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.home.cleanup()


def look(browser, width, scheme, shots):
    """One width and one scheme; what is wrong with it."""
    browser.tell("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.tell("Emulation.setDeviceMetricsOverride", {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600})
    seen = browser.run(LOOK)
    wrong = []
    if seen["plots"] < 1 or seen["hidden"]:
        wrong.append(f"{seen['hidden']} of {seen['plots']} plots are not visible")
    if seen["wider"] > 0:
        wrong.append(f"the page is {seen['wider']} pixels wider than its window")
    if seen["smallest"] < 12:
        wrong.append(f"text of {seen['smallest']} pixels")
    dark = sum(int(part) for part in seen["paper"].strip("rgba()").split(",")[:3]) < 300
    if dark != (scheme == "dark"):
        wrong.append(f"paper is {seen['paper']}")
    if shots:
        picture = browser.call("GET", "/screenshot")
        (shots / f"page-{width}-{scheme}.png").write_bytes(base64.b64decode(picture))
    print(f"{width} pixels, {scheme}: {seen['plots']} plots, {seen['tables']} tables" + "".join(f"; WRONG: {what}" for what in wrong))
    return wrong


def main():
    page = pathlib.Path(sys.argv[1]).resolve()
    shots = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        browser.call("POST", "/url", {"url": page.as_uri()})
        wrong = [what for width in WIDTHS for scheme in SCHEMES for what in look(browser, width, scheme, shots)]
        unsorted = browser.run(SORT)
        print("sorting: " + ("every column, both ways" if not unsorted else "; ".join(unsorted)))
        said = [entry for entry in browser.call("POST", "/se/log", {"type": "browser"}) if entry["level"] in ("SEVERE", "WARNING")]
        for entry in said:
            print("console: " + entry["message"])
        return 1 if wrong or unsorted or said else 0
    finally:
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
