"""Start, Image sets and Descriptions in a real browser: by keyboard, at two widths, light and dark, in every state."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.services import descriptions, image_sets, incoming_images, jobs, training
from tests.browser.conftest import Site, Visit
from tests.browser.measures import NOTHING_WRONG, measured
from tests.core.images.deep_files import brain, png16

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"
MOST_TABS = 60
LOOKS = [(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")]


def png(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def two_classes() -> dict[str, bytes]:
    """{name: content} of six images in each of two classes and two parts."""
    places = [f"{part}/{name}" for part in ("train", "test") for name in ("cyst", "solid mass")]
    return {f"{place}/{n}.png": png(100 * k + n) for k, place in enumerate(places) for n in range(6)}


def stored(site: Site, name: str) -> dict[str, Any] | None:
    """The image set of this name, if there is one."""
    return next((row for row in image_sets.list_image_sets(site.context) if row["name"] == name), None)


@pytest.fixture
def demo(site: Site) -> dict[str, Any]:
    """The demo set."""
    return incoming_images.add_demo(site.context)


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    """Two classes in both parts, one truncated image and one text called an image."""
    path = tmp_path / "small set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in two_classes().items():
            archive.writestr(name, content)
        archive.writestr("train/cyst/broken.png", png(999)[:60])
        archive.writestr("train/cyst/letter.png", "Dear colleague")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a person has it: its own name above the classes, one of them named to do harm."""
    for k, name in enumerate(("left eye", "&lt;b&gt; & co")):
        place = tmp_path / "fundus" / name
        place.mkdir(parents=True)
        for n in range(5):
            (place / f"{n}.png").write_bytes(png(500 + 100 * k + n))
    (tmp_path / "fundus" / ".DS_Store").write_bytes(b"x")
    return tmp_path / "fundus"


def faults_in_every_look(page: Any) -> dict[tuple[int, str], Any]:
    """What is wrong on the page at both widths, light and dark; only looks with faults are listed."""
    page.wait_for_selector(".ps-busy", state="detached")
    found = {}
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found[width, scheme] = measured(page)
    return {look: faults for look, faults in found.items() if faults != NOTHING_WRONG}


def focused(page: Any) -> str:
    """What a screen reader would call the focused element."""
    return page.evaluate(
        "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent).trim()"
    )


