"""Look at a page in a real browser, and take README's picture: `python tests/report_picture.py REPORT.html [PICTURE]`.

Opens the page at a phone's and a desk's width, in light and dark, and says what a reader would stumble over:
anything fetched or complained about, sideways scrolling, faint or tiny text, labels that lie on one another.
Needs Chromium (Debian: apt install chromium); ends with 1 when something is wrong.
"""

import sys

from browser import Browser

WIDTHS = (400, 1400)
TOP = 1490  # of the picture: the header, the table, and the curves of all brains and of the first two
LEAST_CONTRAST = 4.5  # of text against what is behind it (WCAG AA)
LEAST_SIZE = 11  # CSS pixels

# Every visible text with its box, size, and contrast to the first opaque background behind it.
TEXTS = """(() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v =>
    v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length && (c[3] === undefined || c[3] > 0.5)) return c; } return [255, 255, 255]; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  for (let node; node = walker.nextNode();) {
    const owner = node.parentElement, style = getComputedStyle(owner);
    if (!node.data.trim() || style.visibility === 'hidden' || owner.closest('svg, thead')?.clientHeight === 1) continue;
    if (owner.closest('svg')) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    const whole = range.getBoundingClientRect(), room = (owner.closest('em') || document.body).getBoundingClientRect();
    const box = {left: Math.max(whole.left, room.left), right: Math.min(whole.right, room.right), top: whole.top,
      bottom: whole.bottom, width: whole.width};
    if (!box.width) continue;
    const a = light(parse(style.color)), b = light(behind(owner));
    found.push({text: node.data.trim().slice(0, 40), left: box.left, right: box.right, top: box.top, bottom: box.bottom,
      size: parseFloat(style.fontSize), contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05),
      group: owner.closest('.below, .side, .graph .area') ? 'label' : ''});
  }
  return found;
})()"""


def faults(browser, path):
    """What is wrong with a page, in sentences."""
    for width in WIDTHS:
        for dark in (False, True):
            browser.complaints.clear()
            browser.open(path, width, dark)
            where = f"{width} px, {'dark' if dark else 'light'}"
            fetched = [url for url in browser.requested()[1:] if not url.startswith("data:")]
            for sentence in (*browser.complaints, *(f"fetches {url}" for url in fetched)):
                yield f"{where}: {sentence}"
            wide = browser.ask("document.documentElement.scrollWidth")
            if wide > width:
                yield f"{where}: the page is {wide} px wide"
            for sentence in text_faults(browser.ask(TEXTS), width):
                yield f"{where}: {sentence}"


def text_faults(texts, width):
    """What is wrong with the texts of a page at a width."""
    for one in texts:
        if one["contrast"] < LEAST_CONTRAST:
            yield f"{one['text']!r} has a contrast of {one['contrast']:.2f}"
        if one["size"] < LEAST_SIZE:
            yield f"{one['text']!r} is {one['size']:.1f} px small"
        if one["left"] < -1 or one["right"] > width + 1:
            yield f"{one['text']!r} leaves the page"
    labels = [one for one in texts if one["group"] == "label"]
    for index, one in enumerate(labels):
        for other in labels[index + 1 : index + 60]:  # neighbours in the document are those near on the page
            across = min(one["right"], other["right"]) - max(one["left"], other["left"])
            along = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
            if across > 1 and along > 3:
                yield f"the labels {one['text']!r} and {other['text']!r} lie on one another"


def main(path, picture=None):
    """Say what is wrong; save the picture where one is wanted."""
    with Browser() as browser:
        found = list(faults(browser, path))
        for sentence in dict.fromkeys(found):
            sys.stdout.write(f"{sentence}\n")
        if picture is not None:
            browser.open(path, max(WIDTHS))
            browser.picture(picture, height=TOP)
    sys.stdout.write(f"{path}: {len(found)} faults at {' and '.join(map(str, WIDTHS))} px, light and dark\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
