# Sourced by the launchers beside it: make .venv and install once, then start without delay.
#
# The stamp in .venv holds what the installation depends on (where it lies and what it was asked to
# install), so a later start reads two small files and replaces this shell by the command.

root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd -P) || exit 70

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    found=$(python3 --version 2>/dev/null || echo "no Python at all")
    echo "error: Python 3.11 or newer is needed, but here is only: $found; install one, or name it as PYTHON=/path/to/python3 $0" >&2
    return 1
}

# install_once EXTRA: EXTRA is "" for the commands, or the name of an extra of setup.cfg.
install_once() {
    wanted="$root
$(cat "$root/setup.cfg" "$root/pyproject.toml")"
    stamp="$root/.venv/installed-${1:-commands}"
    if [ -x "$root/.venv/bin/python" ] && [ "$wanted" = "$(cat "$stamp" 2>/dev/null)" ]; then
        return 0
    fi
    python=$(find_python) || exit 70
    "$python" "$root/bin/install.py" "$root" "$1" || exit $?
}
