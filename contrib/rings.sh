# shellcheck shell=sh disable=SC2154 # contrib/test.sh sets what is only read here
# The rings: what each runs, on this computer or in a tree of another Debian, and how it is counted. Sourced by
# contrib/test.sh, which says what is asked for.

note() { say "$*" | tee -a "$report/summary"; }

# add RING NAME PASSED FAILED SKIPPED: counts them, and a row for the page of results.
add() {
    passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
    printf '%s|%s|%s|%s|%s|%s|%s|%s\n' "$debian" "$1" "$2" "${row_part:-${part:-1/1}}" "$3" "$4" "$5" \
        "$(($(date +%s) - ${ring_begun:-$begun}))" >>"$report/rows"
    ring_begun=$(date +%s)
}

# skip RING WHY: counted; a failure under CI for rings 2 and 3.
skip() {
    if [ -n "${CI-}" ] && [ "$1" != 1 ]; then
        note "Debian $debian, ring $1: FAILED, it cannot be skipped under CI: $2"
        add "$1" - 0 1 0
    else
        note "Debian $debian, ring $1: skipped: $2"
        add "$1" - 0 0 1
    fi
}

# count RING NAME: adds up what pytest wrote to its report, and names what failed, at the end as well.
count() {
    counts=$("$venv/bin/python" - "$report/$2.xml" "$report/$2.bad" "${CI-}$1" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

bad = ("failure", "error", *(["skipped"] if sys.argv[3][:-1] and sys.argv[3][-1] != "1" else []))
cases = [(case, {child.tag for child in case}) for case in tree.parse(sys.argv[1]).getroot().iter("testcase")]
named = [f"{case.get('classname')}::{case.get('name')}" for case, tags in cases if tags.intersection(bad)]
with open(sys.argv[2], "w") as file:
    file.writelines(f"{name}\n" for name in named)
skipped = sum("skipped" in tags and not tags.intersection(bad) for _, tags in cases)
print(len(cases) - len(named) - skipped, len(named), skipped)
PYTHON
    ) || counts='0 1 0'
    read -r c_passed c_failed c_skipped <<COUNTS
$counts
COUNTS
    note "Debian $debian, ring $1, $2: $c_passed passed, $c_failed failed, $c_skipped skipped"
    [ ! -f "$report/$2.bad" ] || while read -r c_name; do note "    did not pass: $c_name"; done <"$report/$2.bad"
    add "$1" "$2" "$c_passed" "$c_failed" "$c_skipped"
}

# tests RING NAME ARGUMENT…: one run of pytest, counted.
tests() {
    t_ring=$1
    t_name=$2
    shift 2
    # shellcheck disable=SC2086 # options are words
    "$venv/bin/pytest" -q -p no:cacheprovider --junitxml="$report/$t_name.xml" ${part:+--part=$part} "$@"
    t_status=$?
    [ -s "$report/$t_name.xml" ] || say "$t_name: pytest ended with status $t_status"
    count "$t_ring" "$t_name"
    case $t_status in 0 | 1) ;; 5) ;; *) failed=$((failed + 1)) && note "ring $t_ring, $t_name: pytest status $t_status" ;; esac
}

