#!/bin/bash
# The whole run in one job: 4 ranks of 1 core, started by mpirun.
# Written by 'simherd script'. Submit it from the folder that holds examples/influenza.yaml:
#
#     mkdir -p logs
#     sbatch jobscripts/influenza-slurm-mpi.sh
#
# Once submitted it needs no care: it is told before its walltime ends, finishes what it is at,
# goes back into the queue and goes on from the store. Submit it again after a failure: what is
# done is not done twice.
# At most 00:15:00 on 4 cores: 1 core-hours each time.
#SBATCH --job-name=influenza
#SBATCH --nodes=1
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --mem=4096M
#SBATCH --time=00:15:00
#SBATCH --signal=B:USR1@90
#SBATCH --requeue
#SBATCH --export=ALL
#SBATCH --output=logs/influenza-%j.log
#SBATCH --open-mode=append

set -euo pipefail

# What makes simherd available here: modules, conda or a virtual environment, then your own lines
# (simherd.activation and jobqueue.slurm.job-script-prologue in jobqueue.yaml).
set +u # such lines may use variables that are not set
source .venv/bin/activate
set -u

# Thread guards, after all that could change them: numerical libraries start no more threads than this.
export OMP_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1
export GOTO_NUM_THREADS=1
export MKL_NUM_THREADS=1
export BLIS_NUM_THREADS=1
export VECLIB_MAXIMUM_THREADS=1
export NUMEXPR_NUM_THREADS=1
export NUMEXPR_MAX_THREADS=1
export NUMBA_NUM_THREADS=1
export POLARS_MAX_THREADS=1
export RAYON_NUM_THREADS=1
export JULIA_NUM_THREADS=1
export TF_NUM_INTRAOP_THREADS=1
export TF_NUM_INTEROP_THREADS=1

export SLURM_EXPORT_ENV=ALL # the ranks get all of this, whatever the job itself took over

# Counts come from one place each: the directives above and the launcher below say the same.
if [ "$(id -u)" -eq 0 ]; then # Open MPI refuses to run as root, such as in a container, unless told
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
run=(mpirun --bind-to none -np 4 simherd run examples/influenza.yaml --store influenza.zarr --config jobscripts/jobqueue.yaml --cluster mpi --set cluster.mpi.threads_per_worker=1 --set cluster.mpi.guard_threads=1 --resume)

# What the run has got done, as the store tells: which simulations are settled, and how far checkpoints are.
store=influenza.zarr
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

case $code in
    3)
        echo "Some simulations failed: 'simherd failures STORE' shows them." >&2
        code=0
        ;;
    4)
        # Not done. A run that ends at once, or got nothing done, would only do so again, and one that was
        # cancelled stays so.
        if true && [ "$told" != TERM ] && [ "$SECONDS" -ge 10 ]; then
            if [ "$(progress)" != "$before" ]; then
                echo "The run is not finished: the job goes back into the queue." >&2
                scontrol requeue "$SLURM_JOB_ID" && exit 0
            fi
            echo "No simulation was finished and no checkpoint written in $SECONDS s: again it would be the same." >&2
            echo "Give the job more time or workers, or let the experiment write checkpoints, and submit it again." >&2
        else
            echo "The run is not finished: submit the job again, and it goes on from the store." >&2
        fi
        ;;
esac
exit "$code"
