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
# (simherd.activation and jobqueue.sge.job-script-prologue in jobqueue.yaml).
set +u # such lines may use variables that are not set
@{activation}
@{prologue}
set -u

# Thread guards, after all that could change them: numerical libraries start no more threads than this.
@{guards}

# Counts come from one place each: the directives above and the launcher below say the same.
if [ "$(id -u)" -eq 0 ]; then # Open MPI refuses to run as root, such as in a container, unless told
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
to_others=()
if mpirun --version 2>/dev/null | grep -q "Open MPI"; then # it hands on to other nodes what it is told to
    for name in PATH LD_LIBRARY_PATH PYTHONPATH VIRTUAL_ENV CONDA_PREFIX \
        @{guard_names}; do
        if [ -n "${!name-}" ]; then to_others+=(-x "$name"); fi
    done
fi
run=(@{launch} ${to_others[@]+"${to_others[@]}"} @{command})

@{supervise}

@{ending}
