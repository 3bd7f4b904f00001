"""What every page that we write must keep, checked without a browser."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input", "hr"}
MOST_BYTES = 1 << 20
FETCHING = {"src", "href", "srcset", "action", "data", "poster", "background", "formaction", "xlink:href"}


class Page(HTMLParser):
    """A page taken apart; AssertionError where it is not well-formed, or not by itself.

    Attributes
    ----------
    tags : list of (tag, attributes)
    text : the text outside of the style, as a reader sees it
    """

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.source, self.tags, self.open, self.texts = source, [], [], []
        assert source.startswith("<!doctype html>\n")
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", source)
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> names an attribute twice: {names}"
        assert all(re.fullmatch(r"[a-zA-Z:-]+", name) for name in names), f"<{tag}> has odd attributes: {names}"
        assert not [name for name in names if name.startswith("on")], f"<{tag}> would run code: {names}"
        for name, value in attrs:
            assert value is not None, f"<{tag} {name}> has no value"
            assert name not in FETCHING or value.startswith("data:"), f"<{tag}> fetches {value}"
            assert "url(" not in value, value
        if tag not in VOID:
            self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] == ["style"]:
            assert "url(" not in data and "@import" not in data and "<" not in data
        else:
            self.texts.append(data)

    def all(self, tag):
        """The attributes of every `tag`."""
        return [attrs for name, attrs in self.tags if name == tag]


def check_page(source):
    """The page, well-formed, self-contained, without script, its pictures told in words."""
    page = Page(source)
    kinds = {tag for tag, _ in page.tags}
    assert not kinds & {"script", "iframe", "object", "embed", "base", "form", "a"}
    assert [tag for tag, _ in page.tags].count("h1") == 1
    policies = [
        meta["content"] for meta in page.all("meta") if "http-equiv" in meta and "default-src" in meta["content"]
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert len(source.encode()) <= MOST_BYTES
    assert "prefers-color-scheme:dark" in source
    assert not re.search(r"\{[{%]|[}%]\}", re.sub(r"<style>.*?</style>", "", source, flags=re.DOTALL)), (
        "a template's own marks"
    )
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg["role"] == "img" and svg["aria-label"])
    assert all(image["alt"] for image in page.all("img"))
    return page
