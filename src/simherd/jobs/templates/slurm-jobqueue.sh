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

@{settings}

run=(@{command})

@{supervise}

@{ending}
