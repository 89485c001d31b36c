"""Takes the picture of the page that the README shows: `python tests/support/page_picture.py`."""

from pathlib import Path
from tempfile import TemporaryDirectory

from browser import opened
from recordings import SPEECH
from selenium.webdriver.common.action_chains import ActionChains
from server_process import serving

from service.config import PACKAGED_BUNDLE
from service.routes.page import FOLDER

CLIP = SPEECH / "librivox-0870.flac"
PLAYED = 11  # words
SCREEN = {"width": 860, "height": 510, "deviceScaleFactor": 1.5, "mobile": False}


def main() -> None:
    """Of a recording that was played halfway."""
    with TemporaryDirectory() as folder, serving(PACKAGED_BUNDLE, STT_JOBS_DIR=folder) as client:
        origin = str(client.base_url).rstrip("/")
        with opened(origin, Path(folder), "--hide-scrollbars") as page:
            page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREEN)
            page.choose(CLIP)
            page.result()
            page.words()[PLAYED].click()
            page.until(lambda: page.position_s() > 0, "it does not play")
            page.find("#play").click()
            ActionChains(page.driver).move_to_element(page.find("h1")).perform()
            page.run("document.activeElement.blur()")
            page.driver.save_screenshot(str(FOLDER / "picture.png"))


if __name__ == "__main__":
    main()