def tab_to(page: Any, name: str) -> None:
    """Press Tab until an element of this name has the focus, and see that the focus shows."""
    tab_until(page, lambda: focused(page).startswith(name))
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def tab_until(page: Any, is_there: Callable[[], bool]) -> None:
    """Press Tab until the focus is where it should come to."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if is_there():
            return
    pytest.fail(f"{MOST_TABS} times Tab did not reach it; the focus is on '{focused(page)}'")


# ------------------------------------------------------------------ an empty home; these run first


@pytest.mark.parametrize(
    ("path", "shown"), [("/", ".ps-machine"), ("/image-sets", "ps-upload h2"), ("/descriptions", ".ps-empty")]
)
def test_empty_pages_can_be_read_and_used_by_everybody(window: Visit, path: str, shown: str) -> None:
    assert faults_in_every_look(window.open(path, shown)) == {}


def test_an_empty_site_says_where_one_stands_and_what_comes_next(window: Visit) -> None:
    page = window.open("/", ".ps-step-here")
    assert page.locator(".ps-step-here .ps-step-name").inner_text() == "Images"
    page = window.open("/descriptions", ".ps-empty")
    page.get_by_role("link", name="Add an image set").click()
    page.wait_for_url("**/image-sets")
    assert "8 or 16 bit, grey or colour. At most 20,000 files" in page.locator("ps-upload").inner_text()


def test_the_skip_link_goes_past_the_navigation(window: Visit) -> None:
    page = window.open("/image-sets", "ps-upload h2")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert focused(page) == "Add the demo set"


def test_adding_nothing_says_what_to_choose_first(window: Visit) -> None:
    page = window.open("/image-sets", "ps-upload h2")
    page.get_by_role("button", name="Add these images").click()
    assert page.get_by_role("alert").filter(has_text="Choose a zip").inner_text() == (
        "Choose a zip, a folder or images first."
    )


def test_an_upload_without_any_image_is_refused_with_the_reason_and_can_be_tried_again(
    window: Visit, tmp_path: Path
) -> None:
    window.expected.append("status of 422")
    letter = tmp_path / "letter.txt"
    letter.write_text("no image")
    page = window.open("/image-sets", "ps-upload h2")
    page.locator("input[type=file][multiple]").set_input_files(letter)
    page.get_by_label("Name of the set").fill("Nothing")
    page.get_by_role("button", name="Add these images").click()
    page.wait_for_selector(".ps-notice-bad")
    assert len(page.locator(".ps-notice-bad").inner_text()) > 20
    assert page.get_by_role("button", name="Add these images").is_enabled()
    assert focused(page) == "Add these images"


def test_the_demo_is_opened_by_keyboard_and_says_that_it_is_drawn(window: Visit) -> None:
    page = window.open("/", ".ps-machine")
    tab_to(page, "Try the demo set")
    page.keyboard.press("Enter")
    page.wait_for_selector(".ps-wall")
    assert "/image-sets?id=" in page.url
    assert "They are not patient images" in page.locator(".ps-detail").inner_text()
    tab_to(page, "bright round lesion")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("ArrowRight")
    tab_to(page, "Show the mask")
    page.keyboard.press("Enter")
    assert page.locator(".ps-viewer-mask").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert focused(page).startswith("bright round lesion")


# ------------------------------------------------------------------ image sets


def test_a_zip_is_added_by_keyboard_and_shows_counts_pictures_and_refused_files(window: Visit, zipped: Path) -> None:
    page = window.open("/image-sets?add", "ps-upload h2")
    # The window that chooses files is the system's; a keyboard reaches it through this input.
    chooser = page.locator("input[type=file][multiple]")
    tab_until(page, lambda: chooser.evaluate("e => e === document.activeElement"))
    assert page.evaluate("getComputedStyle(document.activeElement.closest('label')).outlineStyle") == "solid"
    chooser.set_input_files(zipped)
    assert page.get_by_label("Name of the set").input_value() == "small set"
    tab_to(page, "Add these images")
    page.keyboard.press("Enter")
    page.wait_for_selector(".ps-wall")
    assert focused(page) == "small set"
    rows = page.locator("ps-class-counts tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [["cyst", "6", "6", "12"], ["solid", "mass", "6", "6", "12"]]
    tray = page.locator(".ps-tray").inner_text()
    assert "2 files could not be used" in tray
    assert "broken.png" in tray
    assert "letter.png" in tray
    assert (
        "What\nUnreadable image\nExpected\nA PNG, JPEG, TIFF, BMP or WebP image\nFound\nContent of another kind" in tray
    )
    assert page.locator(".ps-tile img").count() == 24
    page.wait_for_function(
        "[...document.querySelectorAll('.ps-tile img')].slice(0, 6).every((i) => i.naturalWidth > 0)"
    )


def test_a_folder_becomes_classes_without_its_own_name_and_names_stay_text(window: Visit, folder: Path) -> None:
    page = window.open("/image-sets?add", "ps-upload h2")
    page.locator("input[webkitdirectory]").set_input_files(folder)
    page.get_by_label("Name of the set").fill(HOSTILE)
    chosen = page.locator("ps-upload").inner_text()
    assert "10 files chosen" in chosen
    assert "1 system file left out" in chosen
    page.get_by_role("button", name="Add these images").click()
    page.wait_for_selector(".ps-wall")
    assert page.locator(".ps-detail h2").inner_text() == HOSTILE
    assert page.locator("ps-class-counts tbody th").all_inner_texts() == ["&lt;b&gt; & co", "left eye"]
    assert page.locator("ps-image-sets img[src=x]").count() == 0


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_pictures_without_contrast_are_marked_and_deep_ones_tell_their_range(
    site: Site, open_window: Callable[..., Visit], width: int, scheme: str
) -> None:
    if (added := stored(site, "dull and deep")) is None:
        black = io.BytesIO()
        Image.new("L", (40, 32)).save(black, "PNG")
        files = two_classes() | {"train/cyst/0.png": black.getvalue()}
        files["train/cyst/1.png"] = png16(np.rint(brain() * 4000).astype("u2"))
        sent = [(name, io.BytesIO(content)) for name, content in files.items()]
        added = incoming_images.add_upload(site.context, sent, "dull and deep")
        texts = {row["name"]: [f"a {row['name']}."] for row in added["classes"]}
        descriptions.save_version(site.context, added["id"], "Wording", texts, "A. Reader", "edited")
    page = open_window(width=width, dark=scheme == "dark").open(f"/image-sets?id={added['id']}", ".ps-tile")
    assert page.get_by_text("1 of 24 images is nearly constant or empty: 'train/cyst/0.png'.").count() == 1
    assert page.locator(".ps-tile .ps-chip-warn").all_inner_texts() == ["Nearly constant"]
    page.locator(".ps-tile", has_text="Nearly constant").click()
    notice = page.locator("dialog .ps-notice-warn")
    assert notice.inner_text() == (
        "The picture is nearly constant, black all over: look at it before you trust an answer."
    )
    page.get_by_role("button", name="Next").click()
    assert "Shown range: 16-bit unsigned values, 0 shown as black and" in page.locator("dialog").inner_text()
    assert measured(page) == NOTHING_WRONG
    page.goto(f"{site.address}/descriptions?image_set={added['id']}")
    page.wait_for_selector(".ps-review-examples img")
    black_id = image_sets.list_images(site.context, added["id"], class_name="cyst", part="train")[0]["id"]
    shown = page.locator(".ps-review-examples img").evaluate_all("all => all.map((image) => image.src)")
    assert [src for src in shown if black_id in src] == []


def test_a_table_with_its_images_is_added_too(window: Visit, tmp_path: Path) -> None:
    files = [tmp_path / "labels.csv"]
    with files[0].open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["path", "label", "split"])
        for n in range(8):
            files.append(tmp_path / f"{n}.png")
            files[-1].write_bytes(png(2000 + n))
            rows.writerow([f"{n}.png", "yes" if n % 2 else "no", "train" if n < 4 else "test"])
    page = window.open("/image-sets?add", "ps-upload h2")
    page.locator("input[type=file][multiple]").set_input_files(files)
    page.get_by_label("Name of the set").fill("From a table")
    page.get_by_role("button", name="Add these images").click()
    page.wait_for_selector(".ps-wall")
    rows_shown = [row.split() for row in page.locator("ps-class-counts tbody tr").all_inner_texts()]
    assert rows_shown == [["no", "2", "2", "4"], ["yes", "2", "2", "4"]]


def lesions(folder: Path) -> Path:
    """A zip as HAM10000 is laid out: two folders of images, one table, three images of each lesion."""
    lines = ["lesion_id,image_id,dx", *(f"L{n // 3},I{n},{'nv' if n < 12 else 'mel'}" for n in range(24))]
    archive = folder / "skin.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("HAM/metadata.csv", "\n".join(lines))
        for n in range(24):
            target.writestr(f"HAM/part_{1 + n % 2}/I{n}.png", png(3000 + n))
    return archive


def test_the_column_of_patients_is_shown_before_sending_and_can_be_changed(window: Visit, tmp_path: Path) -> None:
    page = window.open("/image-sets?add", "ps-upload h2")
    page.locator("input[type=file][multiple]").set_input_files(lesions(tmp_path))
    choice = page.get_by_label("Column that tells patients apart")
    choice.wait_for()
    assert choice.locator("option").all_inner_texts() == [
        "lesion_id (8 groups, recognised)",
        "None: each image stands alone",
    ]
    assert choice.input_value() == "lesion_id"
    told = page.locator("ps-column-choice").inner_text()
    assert "24 images in 2 classes: nv, mel." in told
    assert "metadata.csv: the column image_id names the files, dx the classes." in told
    assert "24 images in 8 groups; each group stays whole." in told
    choice.select_option("none")
    assert "Images of one patient may stand in training and in test." in page.locator("ps-column-choice").inner_text()
    page.get_by_role("button", name="Add these images").click()
    page.wait_for_selector(".ps-wall")
    assert (
        "Images are not grouped, as was asked; lesion_id would make 8 groups." in page.locator(".ps-notes").inner_text()
    )


def spots(folder: Path) -> Path:
    """A zip with its table at the top and two columns that could be the classes."""
    lines = ["image,label,side,patient"]
    lines += [f"x{n}.png,{'nv' if n < 12 else 'mel'},{'left' if n % 2 else 'right'},P{n // 3}" for n in range(24)]
    archive = folder / "spots.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("metadata.csv", "\n".join(lines))
        for n in range(24):
            target.writestr(f"images/x{n}.png", png(4000 + n))
    return archive


def test_the_column_of_classes_is_shown_before_sending_and_can_be_changed(window: Visit, tmp_path: Path) -> None:
    page = window.open("/image-sets?add", "ps-upload h2")
    page.locator("input[type=file][multiple]").set_input_files(spots(tmp_path))
    choice = page.get_by_label("Column that names the classes")
    choice.wait_for()
    assert choice.locator("option").all_inner_texts() == ["label (2 classes, recognised)", "side (2 classes)"]
    assert page.get_by_label("Column that tells patients apart").input_value() == "patient"
    tab_to(page, "label (2 classes")
    page.keyboard.press("ArrowDown")
    page.get_by_text("24 images in 2 classes: right, left.").wait_for()
    assert choice.input_value() == "side"
    assert choice.evaluate("e => e === document.activeElement")
    assert faults_in_every_look(page) == {}
    page.get_by_role("button", name="Add these images").click()
    page.wait_for_selector(".ps-wall")
    assert page.locator("ps-class-counts tbody th").all_inner_texts() == ["right", "left"]


def test_who_is_faster_than_the_reading_of_a_table_sees_its_columns_first(
    window: Visit, site: Site, tmp_path: Path
) -> None:
    held: list[Any] = []
    page = window.open("/image-sets?add", "ps-upload h2")
    page.route("**/image-sets/columns", lambda route: held.append(route))
    with page.expect_request("**/image-sets/columns"):
        page.locator("input[type=file][multiple]").set_input_files(spots(tmp_path))
    page.get_by_label("Name of the set").fill("In a hurry")
    page.get_by_role("button", name="Add these images").click()
    page.get_by_text("Reading the table first").wait_for()
    held[0].continue_()
    page.get_by_text("Check its columns above, then add the images.").wait_for()
    assert focused(page) == "What the table says"
    assert stored(site, "In a hurry") is None
    page.get_by_role("button", name="Add these images").click()
    page.wait_for_selector(".ps-wall")
    assert stored(site, "In a hurry") is not None


def test_thumbnails_are_filtered_and_paged(window: Visit, demo: dict[str, Any]) -> None:
    page = window.open(f"/image-sets?id={demo['id']}", ".ps-wall")
    page.wait_for_selector("text=1 to 48 of")
    page.get_by_role("button", name="Further images").click()
    page.wait_for_selector("text=49 to 96 of")
    page.get_by_label("Class", exact=True).select_option("no lesion")
    page.wait_for_function(
        "[...document.querySelectorAll('.ps-tile-name')].every((n) => n.textContent === 'no lesion')"
    )
    page.get_by_label("Part", exact=True).select_option("test")
    page.wait_for_function("document.querySelectorAll('.ps-tile').length === 24")


def open_a_set_to_delete(window: Visit, site: Site, name: str) -> Any:
    """The page of a new set, asking whether to delete it."""
    files = [(file, io.BytesIO(content)) for file, content in two_classes().items()]
    incoming_images.add_upload(site.context, files, name)
    page = window.open("/image-sets", ".ps-list")
    page.locator(".ps-list-link", has_text=name).click()
    page.get_by_role("button", name="Delete this set").click()
    return page


def test_a_set_is_deleted_only_after_its_name_was_typed(window: Visit, site: Site) -> None:
    page = open_a_set_to_delete(window, site, "Too much")
    assert page.get_by_role("button", name="Delete the set").is_disabled()
    page.get_by_label("Type").fill("too much")
    assert page.get_by_role("button", name="Delete the set").is_disabled()
    page.get_by_label("Type").fill("Too much")
    page.keyboard.press("Enter")
    page.wait_for_selector(".ps-list-link >> text=Too much", state="detached")
    assert stored(site, "Too much") is None


def test_pictures_of_a_deleted_set_are_not_waited_for(window: Visit, site: Site) -> None:
    held: list[Any] = []
    window.page.route("**/thumbnail?*", lambda route: held.append(route))
    with window.page.expect_request("**/thumbnail?*"):
        page = open_a_set_to_delete(window, site, "Slow to load")
    page.get_by_label("Type").fill("Slow to load")
    page.keyboard.press("Enter")
    page.wait_for_selector(".ps-list-link >> text=Slow to load", state="detached")
    # what is asked from here on passes at once: a request held after the loop below would never be answered
    page.route("**/thumbnail?*", lambda route: route.continue_())
    for route in held:
        route.continue_()
    # a picture that was still waited for is now answered by "not found"; those of the set shown next may have come
    answers = [route.request.response() for route in held]
    assert [answer.url for answer in answers if answer and answer.status == 404] == []


def test_a_set_that_a_job_waits_for_stays_and_says_why(window: Visit, site: Site) -> None:
    window.expected.append("status of 409")
    page = open_a_set_to_delete(window, site, "Still needed")
    job = training.submit(site.context, {"image_set": "Still needed", "method": "zero_shot", "shots": 4})
    page.get_by_label("Type").fill("Still needed")
    page.keyboard.press("Enter")
    page.wait_for_selector(".ps-detail .ps-notice-bad")
    assert "1 queued or running job does" in page.locator(".ps-detail .ps-notice-bad").inner_text()
    assert page.evaluate("document.activeElement.textContent") == "Still needed"
    assert page.get_by_role("button", name="Delete this set").is_visible()
    jobs.cancel_job(site.context, job["id"])


def test_a_job_without_a_result_is_deleted_by_keyboard_so_that_its_images_can_go(window: Visit, site: Site) -> None:
    page = open_a_set_to_delete(window, site, "Tried once")
    page.keyboard.press("Escape")
    job = training.submit(site.context, {"image_set": "Tried once", "method": "zero_shot", "shots": 4})
    jobs.cancel_job(site.context, job["id"])
    page = window.open("/", ".ps-step-here")
    assert page.locator(".ps-step", has_text="Compare").locator(".ps-step-state").inner_text() == "nothing yet"
    page = window.open("/jobs", ".ps-table tbody tr")
    row = page.locator("tbody tr", has_text="on Tried once")
    assert faults_in_every_look(page) == {}
    row.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    assert focused(page) == "Keep it"
    page.keyboard.press("Escape")
    assert focused(page) == "Delete"
    page.keyboard.press("Enter")
    tab_to(page, "Delete the job")
    page.keyboard.press("Enter")
    row.wait_for(state="detached")
    assert jobs.count_jobs(site.context, "cancelled") == page.locator("tbody tr").count()
    assert page.evaluate("document.activeElement.localName") in ("button", "a")
    image_sets.delete_image_set(site.context, "Tried once")


@pytest.mark.usefixtures("demo")
def test_a_set_that_does_not_exist_is_said_to_be_missing(window: Visit) -> None:
    window.expected.append("status of 404")
    page = window.open("/image-sets?id=nothing", ".ps-notice-bad")
    assert "nothing" in page.locator(".ps-notice-bad").inner_text()
    assert page.locator(".ps-list-link").count() >= 1


# ------------------------------------------------------------------ every look, full and failed


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize(
    ("path", "shown"),
    [("/", ".ps-machine"), ("/image-sets", ".ps-wall"), ("/descriptions?view=text", ".ps-class-text")],
)
def test_full_pages_can_be_read_and_used_by_everybody(window: Visit, path: str, shown: str) -> None:
    assert faults_in_every_look(window.open(path, shown)) == {}


@pytest.mark.parametrize("path", ["/", "/image-sets", "/descriptions"])
def test_pages_that_failed_can_be_read_and_used_by_everybody(window: Visit, path: str) -> None:
    window.expected += ["Failed to load resource", "net::ERR"]
    window.page.route("**/api/v1/**", lambda route: route.abort())
    assert faults_in_every_look(window.open(path, ".ps-notice-bad")) == {}


@pytest.mark.parametrize("path", ["/", "/image-sets", "/descriptions"])
def test_a_server_that_does_not_answer_is_said_to_be_missing_and_can_be_asked_again(window: Visit, path: str) -> None:
    window.expected += ["Failed to load resource", "net::ERR"]
    window.page.route("**/api/v1/**", lambda route: route.abort())
    page = window.open(path, ".ps-notice-bad")
    assert "Check that Promptoscope is still running" in page.locator(".ps-notice-bad").first.inner_text()
    page.unroute("**/api/v1/**")
    page.get_by_role("button", name="Try again").first.click()
    page.wait_for_selector(".ps-notice-bad", state="detached")


def test_light_and_dark_follow_the_system_until_a_person_chooses(open_window: Callable[..., Visit]) -> None:
    page = open_window(dark=True).open("/", ".ps-machine")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(16, 21, 23)"
    switch = page.locator("[data-ps-theme]")
    switch.click()
    assert switch.inner_text().split() == ["Colours:", "light"]
    assert page.evaluate(ground) == "rgb(245, 247, 248)"
    page.reload()
    page.wait_for_selector(".ps-machine")
    assert page.evaluate(ground) == "rgb(245, 247, 248)"


def test_gradios_own_navigation_and_footer_are_not_shown(window: Visit) -> None:
    page = window.open("/image-sets", ".ps-slot h2")
    assert page.get_by_text("Use via API").count() == 0
    assert page.get_by_text("Built with Gradio").count() == 0
    assert page.locator("gradio-app nav >> text=Home").is_hidden()


def test_two_windows_see_the_same_sets(open_window: Callable[..., Visit], site: Site) -> None:
    first, second = open_window(), open_window()
    names = [
        window.open("/image-sets", ".ps-list").locator(".ps-list-title").all_inner_texts() for window in (first, second)
    ]
    assert names[0] == names[1]
    assert HOSTILE in names[0]
