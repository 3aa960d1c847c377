#!/bin/sh
# Makes a directory of wheels from which vfioctl and its plugins are installed without any index.
#
#   contrib/wheels.sh [--from DIRECTORY] TARGET
#
# What vfioctl needs comes from the index that pip is configured with, each file checked by its hash; with --from it
# comes from that directory, which may be a TARGET of an earlier run, and no index is asked. vfioctl and its plugins are
# built from this checkout. The virtual environment in which they are built lies in $VFIOCTL_CACHE, by default
# ~/.cache/vfioctl, for root /var/lib/vfioctl-test.
# shellcheck disable=SC1091,SC2034,SC2154 # common.sh uses $here and $top, and sets $cache and $venv
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
. "$here/common.sh"

case ${1-} in -h | --help) sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p;}' "$0" && exit 0 ;; esac
from=''
if [ "${1-}" = --from ]; then
    from=$(cd "${2:?--from needs a directory}" && pwd) || die "There is no directory $2."
    shift 2
fi
[ $# = 1 ] || die "One directory is needed; see $0 --help"
[ ! -e "$1" ] || [ -z "$(ls -A "$1")" ] || die "The directory $1 has something in it already."
if [ -n "$from" ]; then export PIP_NO_INDEX=1 PIP_FIND_LINKS="$from"; fi

umask 022
mkdir -p "$1"
target=$(cd "$1" && pwd)
find_cache
lock_cache wheels.lock
make_venv "$cache/wheels-venv" run build
cd "$here"
for section in run build; do # what builds them too: the set is all that --from needs
    pip download --no-deps --require-hashes -r "requirements/$section.txt" -d "$target" || die "The wheels cannot be had."
done
build_wheels "$target"
say "$target: $(find "$target" -name '*.whl' | wc -l) wheels"
