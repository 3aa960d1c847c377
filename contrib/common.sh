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

# want PACKAGE…: installs what is missing as root; else prints the one line that would, and fails. With `ask` set it
# installs nothing unasked, but under CI.
want() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        say "This is no Debian. What is needed is called there: $*"
        return 1
    fi
    w_missing=$(absent "$@")
    [ -n "$w_missing" ] || return 0
    w_line="apt-get install -y --no-install-recommends ${w_missing% }"
    if [ "$(id -u)" != 0 ] || [ -n "${NO_APT-}" ] || ! may_install "$w_line"; then
        say "Missing packages; as root: $w_line"
        return 1
    fi
    say "$w_line"
    # shellcheck disable=SC2086 # the line is words
    { apt_update && DEBIAN_FRONTEND=noninteractive apt-get $apt_waits ${w_line#apt-get}; } >"$cache/apt.log" 2>&1 || {
        tail -n 20 "$cache/apt.log" >&2
        say "Installing the packages failed; the whole log: $cache/apt.log"
        return 1
    }
}

# Another apt or dpkg may be at work, such as unattended-upgrades: it is waited for.
apt_patience=300
apt_waits="-o DPkg::Lock::Timeout=$apt_patience"

# apt_update: reads the lists of packages. apt does not wait for their lock by itself, unlike for dpkg's; what it
# says of that is in the language of the user.
apt_update() {
    u_end=$(($(date +%s) + apt_patience))
    until u_said=$(LC_ALL=C apt-get update 2>&1); do
        case $u_said in *'Could not get lock'*) ;; *) u_end=0 ;; esac
        [ "$(date +%s)" -lt "$u_end" ] || { printf '%s\n' "$u_said" && return 1; }
        sleep 2
    done
}

# may_install LINE: whether this line may change the machine.
may_install() {
    if [ -z "${ask-}" ] || [ -n "${CI-}" ]; then return 0; fi
    if [ ! -t 0 ]; then return 1; fi
    printf 'Some packages are missing. Run this now: %s? [y/N] ' "$1"
    read -r m_answer && case $m_answer in [yY] | [yY][eE][sS]) return 0 ;; *) return 1 ;; esac
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

# make_venv DIR SECTION…: a virtual environment with these sections of constraints.txt, each file checked by its hash.
# They are complete, so pip need not look for more.
make_venv() {
    venv=$1
    shift
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "Python 3.11 or newer is needed."
    # shellcheck disable=SC2046 # the files are words without blanks, below the directory that is entered
    m_stamp=$("$python" -c 'import sys; print(sys.version, sys.base_prefix)' |
        (cd "$here/requirements" && cat - $(printf '%s.txt ' "$@")) | cksum)
    if [ "$(cat "$venv/stamp" 2>/dev/null)" = "$m_stamp" ]; then return 0; fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || die "Python lacks venv: apt-get install python3-venv"
    say "Setting up $venv"
    rm -rf "$venv"
    umask 022
    "$python" -m venv "$venv" || die "The virtual environment cannot be made."
    for m_section; do
        shift
        set -- "$@" -r "$here/requirements/$m_section.txt"
    done
    pip install --no-deps --require-hashes "$@" || die "Installing what constraints.txt names failed."
    printf '%s\n' "$m_stamp" >"$venv/stamp"
}

# add_binding: builds libvirt-python into the virtual environment. Fails where what it is built from is missing.
add_binding() {
    if "$venv/bin/python" -c 'import libvirt' 2>/dev/null; then return 0; fi
    pip install --no-deps --require-hashes -r "$here/requirements/libvirt-build.txt" &&
        pip install --no-deps --require-hashes --no-build-isolation -r "$here/requirements/libvirt.txt"
}

unreachable='ConnectionError|ConnectTimeout|ProxyError|[Cc]onnection (refused|timed out)|unreachable|[Nn]ame (resolution|or serv)'

# pip ARGUMENT…: says what went wrong, with its cause, and nothing otherwise.
pip() {
    "$venv/bin/python" -m pip -q --disable-pip-version-check --no-input "$@" >"$cache/pip.log" 2>&1 && return 0
    if grep -Eq "$unreachable" "$cache/pip.log"; then
        say "The package index cannot be reached. Is this computer online? What pip says: $cache/pip.log" >&2
    else
        tail -n 15 "$cache/pip.log" >&2
    fi
    return 1
}

# lock_cache NAME, share_cache NAME: alone with the cache; then together with others who only use what is installed.
lock_cache() {
    exec 9>"$cache/$1" || die "The file $cache/$1 cannot be written."
    flock -n 9 || { say "Waiting for another run that uses $cache" && flock 9; }
}
share_cache() { flock -s 9; }

# install_wheels_once: the same as install_wheels, unless what is installed is this checkout already.
install_wheels_once() {
    i_now=$(cd "$top" && find pyproject.toml vfioctl plugins contrib -type f ! -name '*.pyc' -exec cksum {} + | sort | cksum)
    if [ "$(cat "$venv/checkout" 2>/dev/null)" = "$i_now" ]; then return 0; fi
    rm -f "$venv/checkout"
    install_wheels
    printf '%s\n' "$i_now" >"$venv/checkout"
}

# install_wheels: builds the core and every plugin from this checkout and installs the wheels together.
install_wheels() {
    wheels=$cache/wheels
    rm -rf "$wheels"
    umask 022
    build_wheels "$wheels"
    pip install --no-index --no-deps --force-reinstall "$wheels"/*.whl || die "Installing the wheels failed."
}

# build_wheels DIRECTORY: the wheels of the core and of every plugin, of this checkout.
build_wheels() {
    pip wheel --no-index --no-deps --no-build-isolation -w "$1" "$top" "$top"/plugins/*/ || die "Building the wheels failed."
}
