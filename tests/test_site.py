"""The site builds strictly: no dead link or anchor, no page left out; and it fetches nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ASSETS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""What a browser fetches without being asked to."""


class Fetched(HTMLParser):
    """Collects the addresses that a browser fetches to show a page."""

    def __init__(self):
        super().__init__()
        self.addresses, self.drawn_by_script = [], False

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if tag in ASSETS and told.get(ASSETS[tag]) and told.get("rel") != "canonical":
            self.addresses.append(told[ASSETS[tag]])
        self.drawn_by_script |= "mermaid" in (told.get("class") or "")


def remote(addresses):
    return [address for address in addresses if re.match(r"(https?:)?//", address)]


def fetched_by(html):
    page = Fetched()
    page.feed(html)
    return page


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        # With --quiet, --strict counts no warning.
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_is_whole_and_fetches_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    names = {path.relative_to(site).as_posix() for path in pages}
    assert {"index.html", "tour.html", "commands.html", "changelog.html", "api/steering.html"} <= names
    for path in pages:
        page = fetched_by(path.read_text(encoding="utf-8"))
        assert page.addresses and remote(page.addresses) == [], path.name
        assert not page.drawn_by_script, f"{path.name}: the theme would fetch what draws mermaid"
    for path in site.rglob("*.css"):
        named = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", path.read_text(encoding="utf-8"))
        assert remote(["".join(one) for one in named]) == [], path.name


def test_the_reference_shows_signatures_with_shapes_and_what_docstrings_say(site):
    page = (site / "api" / "statistics.html").read_text(encoding="utf-8")
    words = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page)))
    assert 'id="personascope.directions.difference_of_means"' in page
    assert 'Float[ndarray, "sample layer width"]' in words and "high pole minus mean at the low pole" in words
    assert re.findall(r'id="personascope\.\S*?\._\w+"', page) == []


def test_a_remote_asset_is_seen():
    html = '<link rel="canonical" href="https://a.b/"><script src="//cdn.x/y.js"></script><img src="here.png">'
    assert remote(fetched_by(html).addresses) == ["//cdn.x/y.js"]
    assert fetched_by('<pre class="mermaid">').drawn_by_script
