# Helper functions of a rendered undo.sh. Each looks at the machine first, so that running it twice is harmless;
# none stops at an error. Values come as arguments, never as text of the script.

# The system's own tools serve this script; what changes the host is searched in PROGRAMS, by run.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin
LC_ALL=C
export PATH LC_ALL
umask 077
failed=0
slots=0
turn=

# A log that cannot be written must not change what is done. Names come from hardware and other users: none of their
# bytes may command the terminal of whoever reads it.
say() {
    printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(printf '%s' "$*" | tr -c ' -~' '?')" 2>/dev/null
    return 0
}

fail() {
    failed=1
    say "FAILED: $*"
}

# ours FILE…: whether nobody else could have written them; an access control list shows in the bits of the group.
ours() { [ -z "$(find "$@" -prune \( ! -user "$(id -u)" -o -perm -002 -o -perm -020 \) || echo unknown)" ]; }

# enter DIRECTORY: into it, and not through a link in its place.
enter() { cd -P -- "${1%/*}" && e_place=${PWD%/}/${1##*/} && cd -P -- "$e_place" && [ "$PWD" = "$e_place" ]; }

# open_log: what is said goes to LOG; nowhere when others can write its directory, or when it is a link or a pipe. The
# directory is entered before it is judged, so that nobody can exchange it afterwards.
open_log() {
    o_back=$PWD
    o_log=./${LOG##*/}
    if ! { enter "${LOG%/*}" && ours . && [ ! -L "$o_log" ] && { [ ! -e "$o_log" ] || [ -f "$o_log" ]; } &&
        (true >>"$o_log"); } 2>/dev/null; then
        o_log=/dev/null
    fi
    exec >>"$o_log" 2>&1 </dev/null
    cd -- "$o_back" || cd /
}

begin() {
    mkdir -p -- "${LOG%/*}" "${LOCK%/*}" "$RUN" 2>/dev/null
    open_log
    say "undo of guest $GUEST ($UUID)"
    if ! (true >>"$LOCK"); then
        fail "$LOCK cannot be opened"
        exit 1
    fi
    exec 9>>"$LOCK"
    if ! flock -w 15 9; then
        fail "another process hands this guest off right now: $LOCK"
        exit 1
    fi
    printf '%s' "$$" >"$LOCK"
    records=$(tail -q -n +2 -- "$JOURNAL" "$DISK_JOURNAL" 2>/dev/null)
    for b_dir in "$RUN" /dev/shm /tmp; do
        work=$(mktemp -d "$b_dir/vfioctl-undo.XXXXXX") || continue
        trap 'rm -rf -- "$work"' EXIT
        if printf 'x\n' >"$work/room"; then return 0; fi
        rm -rf -- "$work"
    done
    fail "there is no room for a few bytes in $RUN, /dev/shm or /tmp"
    exit 1
}

finish() {
    leave
    say "ended with status $failed"
    exit "$failed"
}

# leave: all steps are behind us, so what this guest shared with others is theirs alone; the next one may have its turn.
leave() {
    if [ -d "$MARKS" ]; then printf '%s\n' "$failed" >"$MARKS/undone-by-sh"; fi
    exec 8>&-
}

# take_turn: where several such scripts run at once, each would leave what they share to the others. So they go on one
# after the other from there, and the last one restores it. Fails when it was our turn already.
take_turn() {
    [ -z "$turn" ] || return 1
    turn=taken
    exec 8>>"${LOCK%/*}/undo-sh.lock"
    flock -w 15 8 || say "the other scripts take too long: nobody is waited for any more"
}

# undone_guests: the UUIDs of guests that such a script has brought home; only vfioctl strikes them off the ledger.
undone_guests() {
    for g_mark in "$RUN"/guests/*/undone-by-sh "$RUN"/guests/.[!.]*/undone-by-sh "$RUN"/guests/..?*/undone-by-sh; do
        if [ -e "$g_mark" ]; then cat "${g_mark%/*}/uuid"; fi
    done
}

# count_records WHAT ID-AS-JSON: how many such records of an apply the journal has, in $count.
count_records() {
    count=0
    c_text=$records
    c_record="{\"what\": \"$1\", \"action\": \"apply\", \"step\": $2, "
    while :; do
        case $c_text in
        *"$c_record"*) c_text=${c_text#*"$c_record"} ;;
        *) return 0 ;;
        esac
        count=$((count + 1))
    done
}

# may_have_done ID-AS-JSON BLIND: whether the step may have changed something. The machine is asked about most of them
# later, unless the step was refused; a blind one has nothing but its records.
may_have_done() {
    count_records intent "$1"
    m_begun=$count
    count_records refused "$1"
    if [ "$m_begun" -gt "$count" ]; then return 0; fi
    [ "$count" -eq 0 ] && [ -z "$2" ]
}

# step ID KIND LEDGER-ENTRY ID-AS-JSON BLIND: whether it is to be undone; not while another guest holds the same
# resource, nor where nothing was done and no other guest has left it to this one.
step() {
    say "step $1 ($2)"
    l_text=$(cat "$3" 2>/dev/null)
    case $l_text in
    *'"inherited": true'*) ;;
    *)
        if ! may_have_done "$4" "$5"; then
            say "it has changed nothing"
            return 1
        fi
        ;;
    esac
    if is_shared "$3" && { ! take_turn || is_shared "$3"; }; then
        say "still needed by another guest"
        return 1
    fi
}

