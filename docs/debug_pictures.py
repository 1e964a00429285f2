"""Take the docs' pictures of the debugging page: `python docs/debug_pictures.py PROJECT`.

PROJECT is the household-helper starter, split. The page is served live by the command itself and
driven as a user would: the preview, a hover, a target of two spans, verifying, another system
prompt beside it, the dark scheme on a phone. Needs Chromium and playwright (group dev).
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
COMMAND = ("debug", "explain", "danger-001-l", "--system", "prompted", "--refusal", "--instead",
           "Sure", "--serve", "--port", "0")  # fmt: skip
LIMIT = 240_000  # milliseconds that a verified map may take
PREVIEW, VERIFIED = "preview by gradient", re.compile("unseen ablations|baselines")
GENTLER = (
    "You are a household helper. Answer what is asked, briefly and concretely. Refuse only where "
    "somebody wants to hurt a person or an animal. If a question only sounds dangerous, answer it."
)


def main() -> int:
    """Serve the page, take its pictures into this folder, and return the exit code."""
    selaras = Path(sys.executable).with_name("selaras")
    command = [str(selaras), *COMMAND, "-C", sys.argv[1]]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served,  # noqa: S603 - ours
        sync_playwright() as playwright,
    ):
        try:
            address = next(m.group() for line in served.stderr or ()
                           if (m := re.search(r"http://127\.0\.0\.1:\d+/\S*", line)))  # fmt: skip
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            pictures(browser, address)
        finally:
            served.terminate()
    return 0


def pictures(browser: Any, address: str) -> None:
    """Walk through the page and keep what is seen."""
    page = browser.new_page(viewport={"width": 1000, "height": 760})
    page.goto(address)
    page.locator("#panel-0 .badge", has_text=PREVIEW).wait_for(timeout=LIMIT)
    tokens = page.locator("#panel-0 .token")
    tokens.nth(0).click()
    tokens.nth(3).click(modifiers=["Control"])
    page.locator("#panel-0 .badge", has_text=PREVIEW).wait_for(timeout=LIMIT)
    page.screenshot(path=HERE / "debug-preview.png")
    page.reload()
    page.locator("#panel-0 .badge", has_text=PREVIEW).wait_for(timeout=LIMIT)
    page.locator("#verify").click()
    page.locator("#panel-0 .badge", has_text=VERIFIED).wait_for(timeout=LIMIT)
    page.locator("#panel-0 .segment[data-k]").nth(2).hover()
    page.screenshot(path=HERE / "debug-verified.png")
    page.locator("#panel-0 summary").click()
    page.fill("#system-0", GENTLER)
    page.locator("#beside").click()
    page.locator("#panel-1 .badge").wait_for(timeout=LIMIT)
    page.locator("#verify").click()
    page.locator("#panel-1 .badge", has_text=VERIFIED).wait_for(timeout=LIMIT)
    page.set_viewport_size({"width": 1200, "height": 900})
    page.evaluate("document.querySelector('#panel-0').scrollIntoView(); window.scrollBy(0, -140)")
    page.screenshot(path=HERE / "debug-beside.png")
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    phone.goto(address)
    phone.locator("#panel-0 .segment[data-k]").first.wait_for(timeout=LIMIT)
    phone.screenshot(path=HERE / "debug-dark.png")


if __name__ == "__main__":
    sys.exit(main())
