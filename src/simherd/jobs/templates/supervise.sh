# The run gets a process group of its own, so that signals reach it once, from here. SIGUSR1 comes before
# the walltime ends: the run then finishes what it is at, and goes on when the job runs again.
told=
tell() {
    told=$1
    signalled=yes
    if [ -n "${runner:-}" ]; then kill -USR1 "$runner" 2>/dev/null || true; fi
}
trap 'tell USR1' USR1
trap 'tell USR2' USR2
trap 'told=TERM signalled=yes' TERM
set -m
"${run[@]}" &
runner=$!
set +m
code=0
while true; do
    signalled=
    wait "$runner" && code=0 || code=$?
    [ -n "$signalled" ] || break # else a signal ended the wait, not the run
done
