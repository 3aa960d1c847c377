#!/bin/sh
# Makes the Debian package, for Debian 12 and 13, from a directory of wheels. It asks no network.
#
#   contrib/deb/build.sh WHEELS TARGET     WHEELS as contrib/wheels.sh makes it; the package goes to the directory TARGET
#
# The package has an environment of its own in /opt/vfioctl: of what constraints.txt names, and of the wheels of vfioctl and
# its plugins. They are pure Python, and the environment takes whichever python3 Debian has: an upgrade of Debian needs
# no other package, and a guest may run meanwhile. Debian's own python3-libvirt is linked into it.
# REVISION=2 is the revision after the version of the wheels; DEBFULLNAME and DEBEMAIL name the maintainer.
# Needs python3 (3.11 or newer) and dpkg-deb; no root.
# shellcheck disable=SC1091,SC2154 # common.sh sets $python
set -eu

scripts=$(cd "$(dirname "$0")" && pwd)
here=$(dirname "$scripts")
top=$(dirname "$here")
. "$here/common.sh"

pythons='3.11 3.12 3.13 3.14' # for which contrib/hashes.py found wheels
machines='x86_64 aarch64'     # of whose python3-libvirt the files are linked

case ${1-} in -h | --help) sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p;}' "$0" && exit 0 ;; esac
[ $# = 2 ] || die "A directory of wheels and one for the package are needed; see $0 --help"
wheels=$(cd "$1" && pwd) || die "There is no directory $1."
mkdir -p "$2"
target=$(cd "$2" && pwd)
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
tree=$work/tree
chmod 755 "$work"

# ---------------------------------------------------------------- the environment

site=$tree/opt/vfioctl/lib/python3/site-packages
mkdir -p "$site" "$tree/opt/vfioctl/bin"

# needed: the wheels that requirements/run.txt has a hash of.
needed() {
    for n_wheel in "$wheels"/*.whl; do
        n_sum=$(sha256sum <"$n_wheel")
        ! grep -q "sha256:${n_sum%% *}" "$here/requirements/run.txt" || printf '%s\n' "$n_wheel"
    done
}

needed >"$work/needed"
[ "$(wc -l <"$work/needed")" = "$(grep -c '==' "$here/requirements/run.txt")" ] ||
    die "$wheels does not have the wheels that contrib/requirements/run.txt names, by their hashes."
for project in "$top" "$top"/plugins/*/; do
    name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$project/pyproject.toml" | tr - _)
    set -- "$wheels/$name"-[0-9]*.whl
    if [ ! -e "$1" ] || [ $# != 1 ]; then die "$wheels has not exactly one wheel of $name."; fi
    printf '%s\n' "$1" >>"$work/needed"
done
"$python" "$scripts/unpack.py" "$work/needed" "$site" "$work/data" || die "The wheels cannot be unpacked."
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$site/vfioctl/__init__.py")-${REVISION:-1}

printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >"$tree/opt/vfioctl/pyvenv.cfg"
ln -s /usr/bin/python3 "$tree/opt/vfioctl/bin/python3"
for minor in $pythons; do
    ln -s python3 "$tree/opt/vfioctl/lib/python$minor"
    for machine in $machines; do
        for module in libvirtmod libvirtmod_qemu; do
            file=$module.cpython-$(printf %s "$minor" | tr -d .)-$machine-linux-gnu.so
            ln -s "/usr/lib/python3/dist-packages/$file" "$site/$file"
        done
    done
done
for file in libvirt.py libvirt_qemu.py; do ln -s "/usr/lib/python3/dist-packages/$file" "$site/$file"; done
cat >"$tree/opt/vfioctl/bin/vfioctl" <<'SCRIPT'
#!/opt/vfioctl/bin/python3 -I
from vfioctl.entry import main

main()
SCRIPT
chmod 755 "$tree/opt/vfioctl/bin/vfioctl"

# ---------------------------------------------------------------- what lies where Debian has it

share=$tree/usr/share
mkdir -p "$tree/usr/bin" "$share/man/man1" "$share/doc/vfioctl"
ln -s /opt/vfioctl/bin/vfioctl "$tree/usr/bin/vfioctl"
cp "$work"/data/share/man/man1/vfioctl*.1 "$share/man/man1"
cp "$top/CHANGELOG.md" "$share/doc/vfioctl/changelog"
gzip -9n "$share"/man/man1/*.1 "$share/doc/vfioctl/changelog"
{
    cat "$top/LICENSE"
    printf '\nWhat vfioctl needs lies in /opt/vfioctl/lib/python3/site-packages, each with its licence in *.dist-info.\n'
} >"$share/doc/vfioctl/copyright"

# completion SHELL FILE
completion() {
    mkdir -p "$share/${2%/*}"
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$site "$python" -m vfioctl.entry completion "$1" >"$share/$2"
}
completion bash bash-completion/completions/vfioctl
completion zsh zsh/vendor-completions/_vfioctl
completion fish fish/vendor_completions.d/vfioctl.fish

# ---------------------------------------------------------------- the package

mkdir "$tree/DEBIAN"
size=$(du -sk --apparent-size "$tree" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@SIZE@/$size/" \
    -e "s/@MAINTAINER@/${DEBFULLNAME:-The authors of vfioctl} <${DEBEMAIL:-vfioctl@localhost}>/" \
    "$scripts/control.in" >"$tree/DEBIAN/control"
for script in preinst postinst prerm postrm; do install -m 755 "$scripts/$script" "$tree/DEBIAN/$script"; done
(cd "$tree" && find opt usr -type f -exec md5sum {} + | LC_ALL=C sort -k 2) >"$tree/DEBIAN/md5sums"
: "${SOURCE_DATE_EPOCH:=$(git -C "$top" log -1 --format=%ct 2>/dev/null || date +%s)}"
export SOURCE_DATE_EPOCH
dpkg-deb --root-owner-group -Zgzip --build "$tree" "$target/vfioctl_${version}_all.deb" >/dev/null || die "dpkg-deb failed."
say "$target/vfioctl_${version}_all.deb"
