"""Draw the public pages as pictures: python scripts/screenshot_pages.py FOLDER [LANGUAGE …].

Each page is drawn 1280, 360 and 320 pixels wide, light and dark.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from walk_pages import ADDRESSES, launched, walk

WIDTHS = (1280, 360, 320)


def main(folder: Path, *languages: str) -> None:
    """Draw every page into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)

    def draw(page: Page, name: str) -> None:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                page.set_viewport_size({"width": width, "height": 740 if width < 400 else 860})
                page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                page.screenshot(path=folder / f"{name}.{width}.{scheme}.png", full_page=True)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                print(f"{name} is wider than {width} pixels")

    with sync_playwright() as playwright:
        browser = launched(playwright)
        walk(browser, draw, languages or tuple(ADDRESSES))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
