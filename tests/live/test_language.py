"""The pages speak the reader's language: every word can be translated, and German is complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from html import unescape
from pathlib import Path

import pytest
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import translation

import jobsaga.live
from jobsaga.live import wording
from jobsaga.live.words import for_script
from tests.live import scenes
from tests.live.conftest import EVERYWHERE
from tests.live.test_pages import PAGES, text_of

ROOT = Path(jobsaga.live.__file__).parent
GERMAN = ROOT / "locale/de/LC_MESSAGES"
MARKED = {"_", "gettext", "gettext_noop", "ngettext", "pgettext"}
FIELD = re.compile(r"%\((\w+)\)[sd]|%s")


def entries() -> list[tuple[str, str]]:
    """All messages of German: what they translate, without its context, and the translation; each plural form too."""
    with (GERMAN / "django.mo").open("rb") as file:
        known = GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    keys = ((key[0] if isinstance(key, tuple) else key, text) for key, text in known.items() if key)
    return [(key.rpartition("\x04")[2], text) for key, text in keys]


def catalog() -> dict[str, str]:
    """The same by what they translate."""
    return dict(entries())


def in_templates() -> Iterator[str]:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text()
        yield from re.findall(r'{% translate "([^"]+)"', text)
        for block in re.findall(r"{% blocktranslate[^%]*%}(.*?){% endblocktranslate %}", text, re.DOTALL):
            yield re.sub(r"{{ (\w+) }}", r"%(\1)s", block.partition("{% plural %}")[0])


def in_code() -> Iterator[str]:
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKED:
                yield from (each.value for each in node.args[:1] if isinstance(each, ast.Constant))  # type: ignore[misc]


def test_all_that_is_marked_is_translated() -> None:
    known, marked = catalog(), {*in_templates(), *in_code()}
    assert len(marked) > 350
    assert sorted(each for each in marked if not known.get(each)) == []


def test_the_places_of_a_sentence_are_in_its_translation() -> None:
    for key, text in entries():
        assert set(FIELD.findall(text)) >= set(FIELD.findall(key)), key
        assert set(FIELD.findall(text)) - set(FIELD.findall(key)) <= {"count"}, key


def test_the_compiled_catalog_is_the_one_that_people_edit() -> None:
    source = (GERMAN / "django.po").read_text()
    texts = [
        ast.literal_eval(f'"{each}"')
        for each in re.findall(r'^msgstr(?:\[\d\])? "(.+)"$', source, re.MULTILINE)
    ]
    assert "" not in texts
    assert sorted(texts) == sorted(text for _, text in entries())


def test_no_word_of_a_template_is_left_unmarked() -> None:
    """Between two tags there is nothing but what was marked, code, and what the data say."""
    for path in (ROOT / "templates").rglob("*.html"):
        text = re.sub(r"<(code|pre|kbd|svg|script)\b.*?</\1>", " ", path.read_text(), flags=re.DOTALL)
        text = re.sub(
            r"{% blocktranslate.*?{% endblocktranslate %}|{[{%#].*?[}%#]}", " ", text, flags=re.DOTALL
        )
        words = re.findall(r"[A-Za-z]{2,}", unescape(re.sub(r"<[^>]*>", " ", text)))
        assert words in ([], ["UTC"]), path.name


@EVERYWHERE
@override_settings(LANGUAGE_CODE="de")
def test_the_pages_in_german(client: Client) -> None:
    ids = scenes.usual_day()
    now = client.get(reverse("jobsaga_live:now")).content.decode()
    assert '<html lang="de" dir="ltr"' in now
    for part in (
        "Job-Arten",
        "Was wartet, und warum",
        "Kein lebender Worker führt reports.MonthEnd aus",
        "Läuft",
    ):
        assert part in text_of(now), part
    job = text_of(client.get(reverse("jobsaga_live:job", args=[ids["running"]])).content.decode())
    assert "5.109 / 10.000" in job
    assert "Eingereicht" in job
    for name in PAGES:
        assert client.get(reverse(f"jobsaga_live:{name}")).status_code == 200
    found = client.get(reverse("jobsaga_live:jobs"), {"q": "state:running"}).content.decode()
    assert ids["running"].hex[-8:] in found, "states have one name in addresses, whatever is spoken"
    assert "ist kein Zustand" in text_of(
        client.get(reverse("jobsaga_live:jobs"), {"q": "state:x"}).content.decode()
    )


@pytest.mark.parametrize(
    ("language", "number", "ago"), [("en", "1,234.50", "now"), ("de", "1.234,50", "jetzt")]
)
def test_numbers_and_times(language: str, number: str, ago: str) -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 11, 21, tzinfo=UTC)
    with translation.override(language):
        assert wording.number(1234.5) == number
        assert wording.ago(at, at) == ago
        assert f'"now": "{ago}"' in for_script()


@EVERYWHERE
@override_settings(LANGUAGE_CODE="ar")
def test_from_right_to_left(client: Client) -> None:
    assert 'dir="rtl"' in client.get(reverse("jobsaga_live:now")).content.decode()


def test_the_style_sheet_knows_no_left_and_right() -> None:
    style = (ROOT / "static/jobsaga/live/live.css").read_text()
    assert (
        re.findall(
            r"(?<![\w-])(?:margin|padding|border)-(?:left|right)|(?<![\w.-])(?:left|right)\s*:|text-align:\s*(?:left|right)",
            style,
        )
        == []
    )
