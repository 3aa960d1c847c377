"""What a guest's shell does for a copy, and what the exit statuses mean. Text for POSIX sh, with stat. Pure.

The bytes go into a directory of their own, which nobody else enters: an agent makes files that everybody may read.
Whoever copies may be killed, and then nobody can tell the guest: a guard there removes what does not grow any more.
"""

from __future__ import annotations

from vfioctl.plugin import frozen

NO_PLACE, NO_FILE, EXISTS, NO_ROOM, SHORT, DIFFERS = 41, 42, 43, 44, 45, 46

EVERY, PATIENCE = 60, 15  # seconds between two looks of the guard, and at how many it has to be the same size
# path, name here, KiB, "yes" to replace, "yes" for a dry run, seconds, the directory's name → both paths
BEGIN = f"""\
path=$1
if [ -d "$path" ]; then path=${{path%/}}/$2; fi
directory=${{path%/*}}/
[ -d "$directory" ] || exit {NO_PLACE}
if [ -e "$path" ] && [ ! -f "$path" ]; then exit {NO_FILE}; fi
if [ -z "$4" ]; then if [ -e "$path" ] || [ -L "$path" ]; then exit {EXISTS}; fi; fi
free=$(df -Pk "$directory" 2>/dev/null | (read -r _; read -r _ _ _ free _; echo "$free"))
case $free in '' | *[!0-9]*) ;; *) [ "$free" -ge "$3" ] || exit {NO_ROOM} ;; esac
[ -w "$directory" ] || {{ echo "$directory is not to be written to" >&2; exit 1; }}
printf '%s\\n' "$path"
[ -z "$5" ] || exit 0
made=$directory$7
mkdir -m 700 "$made" || exit 1
printf '%s\\n' "$made"
(
    same=0
    while sleep "$6" && [ -d "$made" ]; do
        now=$(wc -c <"$made/file")
        if [ "$now" = "$was" ]; then same=$((same + 1)); else same=0; fi
        was=$now
        [ "$same" -lt {PATIENCE} ] || rm -rf "$made"
    done
) </dev/null >/dev/null 2>&1 &
"""
# its directory, path, mode, bytes, sha256, "yes" to replace → the sha256 where the guest can tell
END = f"""\
file=$1/file
[ "$(wc -c <"$file")" -eq "$4" ] || exit {SHORT}
if command -v sha256sum >/dev/null; then
    sum=$(sha256sum <"$file")
    [ "${{sum%% *}}" = "$5" ] || exit {DIFFERS}
fi
chmod "$3" "$file" || exit 1
[ ! -d "$2" ] || exit {NO_FILE}
if [ -n "$6" ]; then
    mv -f "$file" "$2" || exit 1
elif ! ln "$file" "$2"; then
    if [ -e "$2" ] || [ -L "$2" ]; then exit {EXISTS}; fi
    exit 1
fi
rm -rf "$1"
printf '%s' "${{sum%% *}}"
"""
# path → bytes, mode, time; with a second word also the sha256 where the guest can tell
LOOK = f"""\
[ -e "$1" ] || exit {NO_PLACE}
[ -f "$1" ] || exit {NO_FILE}
stat -L -c '%s %a %Y' "$1" || exit 1
if [ -n "$2" ] && command -v sha256sum >/dev/null; then sha256sum <"$1"; fi
"""
REMOVE = 'rm -rf "$@"'
READ = 'cat "$1"'
WRITE = 'cat >"$1"'


@frozen
class Seen:
    """What LOOK says of a file: its size in bytes, its mode, when it was changed; `sha256` is "" where nobody can tell.
    """

    size: int
    mode: int
    changed: str
    sha256: str = ""


def seen(said: str) -> Seen:
    """Raises ValueError for what LOOK never says."""
    size, mode, changed, *more = said.split()
    return Seen(int(size), int(mode, 8) & 0o777, changed, more[0] if more else "")
