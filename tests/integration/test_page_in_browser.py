"""The page in a real browser, from the file or the microphone to the words."""

import json
import re
from itertools import pairwise

import httpx
import numpy as np
import pytest
import soundfile
from browser import opened
from keys import make_keys
from recordings import SPEECH, cer, recordings
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from server_process import connected, process, serving, wait_for_readiness
from socket_client import streaming
from tiny_bundle import make_bundle, speak

from service.audio import SAMPLE_RATE_HZ
from service.config import PACKAGED_BUNDLE

TEXTS = {recording.path.name: recording.text for recording in recordings()}
CLIP = SPEECH / "kokoro-001098.opus"  # 10 s, so that there is time to look while it plays
HUMAN = SPEECH / "librivox-0870.flac"
SHORT = SPEECH / "librivox-0880.flac"
FAKE_DEVICE = "--use-fake-device-for-media-stream"
FAKE_MICROPHONE = ("--use-fake-ui-for-media-stream", FAKE_DEVICE)  # allowed without being asked


def origin_of(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def behaved(page):
    """No request left the origin, nothing broke the policy, no script failed; the requests."""
    host = httpx.URL(page.origin).netloc.decode()
    asked = page.asked()
    assert {httpx.URL(url).netloc.decode() for url in asked} == {host}
    faults = ("Content Security Policy", "Uncaught", "SyntaxError")
    assert not [line for line in page.complaints() if any(fault in line for fault in faults)]
    return asked


@pytest.fixture(scope="module")
def window(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    with opened(origin_of(server.client), folder, FAKE_DEVICE) as page:
        yield page


@pytest.fixture
def page(window):
    """The page, as if it was just opened; held to its promises at the end."""
    window.open()
    yield window
    behaved(window)
    window.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """What the fake microphone hears, once, and then silence."""
    path = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    waveform = next(r.waveform() for r in recordings() if r.path == HUMAN)
    soundfile.write(path, np.pad(waveform, (0, SAMPLE_RATE_HZ)), SAMPLE_RATE_HZ, subtype="PCM_16")
    return f"--use-file-for-fake-audio-capture={path}%noloop"


@pytest.mark.parametrize("way", ["choose", "drop"])
@pytest.mark.parametrize("clip", [CLIP, HUMAN], ids=lambda path: path.name)
def test_a_file_gives_its_words(page, server, way, clip):
    getattr(page, way)(clip)
    assert page.result() == server.transcribe(clip.read_bytes())["text"]
    assert cer(TEXTS[clip.name], page.text()) < 0.2
    assert page.find("#said").get_property("textContent") == page.text()


NOTE = """
window.seen = [];
new MutationObserver(() => window.seen.push(
  [document.querySelectorAll(".word").length, document.getElementById("status").textContent],
)).observe(document.getElementById("words"), { childList: true, subtree: true });
"""


def test_a_long_file_s_words_appear_while_the_rest_is_recognised(page, server, tmp_path):
    path = tmp_path / "long.wav"
    waveform = np.concatenate([recording.waveform() for recording in recordings()])
    soundfile.write(path, waveform, SAMPLE_RATE_HZ)
    page.run(NOTE)
    page.choose(path)
    assert page.result() == server.transcribe(path.read_bytes())["text"]
    seen = page.run("return window.seen")
    counts = [count for count, _ in seen if count]
    assert len(set(counts)) > 1
    assert counts == sorted(counts)
    assert re.fullmatch(r"Recognising… \d+:\d\d", seen[-1][1])


def test_of_several_models_one_is_chosen_by_its_language(tmp_path):
    make_bundle(tmp_path / "bundles" / "one", name="one")
    make_bundle(tmp_path / "bundles" / "two", name="two", languages=["es", "gl"])
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, speak("buenos"), SAMPLE_RATE_HZ, subtype="FLOAT")
    with (
        serving("one", STT_BUNDLES_DIR=str(tmp_path / "bundles")) as client,
        opened(origin_of(client), tmp_path / "browser") as page,
    ):
        page.until(lambda: page.find("#language").is_displayed(), "there is no choice")
        assert page.find("#model").text == "Models: one, two"
        assert page.find("#language").text.split("\n") == ["en (one)", "es (two)", "gl (two)"]
        Select(page.find("#language")).select_by_visible_text("gl (two)")
        page.choose(clip)
        assert page.result() == "buenos"
        page.find("[data-format=json]").click()
        body = json.loads(page.saved("clip.json"))
        assert (body["model"], body["language"]) == ("two", "gl")
        assert page.find("#words").get_attribute("lang") == "gl"


def test_confidence_is_shown_by_more_than_colour(page, server):
    page.choose(HUMAN)
    page.result()
    words = server.transcribe(HUMAN.read_bytes())["words"]
    for shown, word in zip(page.words(), words, strict=True):
        assert shown.get_attribute("title").endswith(
            f"{word['confidence']:.0%}".replace("%", " % sure")
        )
        line = shown.value_of_css_property("text-decoration-line")
        assert (line == "underline") is (word["confidence"] < 0.8), word
    assert page.find("#legend").is_displayed() is any(w["confidence"] < 0.8 for w in words)
    page.words()[0].click()
    assert page.find("#chosen").text.startswith(f"“{words[0]['word']}”: ")


WATCH = """
window.sought = [];
window.lit = [];
const audio = document.getElementById("audio");
audio.addEventListener("seeking", () => window.sought.push(audio.currentTime));
const words = [...document.querySelectorAll(".word")];
new MutationObserver((changes) => changes.forEach(({ target, oldValue }) => {
  if (target.classList.contains("now") && !oldValue.includes("now"))
    window.lit.push(words.indexOf(target));
})).observe(document.getElementById("words"), {
  subtree: true, attributeFilter: ["class"], attributeOldValue: true,
});
"""


def test_a_clicked_word_is_played_and_those_after_it_light_up(page, server):
    page.choose(CLIP)
    page.result()
    page.run(WATCH)
    word = server.transcribe(CLIP.read_bytes())["words"][8]
    page.words()[8].click()
    page.until(lambda: len(page.run("return window.lit")) >= 4, "words do not light up")
    page.find("#play").click()
    page.until(lambda: page.find("#play").get_attribute("aria-label") == "Play", "it plays on")
    assert page.run("return window.sought") == pytest.approx([word["start_s"]], abs=0.001)
    lit = page.run("return window.lit")
    assert lit[0] == 8
    assert lit == sorted(set(lit))
    ActionChains(page.driver).click(page.find("#waveform")).perform()
    middle_s = pytest.approx(10.62 / 2, abs=0.1)
    page.until(lambda: page.run("return window.sought")[-1] == middle_s, "not the middle")


def test_all_can_be_done_by_keyboard(page, server):
    def press(*keys):
        ActionChains(page.driver).send_keys(*keys).perform()

    def focused():
        return page.driver.switch_to.active_element

    press(Keys.TAB)
    assert focused().get_attribute("id") == "speak"
    press(Keys.TAB)
    assert focused().get_attribute("id") == "file"
    label = page.find("label[for=file]")
    assert label.value_of_css_property("outline-style") == "solid"
    focused().send_keys(str(CLIP))  # what the system's own dialogue would give
    page.result()
    words = server.transcribe(CLIP.read_bytes())["words"]
    press(Keys.TAB)
    assert focused().get_attribute("id") == "play"
    press(Keys.TAB)
    assert focused().get_attribute("role") == "slider"
    press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.until(lambda: page.position_s() == 2, "arrows do not move")
    press(Keys.END, Keys.HOME)
    page.until(lambda: page.position_s() == 0, "Home does not move")
    press(Keys.TAB)
    assert focused().text == words[0]["word"]
    press(*[Keys.ARROW_RIGHT] * 5, Keys.ARROW_LEFT)
    assert focused().text == words[4]["word"]
    assert focused().value_of_css_property("outline-style") == "solid"
    press(Keys.ENTER)
    page.until(lambda: page.position_s() > words[4]["start_s"], "Enter does not play")
    press(Keys.TAB)
    assert focused().get_attribute("id") == "copy"
    press(Keys.TAB, Keys.ENTER)
    assert page.saved("kokoro-001098.txt").split() == page.text().split()


def test_every_control_has_a_name(page):
    page.choose(CLIP)
    page.result()
    controls = "button, input, select, a, [role=slider], [role=group]"
    for control in page.driver.find_elements("css selector", controls):
        if control.is_displayed():
            assert control.accessible_name, control.get_attribute("outerHTML")


def test_what_is_taken_along_says_the_same(page, server):
    page.choose(CLIP)
    text = page.result()
    for button in page.driver.find_elements("css selector", "[data-format]"):
        button.click()
    assert page.saved("kokoro-001098.txt") == f"{text}\n"
    body = json.loads(page.saved("kokoro-001098.json"))
    known = server.transcribe(CLIP.read_bytes())
    assert {**body, "request_id": "", "timing": {}} == {**known, "request_id": "", "timing": {}}
    srt, vtt = page.saved("kokoro-001098.srt"), page.saved("kokoro-001098.vtt")
    check_cues(srt, ",", text)
    assert vtt.startswith("WEBVTT\n\n")
    check_cues(vtt.removeprefix("WEBVTT\n\n"), ".", text)
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.find("#copy").click()
    page.until(lambda: page.find("#copy").text == "Copied", "nothing was copied")
    assert page.run("return window.copied") == text


def check_cues(content, point, text):
    """Subtitles of at most two lines of 42 characters, in order, with every word."""
    said, spans_ms = [], []
    for cue in content.strip().split("\n\n"):
        times, *lines = [line for line in cue.split("\n") if not line.isdecimal()]
        assert 1 <= len(lines) <= 2
        assert all(len(line) <= 42 for line in lines)
        said += lines
        numbers = [int(n) for n in re.findall(r"\d+", times)]
        assert times == "{:02}:{:02}:{:02}{p}{:03} --> {:02}:{:02}:{:02}{p}{:03}".format(
            *numbers, p=point
        )
        hours, minutes, seconds, ms = np.array(numbers).reshape(2, 4).T
        spans_ms.append((((hours * 60) + minutes) * 60 + seconds) * 1000 + ms)
    assert " ".join(said) == text
    assert all(start < end for start, end in spans_ms)
    assert all(left[1] <= right[0] for left, right in pairwise(spans_ms))


def test_subtitles_lose_no_word_however_long(page):
    generator = np.random.default_rng(0)
    start_s, words = 0.0, []
    for length in generator.integers(1, 30, 2000):
        end_s = start_s + 0.02 * length
        words.append({"word": "w" * int(length), "start_s": start_s, "end_s": end_s})
        start_s = end_s + float(generator.choice([0, 0.1, 0.9]))
    script = "import('./page/subtitles.js').then((m) => arguments[1](m.toSrt(arguments[0])))"
    srt = page.driver.execute_async_script(script, words)
    check_cues(srt, ",", " ".join(word["word"] for word in words))


def test_what_is_not_audio_is_told_in_plain_words(page, tmp_path):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all,\n" * 100)
    page.choose(letter)
    assert page.problem().startswith("This file is not audio that can be read here.")
    page.find("#dismiss").click()
    assert not page.find("#problem").is_displayed()
    empty = tmp_path / "empty.wav"
    empty.write_bytes(b"")
    page.choose(empty)
    assert page.problem() == "There is no sound in this file."
    page.choose(SHORT)
    assert page.result()
    assert not page.find("#problem").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1100])
