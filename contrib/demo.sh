#!/bin/sh
# Shows two whole hand-offs on a simulated host: a desktop with one nvidia card, then one with an amdgpu card.
#
#   contrib/demo.sh                 both
#   contrib/demo.sh nvidia|amdgpu   one of them
#   contrib/demo.sh --shell [nvidia|amdgpu]
#                                   a shell on that host, to try it by hand
#
# Needs git, python3, python3-venv and fuse3; no root, no graphics card and no libvirt. What runs is the installed hook
# and the code behind it; simulated are the kernel's files, systemd and libvirt's calls. Nothing on this host is changed
# but the cache directory ($VFIOCTL_CACHE, by default ~/.cache/vfioctl, for root /var/lib/vfioctl-test). Packages of
# Debian that are missing are installed only when you say yes, and under CI.
# shellcheck disable=SC1091,SC2154,SC2034 # common.sh uses $here and $top, and sets $cache and $venv
set -u

case ${1-} in -h | --help) sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p;}' "$0" && exit 0 ;; esac
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
. "$here/common.sh"

find_cache
need=$(venv_package)
command -v git >/dev/null 2>&1 || need="$need git"
command -v fusermount3 >/dev/null 2>&1 || need="$need fuse3"
# shellcheck disable=SC2086 # the packages are words
if [ -n "$need" ]; then ask=yes want $need || exit 1; fi
if [ ! -w /dev/fuse ]; then die "The demo needs /dev/fuse (as root: modprobe fuse)."; fi
lock_cache demo.lock
make_venv "$cache/demo-venv" run build testing
install_wheels_once
share_cache demo.lock # for as long as it runs: another one that installs other wheels waits
cd / || exit 1
case ${1-} in --shell) exec "$venv/bin/vfioctl" demo "$@" ;; esac
[ $# -gt 0 ] || set -- nvidia amdgpu
for scenario; do
    "$venv/bin/vfioctl" demo "$scenario" || exit
done
