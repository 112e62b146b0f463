@{shebang}
# @{title}
# Written by 'simherd script'. Submit it from the folder that holds @{experiment_name}:
#
@{how_to_submit}
#
@{about}
@{directives}

set -euo pipefail

# What makes simherd available here: modules, conda or a virtual environment, then your own lines
# (simherd.activation and jobqueue.slurm.job-script-prologue in jobqueue.yaml).
set +u # such lines may use variables that are not set
@{activation}
@{prologue}
set -u

# Thread guards, after all that could change them: numerical libraries start no more threads than this.
@{guards}

export SLURM_EXPORT_ENV=ALL # the ranks get all of this, whatever the job itself took over

# Counts come from one place each: the directives above and the launcher below say the same.
if [ "$(id -u)" -eq 0 ]; then # Open MPI refuses to run as root, such as in a container, unless told
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
run=(@{launch} @{command})

@{supervise}

@{ending}