def test_it_fits_every_screen_and_is_readable_there(page, scheme, width):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    page.choose(HUMAN)
    page.result()
    assert page.run("return document.documentElement.scrollWidth") <= width
    colours = [page.find(".word").value_of_css_property("color")]
    colours.append(page.find("body").value_of_css_property("background-color"))
    ink, paper = (brightness(colour) for colour in colours)
    assert (ink < paper) is (scheme == "light")
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7


def brightness(colour):
    """Relative luminance, as the accessibility guidelines define it."""
    values = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_a_refused_microphone_is_told_in_plain_words(page):
    refused = {"permission": {"name": "microphone"}, "setting": "denied", "origin": page.origin}
    page.driver.execute_cdp_cmd("Browser.setPermission", refused)
    page.find("#speak").click()
    assert page.problem().startswith("The microphone is not allowed on this page.")
    assert page.find("#speak-label").text == "Speak"


def test_the_browser_holds_the_page_to_its_policy(window):
    window.open()
    script = "fetch('http://localhost:1/').catch((e) => arguments[0](e.name))"
    assert window.driver.execute_async_script(script) == "TypeError"
    assert any("Content Security Policy" in line for line in window.complaints())


def test_speech_gives_words_while_it_lasts(server, tmp_path, spoken):
    with opened(origin_of(server.client), tmp_path, *FAKE_MICROPHONE, spoken) as page:
        ActionChains(page.driver).send_keys(Keys.TAB, Keys.ENTER).perform()
        page.until(lambda: len(page.find("#partial").text.split()) > 3, "no partial came")
        assert page.text() == ""
        assert page.find("#speak-label").text == "Stop"
        page.until(page.words, "no final came")
        ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
        assert cer(TEXTS[HUMAN.name], page.result()) < 0.25
        assert page.find("#partial").get_property("textContent") == ""
        words = page.words()
        words[-2].click()
        page.until(lambda: page.position_s() > 4, "what was spoken cannot be played")
        page.find("[data-format=json]").click()
        body = json.loads(page.saved("speech.json"))
        assert body["text"] == page.text()
        assert body["duration_s"] > body["words"][-1]["end_s"]
        assert any(url.startswith("ws:") for url in behaved(page))


