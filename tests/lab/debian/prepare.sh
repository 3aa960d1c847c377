#!/bin/sh
# prepare.sh ROOT: what turns a plain Debian tree into the lab machine. Run by mmdebstrap, after the packages.
set -eu
root=$1
here=$(dirname "$0")

cp -R --no-preserve=ownership "$here/root/." "$root/"
find "$root/usr/local/bin" -type f -exec chmod 755 {} +
mkdir -p "$root/lab" "$root/var/log/journal"
chroot "$root" systemctl enable lab-agent.service
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
    e2scrub_all.timer e2scrub_reap.service man-db.timer systemd-tmpfiles-clean.timer libvirt-guests.service \
    getty@tty1.service serial-getty@ttyS0.service systemd-timesyncd.service networking.service
chroot "$root" systemctl disable ssh.service nfs-server.service nfs-client.target rpcbind.service rpcbind.socket
chroot "$root" useradd --create-home --shell /bin/bash --groups audio,video,libvirt ana
echo 'ana:lab' | chroot "$root" chpasswd
echo 'root:lab' | chroot "$root" chpasswd
chroot "$root" update-initramfs -u -k all
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
