#!/bin/bash
# The `moat` command from outside: what it prints and how it ends.
# check.sh COMMAND COMPILER
set -euo pipefail
moat=$1 compiler=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export LC_ALL=C
unset LD_PRELOAD MOAT_OPTIONS
failed=0

# expect STATUS STDOUT STDERR COMMAND...: the two texts are patterns of [[ ]] for all that is written.
expect()
{
    local status=$1 out=$2 err=$3 got=0
    shift 3
    "$@" >"$dir/out" 2>"$dir/err" </dev/null || got=$?
    # shellcheck disable=SC2053
    if [ "$got" -ne "$status" ] || [[ $(cat "$dir/out") != $out ]] || [[ $(cat "$dir/err") != $err ]]; then
        printf '%s\n  wanted: status %s\n%s\n%s\n  got: status %s\n' "$*" "$status" "$out" "$err" "$got"
        cat "$dir/out" "$dir/err"
        failed=1
    fi
}

# shellcheck disable=SC2016
shows='echo "<$MOAT_OPTIONS> $LD_PRELOAD"'

expect 0 'moat [0-9]*.[0-9]*.[0-9]*' '' "$moat" --version
expect 0 'Usage: moat COMMAND*run*doctor*options*symbolize*fuzz*triage*top*map*' '' "$moat" --help
expect 0 'Usage: moat run *' '' "$moat" help run
expect 0 'Usage: moat run *' '' "$moat" run --help
expect 0 'Usage: moat doctor*' '' "$moat" doctor --help
expect 0 'Usage: moat options *' '' "$moat" options --help
expect 2 '' 'Usage: moat COMMAND*' "$moat"
expect 2 '' "moat: no command 'ran'; there are run, doctor, options, symbolize, fuzz, triage, top, map, help*" "$moat" ran
expect 2 '' "moat: no command 'ran'*" "$moat" help ran
expect 1 '' 'moat: standard output: No space left on device' bash -c "'$moat' options >/dev/full"

# run: what the program gets.
expect 0 '<> /*/libmoat.so.0' '' "$moat" run -- sh -c "$shows"
expect 0 '<> /*/libmoat.so.0' '' "$moat" run sh -c "$shows"
expect 0 '<> /*/libmoat-checked.so.0' '' "$moat" run --checked -- sh -c "$shows"
expect 0 '<check=both> /*/libmoat-checked.so.0' '' "$moat" run -c -o check=both -- sh -c "$shows"
expect 0 '<> /*/libmoat-fuzz.so.0' '' "$moat" run --fuzz -- sh -c "$shows"
expect 0 '*ok *LD_PRELOAD *libmoat-fuzz.so*' '' "$moat" run -f -- "$moat" doctor
expect 0 '*ok *LD_PRELOAD *libmoat-checked.so*' '' "$moat" run --checked -- "$moat" doctor
expect 0 '<profile=strict seed=7> */libmoat.so.0' '' "$moat" run --profile strict -o seed=7 -- sh -c "$shows"
expect 0 '<stats=off seed=7,shards=1> *' '' env MOAT_OPTIONS=stats=off "$moat" run -o seed=7,shards=1 -- sh -c "$shows"
expect 0 $'<seed=1 # mine\nseed=7> *' '' env MOAT_OPTIONS='seed=1 # mine' "$moat" run -o seed=7 -- sh -c "$shows"
expect 0 '-o seed=1' '' "$moat" run echo -o seed=1
expect 7 '' '' "$moat" run -- sh -c 'exit 7'
expect 143 '' '' "$moat" run -- sh -c 'kill -TERM $$'
expect 0 '' '*moat *: heap of process*' "$moat" run -o stats=exit -- true
library=$("$moat" doctor | sed -n 's/^ok *library *//p')
expect 0 "<> $dir/libother.so:/nonexistent.so" '*' bash -c \
    "cp '$library' '$dir/libother.so'; LD_PRELOAD=/nonexistent.so '$moat' run --library '$dir/libother.so' -- sh -c '$shows'"

# run: what it refuses.
expect 2 '' 'moat run: which program?*' "$moat" run
expect 2 '' "*unrecognized option '--bogus'*" "$moat" run --bogus true
expect 2 '' $'moat: -o: mac=foo: allowed are auto, siphash.\nmoat run: echo was not started.' \
    "$moat" run -o mac=foo -- echo
expect 2 '' "moat: -o: unknown option 'sede'; did you mean 'seed'? See 'moat options'."$'\n*' \
    "$moat" run -o sede=1 -- echo
expect 2 '' $'moat: -o: shards=65: allowed are 0 to 64.\nmoat: -o: seed has no value:*' \
    "$moat" run -o shards=65 -o seed -- echo