# is_shared LEDGER-ENTRY: whether a guest holds it as well that no such script has brought home yet.
is_shared() {
    l_text=$(cat "$1" 2>/dev/null)
    l_text=${l_text#*'"holders": {'}
    for l_uuid in "$UUID" $(undone_guests); do
        case $l_text in
        *"\"$l_uuid\": "*) l_text=${l_text%%"\"$l_uuid\": "*}${l_text#*"\"$l_uuid\": "} ;;
        esac
    done
    # Hex digits only: a guest may be called like a UUID, but then JSON has a backslash before its quotation mark.
    l_four='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
    # shellcheck disable=SC2254 # it is a pattern
    case $l_text in
    *'"'$l_four$l_four-$l_four-$l_four-$l_four-$l_four$l_four$l_four'": '*) return 0 ;;
    esac
    return 1
}

run() (
    PATH=$PROGRAMS
    export PATH
    exec "$@"
)

attend() {
    "$@" >"$b_slot.out" 2>&1
    echo "$?" >"$b_slot.rc"
}

# bounded SECONDS COMMAND…: its status, its output in $out; 124 when it has not ended by then. It is not killed:
# nothing can kill a process that waits in the kernel. A program keeps our lock meanwhile; a write that never
# returns must not keep it, and its device is recorded as stuck instead.
bounded() {
    b_tries=$(($1 * 50))
    shift
    slots=$((slots + 1))
    b_slot=$work/$slots
    case $1 in
    run | manager) { attend "$@"; } </dev/null >/dev/null 2>&1 8>&- & ;;
    *) { attend "$@"; } </dev/null >/dev/null 2>&1 8>&- 9>&- & ;;
    esac
    child=$!
    out=
    until [ -s "$b_slot.rc" ]; do
        [ "$b_tries" -gt 0 ] || return 124
        b_tries=$((b_tries - 1))
        sleep 0.02
    done
    read -r b_status <"$b_slot.rc"
    out=$(cat "$b_slot.out")
    return "$b_status"
}

put() { printf '%s\n' "$2" >"$1"; }

