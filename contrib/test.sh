#!/bin/sh
# Runs the tests on this machine: sets itself up, builds wheels of the core and of every plugin, and tests those.
#
#   contrib/test.sh              everything: linters and ring 1, ring 2 (libvirt), ring 3 (a real kernel: smoke, a shard);
#                                under CI then of Debian 13 a share of rings 1 and 2, and smoke
#   contrib/test.sh --ring N     only ring 1, 2 or 3
#   contrib/test.sh --lab [SCENARIO...|all]
#                                only ring 3: what is named (`python -m tests.lab list`), else smoke and a shard; all of it
#                                adds a dated section to docs/reference/lab-results.md
#   contrib/test.sh --no-lab     without ring 3, also under CI: the summary says so
#   contrib/test.sh --debian N   on Debian N (12, 13) instead of this computer's own: rings 1 and 2 in a tree of it, with
#                                its Python, libvirt and QEMU; ring 3 in a lab of it
#   contrib/test.sh --part N/M   of all these tests, the Nth of M equal parts
#   contrib/test.sh --all        everything in full, no matrix as a shard, and of Debian 13 rings 1, 2 and smoke; adds the
#                                result to docs/reference/test-results.md, and joins there the parts of one commit;
#                                with --ring N only that ring, with --debian N only that Debian
#   contrib/test.sh … --record   adds what ring 3 gave to docs/reference/lab-results.md
#   contrib/test.sh --coverage   rings 1 and 2 with coverage of every process
#
# As root on Debian it installs the packages that are missing (NO_APT=1: it does not). Otherwise it skips what it
# cannot run, says so and counts it. With CI set, what is skipped in ring 2 or 3 counts as failed. LAB_PATIENCE=3
# multiplies the deadlines of ring 3, on a busy computer.
# shellcheck disable=SC1091,SC2034,SC2154 # common.sh uses $here and $top, and sets $cache and $venv; rings.sh uses the rest
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
. "$here/common.sh"
. "$here/rings.sh"

ring1_packages='fuse3 dash busybox-static shellcheck strace btrfs-progs bash-completion zsh fish tmux mmdebstrap'
binding_packages='gcc libc6-dev libvirt-dev pkg-config python3-dev'
ring2_packages='libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils
    dnsmasq-base iptables nftables iproute2 openssl openssh-client e2fsprogs ovmf swtpm swtpm-tools
    syslinux mtools fdisk dropbear-bin'
# A service would start where the first two are installed, and the last would be the next kernel: on this computer they are
# only unpacked.
tree_packages='openssh-server qemu-guest-agent linux-image-cloud-amd64'
loader_packages='ovmf mtools fdisk'
other_pythons='3.12 3.14' # Debian 12 has 3.11, Debian 13 has 3.13
share=24 # one of so many parts: what CI runs on the other Debian, and on the other Pythons

rings=''
debian=''
part=''
whole=''
coverage=''
scenarios=''
record=''
lab=yes
while [ $# -gt 0 ]; do
    case $1 in
    --ring) rings=${2:?--ring needs 1, 2 or 3} && shift ;;
    --lab)
        rings=3
        while [ $# -gt 1 ]; do
            case $2 in -*) break ;; esac
            scenarios="$scenarios $2" && shift
        done
        ;;
    --no-lab) lab='' ;;
    --debian) debian=${2:?--debian needs 12 or 13} && shift ;;
    --part) part=${2:?--part needs N/M, as 1/4} && shift ;;
    --record) record=docs/reference/lab-results.md ;;
    --all) whole=yes ;;
    --coverage) coverage=yes rings='1 2' ;;
    -h | --help) sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p;}' "$0" && exit 0 ;;
    *) die "unknown option $1; see $0 --help" ;;
    esac
    shift
done
case $part in [1-9]*/[1-9]* | '') ;; *) die "--part needs N/M, as 1/4, not $part" ;; esac
case $debian in 12 | 13 | '') ;; *) die "--debian needs 12 or 13, not $debian" ;; esac
own=$(. /etc/os-release 2>/dev/null && printf %s "${VERSION_ID-}")
# Without a choice: all of this computer's Debian, and then what the other one gets.
both=''
[ -n "$rings$debian" ] || both=yes
: "${rings:=1 2 3}" "${debian:=$own}"

find_cache
passed=0
failed=0
skipped=0
report=$cache/report
rm -rf "$report" && mkdir -p "$report"
begun=$(date +%s)

# ---------------------------------------------------------------- what is needed

outer=${VFIOCTL_OUTER-} # the commit, where in_tree runs this: it counts, and writes the page
commit=${outer:-$(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo unknown)}
changes=$(git -C "$top" status --porcelain -uno 2>/dev/null) # before any page is itself a change
seed=${VFIOCTL_SHARD:-"$(date -u +%Y-%m-%d)-$commit"}
if [ -n "$whole" ]; then
    shard=''
    if [ -z "$outer" ]; then profile=all; else profile=ci; fi # many examples on one Debian are enough
else
    shard="--shard=$seed"
    profile=ci
    [ -n "$outer" ] || note "shard of the matrices: $seed (run it again with: pytest --shard=$seed)"
fi
[ -n "${CI-}" ] || [ -n "$whole" ] || profile=dev

