"""Look at a page in a real browser, and take README's picture: `python tests/report_picture.py REPORT.html [PICTURE]`.

Opens the page at a phone's and a desk's width, in light and dark, and says what a reader would stumble over: anything
the browser complains about (its policy forbids every fetch and every script, so either is a complaint), sideways
scrolling, faint or tiny text, labels that lie on one another. The picture (.png) is the top of the page at a desk.
Needs Chromium (Debian: apt install chromium); ends with 1 when something is wrong.
"""

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (400, 1400)
TOP = 1500  # of the picture: the header, the table, and the curves of all brains and of the first two
LEAST_CONTRAST = 4.5  # of text against what is behind it (WCAG AA)
LEAST_SIZE = 10  # CSS pixels
SCHEMES = {"dark": 0, "light": 1}

# Looks at the page in a frame as wide as a phone or a desk, and writes what is wrong into the outer document.
# Texts: their box, size, and contrast to the first opaque background behind them.
FRAME = '<body style="margin:0"><iframe id="f" style="border:0;width:{}px;height:900px" src="{}"></iframe>'
CHECK = """<pre id="found"></pre><script>addEventListener('load', () => {
  const frame = document.getElementById('f'), page = frame.contentDocument, view = frame.contentWindow, found = [];
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v =>
    v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(view.getComputedStyle(e).backgroundColor);
    if (c.length && (c[3] === undefined || c[3] > 0.5)) return c; } return [255, 255, 255]; };
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const owner = node.parentElement, style = view.getComputedStyle(owner), drawn = owner.closest('svg.chart');
    if (!node.data.trim() || owner.closest('title') || owner.closest('thead')?.clientHeight === 1) continue;
    const range = page.createRange(); range.selectNodeContents(node);
    const whole = range.getBoundingClientRect(), room = (owner.closest('em') || page.body).getBoundingClientRect();
    const scale = drawn ? drawn.clientWidth / drawn.viewBox.baseVal.width : 1;
    const box = {left: Math.max(whole.left, room.left), right: Math.min(whole.right, room.right), top: whole.top,
      bottom: whole.bottom};
    if (box.right <= box.left) continue;
    const a = light(parse(drawn ? style.fill : style.color)), b = light(behind(owner));
    found.push({...box, text: node.data.trim().slice(0, 40), size: parseFloat(style.fontSize) * scale,
      contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), label: !!owner.closest('svg.chart, .area')});
  }
  document.getElementById('found').textContent = 'FOUND' + JSON.stringify({wide: page.documentElement.scrollWidth,
    background: view.getComputedStyle(page.body).backgroundColor, texts: found}) + 'END';
})</script>"""


def browse(page, *flags, size=(1400, 900)):
    """What Chromium prints and complains about when it opens a page."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        raise SystemExit(f"no browser found: looked for {', '.join(NAMES)}; on Debian: apt install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--enable-logging=stderr",
        ]
        command += [
            "--allow-file-access-from-files",
            f"--user-data-dir={profile}",
            f"--window-size={size[0]},{size[1]}",
        ]
        return subprocess.run([*command, *flags, page.resolve().as_uri()], capture_output=True, text=True, check=True)


def faults(path):
    """What is wrong with a page, in sentences."""
    backgrounds = {}
    with tempfile.TemporaryDirectory() as folder:
        for width in WIDTHS:
            frame = Path(folder) / f"{width}.html"
            frame.write_text(FRAME.format(width, html.escape(path.resolve().as_uri())) + CHECK)
            for scheme, number in SCHEMES.items():
                where = f"{width} px, {scheme}"
                done = browse(frame, f"--blink-settings=preferredColorScheme={number}", "--dump-dom")
                found = json.loads(html.unescape(re.search(r"FOUND(.*?)END</pre>", done.stdout, re.DOTALL)[1]))
                backgrounds[scheme] = found["background"]
                for line in re.findall(r".*CONSOLE.*", done.stderr):
                    yield f"{where}: {line}"
                if found["wide"] > width:
                    yield f"{where}: the page is {found['wide']} px wide"
                for sentence in text_faults(found["texts"], width):
                    yield f"{where}: {sentence}"
    if backgrounds["dark"] == backgrounds["light"]:
        yield "light and dark look the same"


def text_faults(texts, width):
    """What is wrong with the texts of a page at a width."""
    for one in texts:
        if one["contrast"] < LEAST_CONTRAST:
            yield f"{one['text']!r} has a contrast of {one['contrast']:.2f}"
        if one["size"] < LEAST_SIZE:
            yield f"{one['text']!r} is {one['size']:.1f} px small"
        if one["left"] < -1 or one["right"] > width + 1:
            yield f"{one['text']!r} leaves the page"
    labels = [one for one in texts if one["label"]]
    for index, one in enumerate(labels):
        for other in labels[index + 1 : index + 60]:  # neighbours in the document are those near on the page
            across = min(one["right"], other["right"]) - max(one["left"], other["left"])
            along = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
            if across > 1 and along > 3:
                yield f"the labels {one['text']!r} and {other['text']!r} lie on one another"


def main(page, picture=None):
    """Say what is wrong; save the picture where one is wanted."""
    found = list(dict.fromkeys(faults(Path(page))))
    for sentence in found:
        sys.stdout.write(f"{sentence}\n")
    if picture is not None:
        flags = ["--blink-settings=preferredColorScheme=1", f"--screenshot={Path(picture).resolve()}"]
        browse(Path(page), *flags, size=(max(WIDTHS), TOP))
    sys.stdout.write(f"{page}: {len(found)} faults at {' and '.join(map(str, WIDTHS))} px, light and dark\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