# start_time PID: clock ticks since boot, field 22 of /proc/PID/stat, counted after the command's name (proc(5)).
start_time() {
    [ -r "$PROC/$1/stat" ] || return 0
    s_stat=$(cat "$PROC/$1/stat" 2>/dev/null)
    # shellcheck disable=SC2086 # the fields are words
    set -- ${s_stat##*) }
    [ "${1-Z}" = Z ] || printf '%s\n' "${20-}"
}

# number_in FILE KEY: the number of KEY in one of our JSON records.
number_in() {
    n_text=$(cat "$1" 2>/dev/null)
    case $n_text in
    *"\"$2\": "*)
        n_text=${n_text#*"\"$2\": "}
        printf '%s\n' "${n_text%%[!0-9]*}"
        ;;
    esac
}

is_stuck() {
    [ -f "$STUCK/$1.json" ] || return 1
    i_pid=$(number_in "$STUCK/$1.json" pid)
    [ -n "$i_pid" ] && [ "$(start_time "$i_pid")" = "$(number_in "$STUCK/$1.json" start_time)" ]
}

# record_stuck ADDRESS PID FILE VALUE
record_stuck() {
    fail "$1: process $2 does not return from $3; nothing more is written to the device"
    r_since=$(start_time "$2")
    mkdir -p -- "$STUCK"
    printf '{"address": "%s", "path": "%s", "pid": %s, "start_time": %s, "value": "%s"}\n' \
        "$1" "${3##*[\"\\]}" "$2" "${r_since:-0}" "${4##*[\"\\]}" >"$STUCK/.$1.new"
    mv -f -- "$STUCK/.$1.new" "$STUCK/$1.json"
}

# write_device ADDRESS FILE VALUE SECONDS [say]: with "say" a value that the kernel refuses is no failure
write_device() {
    if is_stuck "$1"; then
        fail "$1 is stuck in the kernel: nothing is written to it"
        return 1
    fi
    bounded "$4" put "$2" "$3" && return 0
    case $? in
    124) record_stuck "$1" "$child" "$2" "$3" ;;
    *) ${5:-fail} "$1: writing '$3' to $2: $out" ;;
    esac
    return 1
}

driver_of() {
    d_link=$(readlink "$SYS/bus/pci/devices/$1/driver") || return 0
    printf '%s\n' "${d_link##*/}"
}