# shellcheck disable=SC2046,SC2086 # the packages are words
want $(venv_package) $ring1_packages || skip 1 "packages are missing (see above)"
make_venv "$cache/test-venv" run build testing dev
# shellcheck disable=SC2086 # the packages are words
{ want $binding_packages && add_binding; } || skip 1 "libvirt-python cannot be built"
install_wheels
cd "$top" || exit 1
umask 022
export PATH="$venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
found=$(cd / && "$venv/bin/python" -I -c 'import vfioctl; print(vfioctl.__file__)')
case $found in "$venv"/*) ;; *) die "The tests would run against $found, not against the installed wheel." ;; esac

site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
rm -f "$site"/vfioctl_measured.* # of a run that was killed
if [ -n "$coverage" ]; then
    # Every process counts, also those that the hook starts with a clean environment.
    # It lies in the environment, which the trees of ring 2 have, and nothing else of /var.
    data=$venv/coverage
    # What every user writes has a directory of its own: in it a link could lie in wait for the files of this script.
    config=$data/config
    rm -rf "$data" && mkdir -p "$data" && mkdir -m 1777 "$data/parts" || exit 1
    cat >"$config" <<CONFIG
[run]
branch = true
parallel = true
source =
    $site/vfioctl
    $site/vfioctl_nvidia
    $site/vfioctl_amdgpu
    $site/vfioctl_display_manager
    $site/vfioctl_snapshot
    $site/vfioctl_guest
    $site/vfioctl_storage
    $site/vfioctl_network
    $site/vfioctl_setup
omit = */vfioctl/testing/*
data_file = $data/parts/data
sigterm = true
patch = _exit
disable_warnings = no-data-collected,module-not-measured,module-not-imported
[report]
exclude_also =
    if TYPE_CHECKING:
    \.\.\.$
CONFIG
    trap 'rm -f "$site"/vfioctl_measured.*' EXIT
    trap 'exit 1' INT TERM
    cp "$top/tests/support/measured.py" "$site/vfioctl_measured.py"
    printf 'import vfioctl_measured; vfioctl_measured.begin("%s")\n' "$config" >"$site/vfioctl_measured.pth"
fi

# ---------------------------------------------------------------- the rings

tree_rings=''
for ring in $rings; do
    case $ring in
    1 | 2) if [ "$debian" = "$own" ]; then "ring$ring"; else tree_rings="$tree_rings $ring"; fi ;;
    3) ;;
    *) die "there is no ring $ring" ;;
    esac
done
# shellcheck disable=SC2086 # options are words
[ -z "$tree_rings" ] || in_tree "${tree_rings# }" ${part:+--part "$part"}
case $rings in *3*)
    if [ -n "$whole" ]; then
        if [ "$debian" = "$own" ]; then scenarios=all; else scenarios="smoke $scenarios"; fi
        record=docs/reference/lab-results.md
    fi
    case " $scenarios " in *' all '*) record=docs/reference/lab-results.md ;; esac
    case " $scenarios " in *' all '* | *' bench'*) figures=docs/reference/performance.md ;; *) figures='' ;; esac
    # shellcheck disable=SC2086 # options and scenarios are words
    ring3 $scenarios ${part:+--part "$part"} ${record:+--record "$record"} ${figures:+--figures "$figures"}
    case "$whole${CI-} $scenarios " in '  ' | *' all '*) boots ;; esac # more than CI has: up to half an hour each
    ;;
esac

# Of the other Debian: under CI a share of rings 1 and 2, with --all both in full; smoke with the first part.
case $own in 12) debian=13 ;; 13) debian=12 ;; *) both='' ;; esac
if [ -n "$both" ] && [ -n "$whole${CI-}" ]; then
    if [ -n "$whole" ]; then in_tree '1 2' ${part:+--part "$part"}; else in_tree '1 2' --part "$(drawn $share)"; fi
    # shellcheck disable=SC2086 # options are words
    case $part$lab in yes | 1/*yes) part='' && ring3 smoke ${whole:+--record docs/reference/lab-results.md} ;; esac
fi

if [ -n "$coverage" ]; then
    rm -f "$site"/vfioctl_measured.*
    set -- --rcfile="$config" --data-file="$data/data"
    "$venv/bin/coverage" combine --quiet "$@" "$data/parts" &&
        "$venv/bin/coverage" report "$@" --skip-covered --fail-under=90 | tee "$report/coverage" | tail -n 40
    if "$venv/bin/coverage" report "$@" --fail-under=90 >/dev/null; then
        passed=$((passed + 1)) && note "coverage: $(tail -n 1 "$report/coverage")"
    else
        failed=$((failed + 1)) && note "coverage: FAILED: $(tail -n 1 "$report/coverage")"
    fi
fi

# ---------------------------------------------------------------- the result

seconds=$(($(date +%s) - begun))
if [ -n "$whole" ] && [ -z "$outer" ]; then
    [ -z "$changes" ] || commit=$commit+changes # a result of no commit: the contract tests refuse it
    "$venv/bin/python" tests/support/results_page.py docs/reference/test-results.md "$commit" "$report/rows"
fi
say
cat "$report/summary"
say "$passed passed, $failed failed, $skipped skipped in $seconds s"
[ "$failed" = 0 ]
