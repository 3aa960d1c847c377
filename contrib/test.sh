#!/bin/sh
# Runs the tests on this machine: sets itself up, builds wheels of the core and of every plugin, and tests those.
#
#   contrib/test.sh              everything: linters and ring 1, ring 2 (libvirt), ring 3 (a real kernel: smoke, a shard)
#   contrib/test.sh --ring N     only ring 1, 2 or 3
#   contrib/test.sh --lab [SCENARIO...|all]
#                                only ring 3: what is named (`python -m tests.lab list`), else smoke and a shard; all of it
#                                adds a dated section to docs/reference/lab-results.md
#   contrib/test.sh --no-lab     without ring 3, also under CI: the summary says so
#   contrib/test.sh --all        everything in full, no matrix as a shard, and add the result to docs/reference/test-results.md;
#                                with --ring N that ring
#   contrib/test.sh --coverage   rings 1 and 2 with coverage of every process
#
# As root on Debian it installs the packages that are missing (NO_APT=1: it does not). Otherwise it skips what it
# cannot run, says so and counts it. With CI set, what is skipped in ring 2 or 3 counts as failed. LAB_PATIENCE=3
# multiplies the deadlines of ring 3, on a busy computer.
# shellcheck disable=SC1091,SC2154 # common.sh uses $here and $top, and sets $cache and $venv
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
. "$here/common.sh"

rings='1 2 3'
whole=''
coverage=''
scenarios=''
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
    --all) whole=yes ;;
    --coverage) coverage=yes rings='1 2' ;;
    -h | --help) sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p;}' "$0" && exit 0 ;;
    *) die "unknown option $1; see $0 --help" ;;
    esac
    shift
done

find_cache
passed=0
failed=0
skipped=0
report=$cache/report
rm -rf "$report" && mkdir -p "$report"
begun=$(date +%s)

note() { say "$*" | tee -a "$report/summary"; }

# skip RING WHY: counted; a failure under CI for rings 2 and 3.
skip() {
    if [ -n "${CI-}" ] && [ "$1" != 1 ]; then
        note "ring $1: FAILED, it cannot be skipped under CI: $2"
        failed=$((failed + 1))
    else
        note "ring $1: skipped: $2"
        skipped=$((skipped + 1))
    fi
}

# count RING NAME: adds up what pytest wrote to its report.
count() {
    counts=$("$venv/bin/python" - "$report/$2.xml" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree
suites = list(tree.parse(sys.argv[1]).getroot().iter("testsuite"))
total, bad, skipped = (sum(int(suite.get(key, 0)) for suite in suites for key in keys)
                       for keys in (("tests",), ("failures", "errors"), ("skipped",)))
print(total - bad - skipped, bad, skipped)
PYTHON
    ) || counts='0 1 0'
    read -r c_passed c_failed c_skipped <<COUNTS
$counts
COUNTS
    if [ -n "${CI-}" ] && [ "$1" != 1 ]; then
        c_failed=$((c_failed + c_skipped)) c_skipped=0
    fi
    passed=$((passed + c_passed)) failed=$((failed + c_failed)) skipped=$((skipped + c_skipped))
    note "ring $1, $2: $c_passed passed, $c_failed failed, $c_skipped skipped"
}

# tests RING NAME ARGUMENT…: one run of pytest, counted.
tests() {
    t_ring=$1
    t_name=$2
    shift 2
    "$venv/bin/pytest" -q -p no:cacheprovider --junitxml="$report/$t_name.xml" "$@"
    t_status=$?
    [ -s "$report/$t_name.xml" ] || say "$t_name: pytest ended with status $t_status"
    count "$t_ring" "$t_name"
    case $t_status in 0 | 1) ;; 5) ;; *) failed=$((failed + 1)) && note "ring $t_ring, $t_name: pytest status $t_status" ;; esac
}

# shellcheck disable=SC2046 # the packages are words
lab_packages() { want $("$venv/bin/python" -m tests.lab packages); }