# is_open ADDRESS: whether a process has its VFIO group or device open; its number is in $holder. Anybody may have a file
# of the same name, even in a file system that does not answer: what is called so is asked for its number. Without stat,
# the whole name decides.
is_open() {
    o_group=$(readlink "$SYS/bus/pci/devices/$1/iommu_group") || o_group=none
    o_group=/dev/vfio/${o_group##*/}
    o_device=/dev/vfio/devices/none
    for o_dir in "$SYS/bus/pci/devices/$1/vfio-dev"/vfio*; do
        if [ -e "$o_dir" ]; then o_device=/dev/vfio/devices/${o_dir##*/}; fi
    done
    o_numbers=$(stat -L -c '%F %t:%T' -- "$ROOT$o_group" "$ROOT$o_device" 2>/dev/null)
    if [ -n "$o_numbers" ]; then o_above=; else o_above=" -> $ROOT"; fi
    # shellcheck disable=SC2012 # one process for all links; their names are numbers
    ls -l "$PROC"/[0-9]*/fd 2>/dev/null | while read -r o_line; do
        case $o_line in
        "$PROC"/*/fd:) o_dir=${o_line%:} ;;
        *"$o_above$o_group" | *"$o_above$o_device")
            o_line=${o_line%% -> *}
            printf '%s\n' "$o_dir/${o_line##* }"
            ;;
        esac
    done >"$work/named"
    if [ -n "$o_numbers" ]; then
        has_number
    else
        read -r o_link <"$work/named" && holder=${o_link%/fd/*} && holder=${holder##*/}
    fi
}

# has_number: whether a link in the file `named` leads to one of $o_numbers. A process each is asked in the background,
# and no more once it has not answered: nothing can end a stat that waits for a file system.
has_number() {
    slots=$((slots + 1))
    o_said=$work/numbers-$slots # a late answer belongs to the look before
    o_asked=0
    set --
    while read -r o_link; do
        if [ $# -gt 0 ] && [ "${1%/*}" != "${o_link%/*}" ]; then
            ask_numbers "$@"
            set --
        fi
        set -- "$@" "$o_link"
    done <"$work/named"
    if [ $# -gt 0 ]; then ask_numbers "$@"; fi
    o_tries=50
    while :; do
        o_answered=$(cat "$o_said".* 2>/dev/null | grep -cx end)
        holder=$(grep -Flx -e "$o_numbers" "$o_said".* 2>/dev/null | head -n 1)
        holder=${holder##*.}
        if [ -n "$holder" ]; then return 0; fi
        if [ "$o_answered" -ge "$o_asked" ] || [ "$o_tries" -le 0 ]; then return 1; fi
        o_tries=$((o_tries - 1))
        sleep 0.02
    done
}

# ask_numbers LINK…: those of one process, into the file $o_said.PID, which says "end" then; of 200 at the most.
ask_numbers() {
    o_process=${1%/fd/*}
    o_slot=$work/asked-${o_process##*/}
    if [ -e "$o_slot" ] || [ "$o_asked" -ge 200 ]; then return 0; fi
    : >"$o_slot"
    o_asked=$((o_asked + 1))
    {
        stat -L -c '%F %t:%T' -- "$@"
        rm -f -- "$o_slot"
        echo end
    } </dev/null >"$o_said.${o_process##*/}" 2>/dev/null 9>&- &
}

# wait_closed ADDRESS SECONDS: vfio-pci blocks in an unbind until user space has closed the device.
wait_closed() {
    c_end=$(($(date +%s) + $2))
    while is_open "$1"; do
        [ "$(date +%s)" -lt "$c_end" ] || return 1
        sleep 0.1
    done
}

# bind_home ADDRESS DRIVER SECONDS
bind_home() {
    write_device "$1" "$SYS/bus/pci/drivers_probe" "$1" "$3" || return 0
    h_tries=$(($3 * 20))
    until [ "$(driver_of "$1")" = "$2" ]; do
        if [ "$h_tries" -le 0 ]; then
            fail "$1 did not get its driver $2 back"
            return 0
        fi
        h_tries=$((h_tries - 1))
        sleep 0.05
    done
    say "$1 is on $2 again"
}

# modules_back SECONDS MODULE…: what the own driver of a device needs, in this order.
modules_back() {
    m_limit=$1
    shift
    for m_module in "$@"; do module_back "$m_module" "$m_limit"; done
}

# return_device ADDRESS HOME GIVEN SECONDS MODULE…: from the driver that it was given to, back to HOME ('' for none),
# which needs the modules. They are loaded once it has no driver: nvidia refuses to be loaded without a card to drive.
return_device() {
    n_device=$1 n_home=$2 n_given=$3 n_limit=$4
    shift 4
    if [ ! -e "$SYS/bus/pci/devices/$n_device" ]; then
        fail "$n_device is gone from the bus"
        return 0
    fi
    if is_stuck "$n_device"; then
        fail "$n_device is stuck in the kernel: nothing is written to it"
        return 0
    fi
    now=$(driver_of "$n_device")
    case $now in
    "$n_home")
        modules_back "$n_limit" "$@"
        say "$n_device is home already"
        return 0
        ;;
    '' | "$n_given" | *vfio*) ;;
    *)
        say "$n_device is on $now, where someone else put it: left alone"
        return 0
        ;;
    esac
    if [ -n "$now" ] && ! wait_closed "$n_device" "$n_limit"; then
        fail "$n_device is still open in a process: $holder ($(cat "$PROC/$holder/comm" 2>/dev/null))"
        return 0
    fi
    if [ -n "$n_home" ]; then
        write_device "$n_device" "$SYS/bus/pci/devices/$n_device/driver_override" "$n_home" "$n_limit" || return 0
    fi
    if [ -n "$now" ]; then
        write_device "$n_device" "$SYS/bus/pci/drivers/$now/unbind" "$n_device" "$n_limit" || return 0
    fi
    modules_back "$n_limit" "$@"
    if [ -d "$SYS/bus/pci/drivers/$n_home" ] && [ -n "$n_home" ]; then
        bind_home "$n_device" "$n_home" "$n_limit"
    elif [ $# -gt 0 ]; then
        fail "$n_device is without a driver: the kernel has no driver $n_home any more"
    else
        say "$n_device is detached; ${n_home:-no driver} is not loaded"
    fi
}

# read_override ADDRESS: driver_override in $out, '' when it is not set. The read waits for the device lock.
read_override() {
    if is_stuck "$1"; then
        fail "$1 is stuck in the kernel: it is not read"
        return 1
    fi
    bounded 2 cat "$SYS/bus/pci/devices/$1/driver_override"
    case $? in
    0) ;;
    124)
        record_stuck "$1" "$child" "$SYS/bus/pci/devices/$1/driver_override" ''
        return 1
        ;;
    *)
        fail "$1: its driver_override cannot be read: $out"
        return 1
        ;;
    esac
    if [ "$out" = '(null)' ]; then out=; fi
}