# ring1: all that needs no libvirt; then a share of it with every other Python that is here.
ring1() {
    rest='--ignore=tests/libvirt --ignore=tests/bench --ignore=tests/boot'
    if [ -n "$coverage" ]; then # what is imported and how fast is judged without coverage
        rest="$rest --ignore=tests/contract --ignore=tests/cli/test_help.py"
    fi
    examples=$(printf %s "$seed" | cksum | cut -d" " -f1)
    # More workers than processors: tests wait as long as they work, for deadlines and for the processes that they start.
    # shellcheck disable=SC2086 # options are words
    tests 1 unit tests plugins -m 'not ring2' $rest --ignore=tests/matrix $shard --hypothesis-profile="$profile" \
        --hypothesis-seed="$examples" -n "$((2 * $(nproc)))" --dist=worksteal
    # shellcheck disable=SC2086 # options are words
    tests 1 matrix tests/matrix $shard --hypothesis-profile="$profile" --hypothesis-seed="$examples" \
        -n "$((2 * $(nproc)))" --dist=worksteal
    case $coverage$outer$part in '' | 1/*) for other in $other_pythons; do with_python "$other"; done ;; esac
}

# with_python VERSION: a share of ring 1, from the wheels, on another interpreter of this computer.
with_python() {
    w_python=$(command -v "python$1") || w_python=false
    if [ "$("$w_python" -c 'import ensurepip, sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null)" != "$1" ]; then
        skip 1 "there is no Python $1 on this computer"
        return
    fi
    w_before=$python w_venv=$venv w_path=$PATH w_part=$part
    python=$w_python part=$(drawn "$share") row_part=share
    make_venv "$cache/test-venv-$1" run build testing dev
    pip install --no-index --no-deps --force-reinstall "$wheels"/*.whl || die "Installing the wheels failed."
    PATH=$venv/bin:$PATH
    tests 1 "python$1" tests plugins -m 'not ring2 and not matrix' --ignore=tests/libvirt --ignore=tests/bench \
        --ignore=tests/contract --ignore=tests/boot --hypothesis-profile=dev -n "$(nproc)" --dist=worksteal
    python=$w_before venv=$w_venv PATH=$w_path part=$w_part row_part=''
}

# drawn M: one of M parts, by the seed, as N/M.
drawn() { printf '%s/%s' "$(($(printf %s "$seed" | cksum | cut -d' ' -f1) % $1 + 1))" "$1"; }

# ring2_needs: the packages that ring 2 needs. Debian 13 has libvirt's part for LVM in one of its own.
ring2_needs() {
    case $debian in 13) echo "$ring2_packages libvirt-daemon-driver-storage-logical" ;; *) echo "$ring2_packages" ;; esac
}

ring2() {
    # shellcheck disable=SC2046 # the packages are words
    if ! want $(ring2_needs); then
        skip 2 "libvirt or QEMU is missing (see above)"
    elif [ "$(id -u)" != 0 ]; then
        skip 2 "a private libvirtd needs root"
    else
        unpack_sshd
        unpack_kernel
        unpack_agent
        # shellcheck disable=SC2086 # options are words
        tests 2 libvirt tests plugins -m ring2 $shard -n "$(nproc)" --dist=worksteal
    fi
}

# unpack NAME FILE COMMAND…: the packages that COMMAND downloads, in the tree $cache/NAME, which has FILE then. They are not
# installed, since no service of this computer may start with them. Where they cannot be had, their tests are skipped and
# counted.
unpack() {
    u_tree=$cache/$1
    u_file=$2
    shift 2
    # shellcheck disable=SC2086 # a file may be a pattern
    if [ -n "${NO_APT-}" ] || ls "$u_tree"/$u_file >/dev/null 2>&1; then return; fi
    rm -rf "$u_tree"
    mkdir -p "$u_tree/packages"
    { apt_update && (cd "$u_tree/packages" && "$@"); } >"$cache/apt.log" 2>&1
    for u_package in "$u_tree"/packages/*.deb; do dpkg -x "$u_package" "$u_tree" 2>>"$cache/apt.log"; done
}

# unpack_sshd: an sshd for the tests, in $SSHD_TREE.
unpack_sshd() {
    if [ -x /usr/sbin/sshd ]; then return; fi
    export SSHD_TREE="$cache/sshd"
    unpack sshd usr/sbin/sshd apt-get download openssh-server libwrap0
}

# unpack_agent: QEMU's agent for the guests of tests, in $AGENT_TREE; QEMU has brought the libraries that it needs.
unpack_agent() {
    if [ -x /usr/sbin/qemu-ga ]; then return; fi
    export AGENT_TREE="$cache/agent"
    unpack agent usr/sbin/qemu-ga apt-get download qemu-guest-agent
}

# unpack_kernel: a kernel for the guests of tests, in $KERNEL_TREE.
unpack_kernel() {
    if ls /boot/vmlinuz-* >/dev/null 2>&1; then return; fi
    export KERNEL_TREE="$cache/kernel"
    unpack kernel 'boot/vmlinuz-*' download_kernel
}

# download_kernel: the package that the one for all versions of the kernel depends on.
download_kernel() {
    apt-get download "$(LC_ALL=C apt-cache depends linux-image-cloud-amd64 |
        sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)"
}

# ring3 OPTION…: the lab.
ring3() {
    if [ -z "$lab" ]; then
        note "ring 3: NOT RUN, because of --no-lab: nothing was proven on a real kernel"
        skipped=$((skipped + 1))
    elif [ "$(id -u)" != 0 ]; then
        skip 3 "the lab needs root"
    elif ! lab_packages; then
        skip 3 "packages are missing (see above)"
    elif ! lab_wheels; then
        skip 3 "the wheels that it installs cannot be had from the package index"
    else
        lab_runs "$@"
    fi
}

lab_runs() {
    l_summary=$report/lab-$debian.txt
    "$venv/bin/python" -m tests.lab run "$@" --debian "$debian" --cache "$cache/lab" --wheels "$cache/lab-wheels" \
        --seed "$seed" --keep "$report/lab-$debian" --summary "$l_summary" --patience "${LAB_PATIENCE-1}"
    l_status=$?
    touch "$l_summary"
    while read -r line; do note "Debian $debian, ring 3, $line"; done <"$l_summary"
    l_failed=$(grep -c ': failed' "$l_summary")
    case $l_status in
    0 | 2) ;;
    *)
        [ "$l_failed" != 0 ] || l_failed=1
        note "Debian $debian, ring 3: FAILED; logs, journals and pictures: $report/lab-$debian"
        ;;
    esac
    if [ "$l_status" = 2 ]; then skip 3 "see above"; else add 3 lab "$(grep -c ': passed' "$l_summary")" "$l_failed" 0; fi
}

# boots: machines of both Debians that boot by a loader of their own, one after the other.
boots() {
    if [ -z "$lab" ] || [ "$(id -u)" != 0 ]; then return; fi # ring3 has said so
    # shellcheck disable=SC2086 # the packages are words
    if ! { lab_packages && want $loader_packages; }; then
        skip 3 "packages are missing (see above)"
    else
        # shellcheck disable=SC2086 # options are words
        tests 3 boot tests/boot $shard
    fi
}

# shellcheck disable=SC2046 # the packages are words
lab_packages() { want $("$venv/bin/python" -m tests.lab packages); }

# lab_wheels: the wheels of this checkout and of what it needs besides, as the lab's own pip will install them.
lab_wheels() {
    l_stamp=$(cksum <"$here/requirements/run.txt") || return 1
    if [ "$(cat "$cache/lab-needs/stamp" 2>/dev/null)" != "$l_stamp" ]; then
        rm -rf "$cache/lab-needs"
        pip download --require-hashes --only-binary=:all: --python-version=3.11 -d "$cache/lab-needs" \
            -r "$here/requirements/run.txt" || return 1
        printf '%s\n' "$l_stamp" >"$cache/lab-needs/stamp"
    fi
    rm -rf "$cache/lab-wheels" && mkdir -p "$cache/lab-wheels" &&
        cp "$cache"/lab-needs/*.whl "$wheels"/*.whl "$cache/lab-wheels"
}

# in_tree RING OPTION…: runs this script for a ring in a tree of that Debian, and counts what it counted.
in_tree() {
    i_ring=$1
    shift
    i_cache=$cache/debian-$debian
    if [ "$(id -u)" != 0 ]; then
        skip "$i_ring" "a tree of Debian $debian needs root"
        return
    elif ! want mmdebstrap; then
        skip "$i_ring" "packages are missing (see above)"
        return
    fi
    say "Debian $debian: making or finding its tree"
    # shellcheck disable=SC2046,SC2086 # the packages are words
    i_tree=$("$python" -m tests.lab tree --debian "$debian" --cache "$cache/lab" \
        $ring1_packages $binding_packages $(ring2_needs) $tree_packages) || {
        skip "$i_ring" "its tree could not be made: $i_tree"
        return
    }
    mkdir -p "$i_cache"
    rm -rf "$i_cache/report"
    # What ring 2 has unpacked for this computer is not there: that tree has packages of its own.
    SSHD_TREE='' KERNEL_TREE='' AGENT_TREE='' \
        VFIOCTL_CACHE=$i_cache VFIOCTL_SHARD=$seed VFIOCTL_OUTER=$commit "$here/inside.sh" "$i_tree" "$top" "$i_cache" -- \
        "$top/contrib/test.sh" --ring "$i_ring" ${whole:+--all} ${coverage:+--coverage} "$@"
    i_status=$?
    [ ! -f "$i_cache/report/summary" ] || cat "$i_cache/report/summary" >>"$report/summary"
    i_failed=0
    while IFS='|' read -r _ _ _ _ r_passed r_failed r_skipped _; do
        passed=$((passed + r_passed)) failed=$((failed + r_failed)) skipped=$((skipped + r_skipped))
        i_failed=$((i_failed + r_failed))
    done <"$i_cache/report/rows"
    cat "$i_cache/report/rows" >>"$report/rows"
    if [ "$i_status" != 0 ] && [ "$i_failed" = 0 ]; then
        note "Debian $debian, rings $i_ring: FAILED, it ended with status $i_status"
        add "$i_ring" - 0 1 0
    fi
}