expect 2 '' $'moat: --profile: profile=stric: allowed are production, strict, fuzz, embedded.\n*' \
    "$moat" run --profile stric -- echo
expect 2 '' $'moat: --profile \'\': allowed are *' "$moat" run --profile '' -- echo
expect 2 '' $'moat: -o: \'seed=1#\': a comment *' "$moat" run -o 'seed=1#' -- echo
expect 2 '' $'moat: MOAT_OPTIONS: mac=foo: allowed are auto, siphash; auto holds.\nmoat run: echo was not started.' \
    env MOAT_OPTIONS=mac=foo "$moat" run -- echo
expect 127 '' 'moat: /nonexistent/program: No such file or directory' "$moat" run -- /nonexistent/program
expect 127 '' 'moat: no-such-program: No such file or directory' "$moat" run -- no-such-program
expect 126 '' 'moat: /: Permission denied' "$moat" run -- /
expect 126 '' 'moat: /nonexistent.so: No such file or directory' "$moat" run --library /nonexistent.so -- true
mkdir "$dir/with space"
cp "$library" "$dir/with space/libmoat.so"
expect 126 '' "moat: $dir/with space/libmoat.so: LD_PRELOAD can't name*" \
    "$moat" run --library "$dir/with space/libmoat.so" -- true

# run: programs that it can't reach, and those it must not warn of.
echo 'int main(void) { return 0; }' >"$dir/program.c"
"$compiler" -o "$dir/dynamic" "$dir/program.c"
expect 0 '' '' "$moat" run -- "$dir/dynamic"
if "$compiler" -static -o "$dir/static" "$dir/program.c" 2>"$dir/err"; then
    expect 0 '' "moat: warning: $dir/static is statically linked: LD_PRELOAD has no effect there. It runs without moat." \
        "$moat" run -- "$dir/static"
    printf '#!%s\n' "$dir/static" >"$dir/script"
    chmod +x "$dir/script"
    expect 0 '' "moat: warning: $dir/static is statically linked*" "$moat" run -- "$dir/script"
else
    echo "check.sh: the compiler has no static libc: static programs were not tested"
fi
printf '#!/bin/sh\nexit 5\n' >"$dir/script"
chmod +x "$dir/script"
expect 5 '' '' "$moat" run -- "$dir/script"
cp "$dir/dynamic" "$dir/privileged"
chmod 755 "$dir"
chmod u+s "$dir/privileged"
if [ "$(id -u)" -eq 0 ]; then
    # Readable by another user, as the command and its library may not be where they are.
    cp "$moat" "$dir/moat"
    cp "$library" "$dir/libmoat.so.0"
    expect 0 '' "moat: warning: $dir/privileged is setuid*" setpriv --reuid=65534 --clear-groups -- \
        "$dir/moat" run -- "$dir/privileged"
else
    echo "check.sh: not root: a setuid program could not be made"
fi
expect 0 '' '' "$moat" run -- "$dir/privileged"

# doctor.
expect 0 'moat *ok *page size*guards*mseal*wipe on fork*getrandom*AES*CPUs*RLIMIT_AS*reservation*max_map_count*' '' "$moat" doctor
expect 0 '*weaker *RLIMIT_AS*weaker *reservation *lost:*' '' bash -c "ulimit -v 4000000; '$moat' doctor"
expect 0 '*weaker *guards *because of guards=mprotect; lost:*' '' env MOAT_OPTIONS=guards=mprotect "$moat" doctor
expect 0 '*weaker *MOAT_OPTIONS *1 of its words wrong*' "moat: MOAT_OPTIONS: unknown option 'a'*" env MOAT_OPTIONS=a "$moat" doctor
expect 0 '*ok *LD_PRELOAD *libmoat.so*' '' "$moat" run -- "$moat" doctor
expect 2 '' 'moat doctor: takes no arguments*' "$moat" doctor now

# options.
expect 0 'profile=P*quarantine_random=COUNT*mac=auto|siphash*seed=COUNT*' '' "$moat" options
expect 0 $'shards=COUNT\n*default: 0 (embedded 1)\n*allowed: 0 to 64\n*cost: *' '' "$moat" options shards
expect 0 $'profile=P\n*' '' "$moat" options profile
expect 0 $'\n### mac\n*' '' "$moat" options --markdown mac
expect 0 $'# Options\n*| \[`shards`\](#shards) | 0 | 0 | 0 | 1 | 0 to 64 |*### shards\n*' '' "$moat" options --markdown
expect 2 '' "moat options: no option 'shard'; did you mean 'shards'?" "$moat" options shard
expect 2 '' "moat options: no option 'zzz'; 'moat options' lists all." "$moat" options zzz
expect 2 '' "*unrecognized option '--bogus'*" "$moat" options --bogus
exit $failed
