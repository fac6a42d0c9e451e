"""The user guide: keys, words, pictures and links in it are right; F1, search and links lead where they say."""

import ast
import re
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, QTimer, QUrl
from PySide6.QtGui import QImage, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog

from hemaview.cli import main
from hemaview.gui.guide_pages import FIRST_PAGE, guide_pages
from hemaview.gui.guide_search import excerpt
from hemaview.gui.help_window import HelpWindow
from hemaview.gui.keys_dialog import keys_html
from hemaview.resources import resource_path

GUIDE = resource_path("docs", "guide")
PAGES = sorted(GUIDE.glob("*.md"))
SOURCES = Path(__file__).resolve().parents[3] / "hemaview"
MOST_BYTES = 1_500_000

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]+)\]\((?P<target>[^)]+)\)")
TYPED = re.compile(r"`([^`\n]+)`")
BOLD = re.compile(r"\*\*([^*]+)\*\*")
ACTION_WITH_KEYS = re.compile(r"\*\*(?P<text>[^*]+)\*\*\s+\(`(?P<keys>[^`]+)`\)")
KEYS = re.compile(r"((Ctrl|Shift|Alt)\+)*([A-Z]|[0-9]|\[|\]|F\d+|Del|Esc|PgUp|PgDn|PgDown)")
EMPHASIS = {"not", "The mask.", "Thick slices.", "The kind of scan.", "A cut-off haematoma.", "The wrong scan."}
MODELS = {"HEMAVIEW compact", "MedSAM ViT-B", "SAM ViT-B"}
NOTHING_TO_PRESS = {"Ctrl"}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """The page without its blocks of commands."""
    return re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)


def shortcuts(window) -> set[str]:
    return {
        key.toString(QKeySequence.SequenceFormat.PortableText)
        for _, action in window.actions_table.all()
        for key in action.shortcuts()
    }


@pytest.fixture(scope="session")
def words_of_the_window() -> set[str]:
    """Every string in the sources of the window and of the steps of a preparation, as it is shown."""
    found = set()
    for folder in (SOURCES / "gui", SOURCES / "imaging" / "preprocessing"):
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value.strip(" ⚠"))
    return found


@pytest.fixture
def guide(open_window, qtbot) -> HelpWindow:
    """The guide, opened with F1."""
    hand = open_window()
    hand.key(Qt.Key.Key_F1)
    guide = hand.window.help.guide
    assert guide is not None
    qtbot.waitUntil(guide.isVisible)
    assert QTest.qWaitForWindowActive(guide, 10_000)
    guide.main_window = hand.window
    return guide


def click_row(guide: HelpWindow, row: int) -> None:
    place = guide.contents.visualItemRect(guide.contents.item(row)).center()
    QTest.mouseClick(guide.contents.viewport(), Qt.MouseButton.LeftButton, pos=place)


