# What the run has got done, as the store tells: which simulations are settled, and how far checkpoints are.
store=@{store}
progress() {
    {
        find "$store/simulation_status" "$store/checkpoints" -type f ! -name zarr.json ! -name "*.partial" \
            -printf "%p %s %T@\n" 2>/dev/null || true
    } | LC_ALL=C sort | cksum
}
before=$(progress)

# The run gets a process group of its own, so that signals reach it once, from here. SIGUSR1 comes before
# the walltime ends: the run then finishes what it is at, and goes on when the job runs again.
told=
early=
runner=
tell() {
    told=$1
    signalled=yes
    if [ -n "$runner" ]; then kill -USR1 "$runner" 2>/dev/null || true; else early=$1; fi
}
trap 'tell USR1' USR1
trap 'tell USR2' USR2
trap 'told=TERM signalled=yes' TERM
set -m
"${run[@]}" &
runner=$!
set +m
[ -z "$early" ] || tell "$early"
code=0
while true; do
    signalled=
    wait "$runner" && code=0 || code=$?
    [ -n "$signalled" ] || break # else a signal ended the wait, not the run
done
