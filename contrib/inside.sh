#!/bin/sh
# Runs a command as root in a Debian tree: contrib/inside.sh TREE DIRECTORY… -- COMMAND [ARGUMENT…]
#
# The directories of this computer are there under the same name, and its network's names and certificates. All mounts
# are in a namespace of their own and go with the command. With pivot_root(2) instead of chroot(2), since a chrooted
# process may make no namespaces (unshare(2): EPERM).
set -eu
[ "${1-}" = --unshared ] || exec unshare --mount --propagation private "$0" --unshared "$@"
tree=$2
shift 2

share() {
    mkdir -p "$tree$1"
    mount --rbind "$1" "$tree$1"
}

mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
share /sys
share /dev
mount -t tmpfs -o mode=755 run "$tree/run"
mount -t tmpfs -o mode=1777 tmp "$tree/tmp"
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ -e "$file" ] || continue
    mkdir -p "$tree${file%/*}"
    [ -e "$tree$file" ] || : >"$tree$file"
    mount --bind "$file" "$tree$file"
done
while [ "$1" != -- ]; do
    share "$1"
    shift
done
shift
cd "$tree"
mkdir -p .computer
pivot_root . .computer
cd /
umount -l /.computer
exec "$@"
