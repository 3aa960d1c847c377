# shellcheck shell=sh
# Shared by contrib/demo.sh and contrib/test.sh, which source it: Debian packages, the virtual environment, the wheels.
# They set $here, the directory of this file, and $top, the checkout.
: "${here:?}" "${top:?}"

say() { printf '%s\n' "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# absent PACKAGE…: those of the Debian packages that are not installed, on one line.
absent() {
    for a_package; do
        a_state=$(dpkg-query -W -f '${db:Status-Status}' "$a_package" 2>/dev/null) || a_state=
        [ "$a_state" = installed ] || printf '%s ' "$a_package"
    done
}

# want PACKAGE…: installs what is missing as root; else prints the one line that would, and fails.
want() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        say "This is no Debian. What is needed is called there: $*"
        return 1
    fi
    w_missing=$(absent "$@")
    [ -n "$w_missing" ] || return 0
    w_line="apt-get install -y --no-install-recommends ${w_missing% }"
    if [ "$(id -u)" != 0 ] || [ -n "${NO_APT-}" ]; then
        say "Missing packages; as root: $w_line"
        return 1
    fi
    say "$w_line"
    # shellcheck disable=SC2086 # the line is words
    { apt-get update && DEBIAN_FRONTEND=noninteractive $w_line; } >"$cache/apt.log" 2>&1 || {
        tail -n 20 "$cache/apt.log" >&2
        return 1
    }
}

# The distribution's Python where it will do: root owns it, and every user can read it.
python=${PYTHON-}
for candidate in /usr/bin/python3 python3; do
    [ -z "$python" ] || break
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; fi
done
: "${python:=python3}"

# venv_package: the package that holds Python's venv module, if it is missing.
venv_package() { "$python" -c 'import ensurepip, venv' 2>/dev/null || printf python3-venv; }

# find_cache: a directory of our own, outside the checkout: what root runs must not lie where others can write, and
# tests that become another user must be able to read it, which they cannot below /root.
find_cache() {
    cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vfioctl
    [ "$(id -u)" != 0 ] || cache=/var/lib/vfioctl-test
    cache=${VFIOCTL_CACHE:-$cache}
    (umask 022 && mkdir -p "$cache") || die "The directory $cache cannot be made; name another in VFIOCTL_CACHE."
}

# make_venv DIR PACKAGE…: a virtual environment with the packages of PyPI in the versions of constraints.txt.
make_venv() {
    venv=$1
    shift
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "Python 3.11 or newer is needed."
    m_stamp=$(printf '%s\n' "$@" "$("$python" -c 'import sys; print(sys.version, sys.base_prefix)')" |
        cat - "$here/constraints.txt" | cksum)
    if [ "$(cat "$venv/stamp" 2>/dev/null)" = "$m_stamp" ]; then return 0; fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || die "Python lacks venv: apt-get install python3-venv"
    say "Setting up $venv"
    rm -rf "$venv"
    umask 022
    "$python" -m venv "$venv" || die "The virtual environment cannot be made."
    pip install -c "$here/constraints.txt" "$@" || die "Installing from PyPI failed."
    printf '%s\n' "$m_stamp" >"$venv/stamp"
}

pip() { "$venv/bin/python" -m pip -qq --disable-pip-version-check --no-input "$@"; }

# install_wheels: builds the core and every plugin from this checkout and installs the wheels together.
install_wheels() {
    wheels=$cache/wheels
    rm -rf "$wheels"
    umask 022
    pip wheel --no-deps --no-build-isolation -w "$wheels" "$top" "$top"/plugins/*/ || die "Building the wheels failed."
    pip install --no-deps --force-reinstall "$wheels"/*.whl || die "Installing the wheels failed."
}

# requirements EXTRA…: what the core needs from PyPI, and what these extras of it need.
requirements() {
    "$python" - "$top/pyproject.toml" "$@" <<'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
extras = (need for name in sys.argv[2:] for need in project["optional-dependencies"][name])
print(*dict.fromkeys(need.replace(" ", "") for need in (*project["dependencies"], *extras)))
PYTHON
}
