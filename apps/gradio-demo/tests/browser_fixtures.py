"""The real command in a process of its own, and a page of a real browser before it."""

import os
import select
import shutil
import subprocess
import sys
from contextlib import contextmanager

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
START_S = 180


@contextmanager
def running_demo(*options):
    """`tunedassist-demo` on a free port; gives its URL."""
    program = "from tunedassist_gradio_demo.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", *map(str, options)],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    try:
        ready, _, _ = select.select([process.stdout], [], [], START_S)
        line = process.stdout.readline() if ready else ""
        assert line.startswith("http://"), f"the demo did not start: {line!r}"
        yield line.split()[0]
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


@contextmanager
def browser_page(url, **context):
    """A page at `url`; `page.requests_elsewhere` lists every request that left loopback."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context)).new_page()
        page.set_default_timeout(90_000)
        page.requests_elsewhere, page.errors = [], []
        page.on("request", lambda request: _note(page, request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(url)
        page.get_by_role("tab", name="Chat").wait_for()
        try:
            yield page
        finally:
            browser.close()


def _note(page, url):
    if not url.startswith(("http://127.0.0.1", "data:", "blob:")):
        page.requests_elsewhere.append(url)


def say(page, message):
    """Type into the chat and press Enter."""
    box = page.locator("#message textarea")
    box.fill(message)
    box.press("Enter")


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()