def test_limits_and_losses_are_told_in_plain_words(tmp_path, spoken):
    settings = {"STT_MAX_AUDIO_S": "5", "STT_MAX_UPLOAD_BYTES": "200000", "STT_MAX_STREAMS": "1"}
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(300_000))
    with process(PACKAGED_BUNDLE, **settings) as server, connected(server) as client:
        wait_for_readiness(client, 200)
        with opened(origin_of(client), tmp_path, *FAKE_MICROPHONE, spoken) as page:
            assert "195 kB" in page.find("#limits").text
            page.choose(large)
            assert page.problem() == (
                "This file is too large: 293 kB. Files may have 195 kB at most."
            )
            page.choose(HUMAN)
            page.until(lambda: "too long" in page.find("#problem-text").text, "not refused")
            assert page.problem() == (
                "This recording is too long: 7.1 seconds. It may last 5 seconds at most."
            )
            page.find("#speak").click()
            page.until(lambda: page.find("#partial").text, "no partial came")
            page.until(page.words, "no final came")
            server.kill()
            assert page.problem().startswith("The connection to the server was lost.")
            assert cer(TEXTS[HUMAN.name], page.result()) < 0.25  # what was heard stays
            page.choose(SHORT)
            assert page.problem().startswith("The connection to the server was lost.")