def press(key, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(QApplication.focusWidget(), key, modifiers)


# The text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_of_a_page_is_there(page):
    for link in LINK.finditer(text_of(page)):
        target = (page.parent / link["target"]).resolve()
        assert target.is_file(), link["target"]
        # Only what is shipped beside the guide can be opened everywhere.
        assert target.is_relative_to(GUIDE.parent)
        if link["picture"]:
            assert not QImage(str(target)).isNull()


def test_every_page_and_every_picture_is_used():
    assert {page.path.name for page in guide_pages()} == {page.name for page in PAGES}
    shown = {link["target"] for page in PAGES for link in LINK.finditer(text_of(page)) if link["picture"]}
    assert shown == {picture.name for picture in GUIDE.glob("*.png")}


def test_the_pictures_are_small():
    assert sum(picture.stat().st_size for picture in GUIDE.glob("*.png")) < MOST_BYTES


def test_every_key_of_the_guide_does_what_it_says(open_window):
    window = open_window().window
    by_text = {}
    for _, action in window.actions_table.all():
        by_text.setdefault(action.text(), set()).update(
            key.toString(QKeySequence.SequenceFormat.PortableText) for key in action.shortcuts()
        )
    known = shortcuts(window)
    named = 0
    for page in PAGES:
        prose = prose_of(page)
        for found in ACTION_WITH_KEYS.finditer(prose):
            assert found["keys"] in by_text[found["text"]], (page.name, found["text"])
            named += 1
        for typed in TYPED.findall(prose):
            if KEYS.fullmatch(typed) and typed not in NOTHING_TO_PRESS:
                assert typed.replace("PgDn", "PgDown") in known, (page.name, typed)
    assert named > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_word_in_bold_stands_in_the_window(page, words_of_the_window):
    bold = set(BOLD.findall(prose_of(page))) - EMPHASIS - MODELS
    assert {" ".join(words.split()) for words in bold} - words_of_the_window == set()


def test_every_command_of_the_guide_is_one(capsys):
    known = {"demo", "list", "segment", "prepare", "deidentify", "models", "train"}
    blocks = re.findall(r"```\n(.*?)```", text_of(GUIDE / "command-line.md"), flags=re.DOTALL)
    lines = [line.split() for block in blocks for line in block.splitlines()]
    used = {words[1] for words in lines if len(words) > 1 and words[1] in known}
    assert used == known
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", text_of(GUIDE / "command-line.md"))) - {"--help"}
    helped = ""
    for command in known:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        helped += capsys.readouterr().out
    assert {option for option in options if option not in helped} == set()


# The window


def test_f1_opens_the_guide_and_it_closes_with_the_window(guide):
    assert guide.page == FIRST_PAGE
    assert guide.listed[:2] == ["Start here", "Opening scans"]
    assert guide.listed[-1] == "Mouse and keys"
    assert "In this guide" in guide.text.toPlainText()
    window = guide.main_window
    window.close()
    assert window.help.guide is None


def test_every_page_is_shown_from_the_contents_and_back_goes_back(guide):
    titles = guide.listed
    for row in range(len(titles)):
        click_row(guide, row)
        assert guide.contents.currentRow() == row
        assert titles[row] in guide.windowTitle()
        assert len(guide.text.toPlainText()) > 300
    assert "Carry mask to this scan" in guide.text.toPlainText()
    assert guide.page == "keys.html"
    press(Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert guide.page == "command-line.md"
    assert guide.contents.currentRow() == titles.index("The command line")
    press(Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert guide.page == "keys.html"


def test_links_lead_to_pages_and_never_to_the_network(guide):
    here = guide.text.source()
    guide.text.follow(here.resolved(QUrl("volumes.md")))
    assert guide.page == "volumes.md"
    guide.text.follow(QUrl("https://example.org/volumes.md"))
    guide.text.follow(here.resolved(QUrl("no-such-page.md")))
    assert guide.page == "volumes.md"
    guide.text.follow(here.resolved(QUrl("../adaptation.md")))
    assert guide.page == "adaptation.md"
    assert guide.contents.currentRow() == -1


def test_pictures_are_no_wider_than_the_text(guide, qtbot):
    guide.resize(700, 600)

    def widest() -> float:
        return guide.text.document().idealWidth()

    qtbot.waitUntil(lambda: widest() <= guide.text.viewport().width(), timeout=5_000)
    guide.resize(1100, 700)
    qtbot.waitUntil(lambda: guide.text.horizontalScrollBar().maximum() == 0, timeout=5_000)
    assert widest() > 600


def test_search_finds_marks_and_goes_there(guide):
    press(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert guide.search.hasFocus()
    QTest.keyClicks(guide.search, "kothari elephant")
    assert guide.listed == ["Nothing found"]
    guide.search.clear()
    QTest.keyClicks(guide.search, "carried mask")
    assert any(text.startswith("Several scans of one patient") for text in guide.listed)
    press(Qt.Key.Key_Return)
    first = guide.page
    marks = guide.text.extraSelections()
    assert marks
    assert {mark.cursor.selectedText().casefold() for mark in marks} <= {"carried", "mask"}
    pages = {first}
    for _ in guide.listed:
        press(Qt.Key.Key_F3)
        pages.add(guide.page)
        # What was found stands in the visible part of the page.
        assert guide.text.viewport().rect().contains(QPoint(40, guide.text.cursorRect().top()))
    assert len(pages) > 1
    press(Qt.Key.Key_Escape)
    assert guide.search.text() == ""
    assert guide.listed[0] == "Start here"
    assert not guide.text.extraSelections()
    press(Qt.Key.Key_Escape)
    assert not guide.isVisible()


def test_a_key_is_found_on_the_page_of_keys(guide):
    QTest.keyClicks(guide.search, "largest brush")
    assert guide.listed == ["Nothing found"]
    guide.search.clear()
    QTest.keyClicks(guide.search, "larger brush")
    assert [text.splitlines()[0] for text in guide.listed] == ["Mouse and keys"]


def test_the_list_of_keys_has_an_action_of_its_own(open_window, qtbot):
    window = open_window().window
    seen = []

    def look() -> bool:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QDialog):
            seen.append(dialog.windowTitle())
            dialog.reject()
        return bool(seen)

    timer = QTimer(window)
    timer.timeout.connect(look)
    timer.start(50)
    window.actions_table["keys"].trigger()
    timer.stop()
    assert seen == ["Mouse and keys"]
    assert "User guide" in keys_html(window.actions_table)


def test_an_excerpt_begins_and_ends_with_whole_words():
    text = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    cut = excerpt(text, ["ten"])
    assert cut.startswith("… ")
    assert cut.endswith(" …")
    assert set(cut.strip("… ").split()) <= set(text.split())
    assert excerpt("Short", ["short"]) == "Short"