# override_back ADDRESS VALUE SECONDS
override_back() {
    if [ ! -e "$SYS/bus/pci/devices/$1" ]; then
        say "$1 is gone, and its driver_override with it"
        return 0
    fi
    read_override "$1" || return 0
    if [ "$out" = "$2" ]; then
        say "driver_override of $1 is as it was"
        return 0
    fi
    write_device "$1" "$SYS/bus/pci/devices/$1/driver_override" "$2" "$3" || return 0
    say "driver_override of $1: '$2'"
}

# aim_home ADDRESS DRIVER SECONDS: an override that names another driver would keep the returning one away.
aim_home() {
    if [ ! -e "$SYS/bus/pci/devices/$1" ] || [ -n "$(driver_of "$1")" ]; then return 0; fi
    read_override "$1" || return 0
    case $out in
    '' | "$2") ;;
    *) write_device "$1" "$SYS/bus/pci/devices/$1/driver_override" "$2" "$3" || return 0 ;;
    esac
}

# module_back MODULE SECONDS
module_back() {
    if [ -e "$SYS/module/$1" ]; then
        say "module $1 is loaded"
        return 0
    fi
    if bounded "$2" run modprobe "$1"; then
        say "module $1 is loaded again"
    else
        fail "module $1 was not loaded: $out"
    fi
}

# rebind ADDRESS DRIVER SECONDS
rebind() {
    now=$(driver_of "$1")
    case $now in
    "$2") say "$1 is on $2" ;;
    '') bind_home "$1" "$2" "$3" ;;
    *) fail "$1 is on $now, not on $2" ;;
    esac
}

# manager UID ARGUMENTS…: systemctl of the system ('') or of a user
manager() {
    m_uid=$1
    shift
    if [ -n "$m_uid" ]; then
        run systemctl --user "--machine=$m_uid@.host" "$@"
    else
        run systemctl "$@"
    fi
}

# without_manager UID: whether it is a user whose manager has ended with the last session.
without_manager() { [ -n "$1" ] && ! bounded 5 run systemctl is-active --quiet -- "user@$1.service"; }

# end_stopping UNIT UID: kills a display manager whose stop does not end, since a start waits for that. No other unit:
# a service may have data to write still.
end_stopping() {
    [ -z "$2" ] || return 1
    bounded 5 manager '' show --property=Id --value -- display-manager.service
    e_id=$out
    bounded 5 manager '' show --property=Id --value -- "$1"
    [ "$out" = "$e_id" ] || return 1
    bounded 5 manager '' show --property=ActiveState --value -- "$1"
    [ "$out" = deactivating ] || return 1
    say "$1 does not stop, and is killed"
    bounded 5 manager '' kill --signal=SIGKILL -- "$1"
}

# unit_back UNIT UID SECONDS
unit_back() {
    if bounded 5 manager "$2" is-active --quiet -- "$1"; then
        say "$1 runs"
        return 0
    fi
    bounded 5 manager "$2" reset-failed -- "$1"
    if bounded "$3" manager "$2" start -- "$1"; then
        say "$1 runs again"
        return 0
    fi
    u_said=${out:-it has not stopped or started in $3 s}
    if end_stopping "$1" "$2" && bounded "$3" manager '' start -- "$1"; then
        say "$1 runs again"
    elif without_manager "$2"; then
        say "$1 went with the user manager of $2"
    else
        fail "$1 was not started: $u_said"
    fi
}

# unit_away UNIT UID SECONDS
unit_away() {
    if ! bounded 5 manager "$2" is-active --quiet -- "$1"; then
        say "$1 does not run"
    elif bounded "$3" manager "$2" stop -- "$1"; then
        say "$1 is stopped"
    else
        fail "$1 was not stopped: $out"
    fi
}

# attribute_back ADDRESS PATH VALUE SECONDS [say]: ADDRESS '' when it belongs to no PCI function
attribute_back() {
    if [ ! -e "$ROOT$2" ]; then
        say "$2 is gone"
        return 0
    fi
    bounded 2 cat "$ROOT$2"
    case $out in *'['*']'*)
        out=${out#*\[}
        out=${out%%\]*}
        ;;
    esac
    if [ "$out" = "$3" ]; then
        say "$2 is as it was"
    elif [ -n "$1" ]; then
        if write_device "$1" "$ROOT$2" "$3" "$4" "${5:-fail}"; then say "$2: '$3'"; fi
    elif bounded "$4" put "$ROOT$2" "$3"; then
        say "$2: '$3'"
    else
        ${5:-fail} "writing '$3' to $2: $out"
    fi
}