# lab_wheels: the wheels of this checkout and of what they need from PyPI, as the lab's own pip will install them.
lab_wheels() {
    # shellcheck disable=SC2046 # the requirements are words
    lab_needs=$(requirements) && l_stamp=$(printf '%s\n' "$lab_needs" | cat - "$here/constraints.txt" | cksum) || return 1
    if [ "$(cat "$cache/lab-needs/stamp" 2>/dev/null)" != "$l_stamp" ]; then
        rm -rf "$cache/lab-needs"
        # shellcheck disable=SC2086 # the requirements are words
        pip download --only-binary=:all: --python-version=3.11 -c "$here/constraints.txt" -d "$cache/lab-needs" $lab_needs ||
            return 1
        printf '%s\n' "$l_stamp" >"$cache/lab-needs/stamp"
    fi
    rm -rf "$cache/lab-wheels" && mkdir -p "$cache/lab-wheels" &&
        cp "$cache"/lab-needs/*.whl "$wheels"/*.whl "$cache/lab-wheels"
}

# ---------------------------------------------------------------- what is needed

commit=$(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo unknown)
seed=${VFIOCTL_SHARD:-"$(date -u +%Y-%m-%d)-$commit"}
if [ -n "$whole" ]; then
    shard=''
    profile=all
else
    shard="--shard=$seed"
    profile=ci
    note "shard of the matrices: $seed (run it again with: pytest --shard=$seed)"
fi
[ -n "${CI-}" ] || [ -n "$whole" ] || profile=dev

# shellcheck disable=SC2046 # the packages are words
want $(venv_package) fuse3 dash busybox-static shellcheck strace || skip 1 "packages are missing (see above)"
# shellcheck disable=SC2046 # the requirements are words
make_venv "$cache/test-venv" hatchling editables $(requirements testing dev)
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
    data=$cache/coverage
    rm -rf "$data" && mkdir -p "$data" && chmod 1777 "$data"
    cat >"$data/config" <<CONFIG
[run]
branch = true
parallel = true
source =
    $site/vfioctl
    $site/vfioctl_nvidia
    $site/vfioctl_amdgpu
    $site/vfioctl_display_manager
    $site/vfioctl_snapshot
omit = */vfioctl/testing/*
data_file = $data/data
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
    printf 'import vfioctl_measured; vfioctl_measured.begin("%s/config")\n' "$data" >"$site/vfioctl_measured.pth"
fi

# ---------------------------------------------------------------- the rings

for ring in $rings; do
    case $ring in
    1)
        rest='--ignore=tests/libvirt --ignore=tests/bench'
        if [ -n "$coverage" ]; then # what is imported and how fast is judged without coverage
            rest="$rest --ignore=tests/contract --ignore=tests/cli/test_help.py"
        fi
        examples=$(printf %s "$seed" | cksum | cut -d" " -f1)
        # shellcheck disable=SC2086 # options are words
        tests 1 unit tests plugins -m 'not ring2' $rest --ignore=tests/matrix --hypothesis-profile="$profile" \
            --hypothesis-seed="$examples" -n "$(nproc)" --dist=worksteal
        # shellcheck disable=SC2086 # a case of a matrix waits more than it works: for deadlines, and for the processes that it starts
        tests 1 matrix tests/matrix $shard --hypothesis-profile="$profile" --hypothesis-seed="$examples" \
            -n "$((2 * $(nproc)))" --dist=worksteal
        ;;
    2)
        if ! want libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils; then
            skip 2 "libvirt or QEMU is missing (see above)"
        elif [ "$(id -u)" != 0 ]; then
            skip 2 "a private libvirtd needs root"
        else
            # shellcheck disable=SC2086
            tests 2 libvirt tests plugins -m ring2 $shard -n "$(nproc)" --dist=worksteal
        fi
        ;;
    3)
        [ -z "$whole" ] || scenarios=all
        case " $scenarios " in *' all '*) record="--record docs/reference/lab-results.md" ;; *) record='' ;; esac
        case " $scenarios " in *' all '* | *' bench'*) record="$record --figures docs/reference/performance.md" ;; esac
        if [ -z "$lab" ]; then
            note "ring 3: NOT RUN, because of --no-lab: nothing was proven on a real kernel"
            skipped=$((skipped + 1))
        elif [ "$(id -u)" != 0 ]; then
            skip 3 "the lab needs root"
        elif ! lab_packages; then
            skip 3 "packages are missing (see above)"
        elif ! lab_wheels; then
            skip 3 "the wheels that it installs cannot be had from PyPI"
        else
            # shellcheck disable=SC2086 # options and scenarios are words
            "$venv/bin/python" -m tests.lab run $scenarios --cache "$cache/lab" --wheels "$cache/lab-wheels" --seed "$seed" \
                --keep "$report/lab" --summary "$report/lab.txt" --patience "${LAB_PATIENCE-1}" $record
            l_status=$?
            touch "$report/lab.txt"
            while read -r line; do note "ring 3, $line"; done <"$report/lab.txt"
            passed=$((passed + $(grep -c ': passed' "$report/lab.txt")))
            case $l_status in
            0) ;;
            2) skip 3 "see above" ;;
            *) failed=$((failed + 1)) && note "ring 3: FAILED; logs, journals and pictures: $report/lab" ;;
            esac
        fi
        ;;
    *) die "there is no ring $ring" ;;
    esac
done

if [ -n "$coverage" ]; then
    rm -f "$site"/vfioctl_measured.*
    "$venv/bin/coverage" combine --quiet --rcfile="$data/config" "$data" &&
        "$venv/bin/coverage" report --rcfile="$data/config" --skip-covered --fail-under=90 | tee "$report/coverage" | tail -n 40
    if "$venv/bin/coverage" report --rcfile="$data/config" --fail-under=90 >/dev/null; then
        passed=$((passed + 1)) && note "coverage: $(tail -n 1 "$report/coverage")"
    else
        failed=$((failed + 1)) && note "coverage: FAILED: $(tail -n 1 "$report/coverage")"
    fi
fi

# ---------------------------------------------------------------- the result

seconds=$(($(date +%s) - begun))
if [ -n "$whole" ]; then
    page=docs/reference/test-results.md
    {
        printf '# Results of contrib/test.sh --all\n\nNewest first.\n\n## %s, commit %s\n\n' "$(date -u +%Y-%m-%d)" "$commit"
        printf '%s passed, %s failed, %s skipped in %s s on %s processors, Linux %s.\n\n' "$passed" "$failed" "$skipped" \
            "$seconds" "$(nproc)" "$(uname -r)"
        sed 's/^/- /' "$report/summary"
        if [ -f "$page" ]; then printf '\n' && sed '1,/^Newest first/d' "$page" | sed '1{/^$/d;}'; fi
    } >"$report/page"
    cp "$report/page" "$page"
fi
say
cat "$report/summary"
say "$passed passed, $failed failed, $skipped skipped in $seconds s"
[ "$failed" = 0 ]