async def test_a_full_server_is_told_in_plain_words(tmp_path, spoken):
    with (
        serving(PACKAGED_BUNDLE, STT_MAX_STREAMS="1") as client,
        opened(origin_of(client), tmp_path, *FAKE_MICROPHONE, spoken) as page,
    ):
        async with streaming(client) as other:
            await other.begin()
            page.find("#speak").click()
            assert page.problem() == "Too many are asking at once. Please try again in a moment."
        page.until(lambda: is_heard(page), "there is room, but nothing is heard")
        assert not page.find("#problem").is_displayed()


def is_heard(page):
    """Whether the page hears words; it tries again if it was refused, as a person would."""
    if page.find("#again").is_displayed():
        page.find("#again").click()
    return bool(page.find("#partial").text)


@pytest.fixture
def locked(tmp_path):
    """A server that asks for keys, its file of keys, and one of them."""
    keys = make_keys(tmp_path / "keys.json", {"person": {}})
    with serving(PACKAGED_BUNDLE, STT_API_KEYS_FILE=str(tmp_path / "keys.json")) as client:
        yield client, tmp_path / "keys.json", keys["person"]


def enter(page, key):
    page.find("#key").send_keys(key, Keys.ENTER)


def test_a_key_is_asked_for_and_kept_in_the_tab_only(locked, spoken, tmp_path):
    client, path, key = locked
    with opened(origin_of(client), tmp_path, *FAKE_MICROPHONE, spoken) as page:
        page.until(page.find("#locked").is_displayed, "no key was asked for")
        assert page.find("#locked-text").text == "This server asks for a key."
        enter(page, "stt_wrong")
        page.until(lambda: "does not open" in page.find("#locked-text").text, "it was taken")
        enter(page, "no key")
        assert page.find("#locked-text").text == "This cannot be a key."
        enter(page, key)
        page.until(lambda: "Model: english" in page.find("#model").text, "it was not taken")
        assert not page.find("#locked").is_displayed()
        page.choose(SHORT)
        assert cer(TEXTS[SHORT.name], page.result()) < 0.2
        page.find("#speak").click()
        page.until(lambda: page.words(), "nothing was heard")
        page.find("#speak").click()
        page.result()
        page.open()
        page.until(lambda: "Model: english" in page.find("#model").text, "it was not kept")
        kept = "return [document.cookie, {...localStorage}, Object.values(sessionStorage)]"
        assert page.run(kept) == ["", {}, [key]]
        assert not [url for url in behaved(page) if key in url]
        make_keys(path, {})
        page.choose(SHORT)
        assert page.problem() == "This server asks for a key. Enter yours above."
        page.until(page.find("#locked").is_displayed, "no other key was asked for")


def test_the_documentation_keeps_to_its_policy(server, tmp_path):
    with opened(origin_of(server.client), tmp_path) as page:
        page.driver.get(f"{page.origin}/docs")
        page.until(lambda: "/transcribe" in page.find("#swagger-ui").text, "nothing was shown")
        behaved(page)