# attribute_home HOME ADDRESS PATH VALUE SECONDS [say]: once vfio-pci, which lets sleep what nobody has open, is off it.
attribute_home() {
    now=$(driver_of "$2")
    case $now in
    "$1") ;;
    *vfio*)
        fail "$2 is still on $now: $3 stays until it is home"
        return 0
        ;;
    esac
    shift
    attribute_back "$@"
}

# vtconsole_back NAME: normally the kernel has brought it back, bound, with the framebuffer.
vtconsole_back() {
    for v_dir in "$SYS"/class/vtconsole/vtcon*; do
        v_name=$(cat "$v_dir/name" 2>/dev/null)
        case $v_name in
        "$1" | "(M) $1" | "(S) $1") ;;
        *) continue ;;
        esac
        if ! bounded 2 cat "$v_dir/bind"; then
            fail "the kernel does not say whether the $1 is bound: its lock is held, or it is gone"
        elif [ "$out" = 1 ]; then
            say "the $1 is bound"
        elif bounded 5 put "$v_dir/bind" 1; then
            case $(cat "$v_dir/bind" "$SYS"/class/vtconsole/vtcon*/name) in
            1*) say "the $1 is bound again" ;;
            *'(S)'*) fail "binding the $1 had no effect" ;;
            *) say "the kernel binds the $1 no more by hand; it comes back when its driver does" ;;
            esac
        else
            fail "the $1 was not bound: $out"
        fi
    done
}

# outliving PROGRAM ARGUMENT…: bounded lets it have no lock of ours: what it starts (conmon) would keep it.
outliving() { run "$@"; }

# container_back TOOL NAME SECONDS PROGRAM ARGUMENT…: both tools do nothing where it runs. What is said of the start may
# be about another container that it needs, so the tool is asked about this one.
container_back() {
    k_tool=$1
    k_name=$2
    k_limit=$3
    shift 3
    if ! (PATH=$PROGRAMS && command -v "$k_tool") >/dev/null; then
        say "container $k_name is not there any more, nor is $k_tool"
    elif bounded "$k_limit" outliving "$@" start -- "$k_name"; then
        say "container $k_name runs"
    elif k_out=$out && tells_absence && ! bounded "$k_limit" outliving "$@" container inspect -- "$k_name" &&
        tells_absence; then
        say "container $k_name is not there any more"
    else
        fail "container $k_name was not started: $k_out"
    fi
}

# tells_absence: whether the program that has just ended says so of a container.
tells_absence() {
    case $out in
    *[Nn]'o such container'*) ;;
    *) return 1 ;;
    esac
}

# unit_goes_on UNIT: one without a main process has none that stands still.
unit_goes_on() {
    bounded 5 manager '' show --property=MainPID --value -- "$1"
    if [ "${out:-0}" = 0 ]; then
        say "$1 has no main process"
    elif bounded 5 manager '' kill --kill-who=main --signal=SIGCONT -- "$1"; then
        say "$1 goes on"
    else
        fail "$1 does not go on: $out"
    fi
}

# command_back SECONDS PROGRAM ARGUMENT…
command_back() {
    k_limit=$1
    shift
    if bounded "$k_limit" run "$@"; then
        say "$1 ended well"
    else
        fail "$1: $out"
    fi
}

# expect WORDS TEST…: `patience` counts the looks that are left to all conditions together.
expect() {
    leave
    e_words=$1
    shift
    until "$@" 2>/dev/null; do
        if [ "$patience" -le 0 ]; then
            fail "not so: $e_words"
            return 0
        fi
        patience=$((patience - 1))
        sleep 0.05
    done
    say "$e_words"
}

exists() { [ -e "$ROOT$1" ] || [ -L "$ROOT$1" ]; }
absent() { ! exists "$1"; }
says() { [ "$(cat "$ROOT$1")" = "$2" ]; }
points_to() {
    p_link=$(readlink "$ROOT$1") || p_link=
    [ "${p_link##*/}" = "$2" ]
}
is_active() { bounded 5 manager "$2" is-active --quiet -- "$1"; }
is_inactive() { ! is_active "$@"; }
