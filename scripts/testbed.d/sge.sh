# shellcheck shell=bash
# Grid Engine of the test bed: sge_qmaster and sge_execd in a cell of their own. Read by scripts/testbed.

SGE=$BED/sge
SGE_LIB=/usr/lib/gridengine
SGE_SHARE=/usr/share/gridengine

sge_install() {
    say "installing Grid Engine"
    # The packages ask; "false" leaves the machine without a cell of theirs.
    debconf-set-selections <<-ANSWERS
		gridengine-common shared/gridengineconfig boolean false
		gridengine-master shared/gridengineconfig boolean false
		gridengine-client shared/gridengineconfig boolean false
		gridengine-exec shared/gridengineconfig boolean false
	ANSWERS
    apt_install gridengine-master gridengine-exec gridengine-client
}

sge_env() {
    echo "export SGE_ROOT=$SGE SGE_CELL=default"
    echo "export SGE_QMASTER_PORT=$((PORT + 21)) SGE_EXECD_PORT=$((PORT + 22))"
}

sge_run() (
    eval "$(sge_env)"
    timeout 10 "$@"
)

sge_ready() {
    [ -e "$SGE/default/common/bootstrap" ] || return 1
    pid_of sge_qmaster >/dev/null && pid_of sge_execd >/dev/null && sge_queue_is_up
}

sge_queue_is_up() {  # The fifth field of a queue's line has its load, "-NA-" as long as the host is silent.
    local line
    line=$(sge_run qstat -f -q all.q 2>/dev/null | grep '^all.q@') || return 1
    [ "$(awk '{print NF}' <<<"$line")" = 5 ] && ! grep -q -- -NA- <<<"$line"
}

sge_start() {
    sge_ready && return
    needs sge "$SGE_LIB/sge_qmaster" "$SGE_LIB/sge_execd" qconf qsub
    [ -e "$SGE/default/common/configured" ] || sge_prepare
    # Another container has another name.
    echo "$HOST" >"$SGE/default/common/act_qmaster"
    echo "$HOST localhost" >"$SGE/default/common/host_aliases"
    local settings
    mapfile -t settings < <(sge_env | sed 's/^export //' | tr ' ' '\n')
    # SGE_ND keeps them in the foreground, where each run of the scheduler prints lines.
    local quiet=(sh -c 'exec "$0" >/dev/null')
    launch sge_qmaster $((PORT + 21)) SGE_ND=true "${settings[@]}" "${quiet[@]}" "$SGE_LIB/sge_qmaster"
    wait_for sge_qmaster sge_run qconf -sss
    sge_configure
    launch sge_execd $((PORT + 22)) SGE_ND=true "${settings[@]}" "${quiet[@]}" "$SGE_LIB/sge_execd"
    wait_for sge_execd sge_queue_is_up
    say "sge is up: queue all.q with 16 slots, parallel environments smp and ib"
}

sge_prepare() {  # A cell whose state is plain files, with its settings, as the package makes one.
    say "making the cell of Grid Engine"
    rm -rf "$SGE"
    local common=$SGE/default/common kind
    mkdir -p "$common" "$SGE"/{qmaster/job_scripts,execd,bin} "$SGE/new"
    ln -s "$SGE_SHARE/util" "$SGE/util"
    ln -s "$SGE_LIB" "$SGE/bin/$("$SGE_SHARE/util/arch")"
    sge_bootstrap >"$common/bootstrap"
    sge_settings >"$SGE/new/settings"
    cp -r "$SGE_SHARE/util/resources/centry" "$SGE/new/complexes"
    # Memory is what a site hands out: a slot that asks for it takes it away from others.
    # Its default is also the limit of jobs that do not ask (with 0 they are killed at once), and counts
    # address space, of which Python with threads takes more than memory.
    sed -i 's/^consumable .*/consumable YES/; s/^default .*/default 8G/' "$SGE/new/complexes/h_vmem"
    sed 's/^name .*/name scratch/; s/^shortcut .*/shortcut scratch/; s/^default .*/default 0/' \
        "$SGE/new/complexes/h_vmem" >"$SGE/new/complexes/scratch"
    {
        sge_run "$SGE_LIB/spoolinit" classic libspoolc "$common;$SGE/qmaster" init
        sge_run "$SGE_LIB/spooldefaults" configuration "$SGE/new/settings"
        sge_run "$SGE_LIB/spooldefaults" complexes "$SGE/new/complexes"
        sge_run "$SGE_LIB/spooldefaults" usersets "$SGE_SHARE/util/resources/usersets"
        sge_run "$SGE_LIB/spooldefaults" managers root
    } >"$BED/log/sge_qmaster.log" 2>&1 || fail "Grid Engine's files cannot be made" sge_qmaster
    ln -sf "$SGE/qmaster/messages" "$BED/log/sge_qmaster.messages"
    touch "$common/configured"
}

sge_configure() {  # Hosts, parallel environments and the queue: what is there already stays.
    local new=$SGE/new log=$BED/log/sge_qmaster.log
    {
        sge_run qconf -sh | grep -qx "$HOST" || sge_run qconf -ah "$HOST"
        sge_run qconf -ss | grep -qx "$HOST" || sge_run qconf -as "$HOST"
        sge_run qconf -se "$HOST" || { sge_host >"$new/host" && sge_run qconf -Ae "$new/host"; }
        sge_run qconf -shgrp @allhosts ||
            { printf 'group_name @allhosts\nhostlist %s\n' "$HOST" >"$new/hosts" && sge_run qconf -Ahgrp "$new/hosts"; }
        sge_environment smp '$pe_slots' >"$new/smp"
        sge_environment ib '$fill_up' >"$new/ib"
        sge_run qconf -sp smp || sge_run qconf -Ap "$new/smp"
        sge_run qconf -sp ib || sge_run qconf -Ap "$new/ib"
        sge_scheduler >"$new/scheduler"
        sge_run qconf -Msconf "$new/scheduler"
        sge_queue >"$new/queue"
        sge_run qconf -sq all.q || sge_run qconf -Aq "$new/queue"
    } >>"$log" 2>&1 || fail "the queue of Grid Engine cannot be set up" sge_qmaster
}

sge_stop() {
    [ -d "$SGE" ] || return 0
    if pid_of sge_qmaster >/dev/null; then
        sge_run qdel -u '*' >/dev/null 2>&1 || true
        for _ in $(seq 50); do
            [ -n "$(sge_run qstat -u '*' 2>/dev/null)" ] || break
            sleep 0.2
        done
    fi
    halt sge_execd sge_qmaster
}

sge_bootstrap() {
    cat <<-CONF
		admin_user              none
		default_domain          none
		ignore_fqdn             false
		spooling_method         classic
		spooling_lib            libspoolc
		spooling_params         $SGE/default/common;$SGE/qmaster
		binary_path             $SGE/bin
		qmaster_spool_dir       $SGE/qmaster
		security_mode           none
		listener_threads        2
		worker_threads          2
		scheduler_threads       1
	CONF
}

# Root may submit; loads and the accounting file come at once; no job reads the profile of its user, which
# may take a second, or wait for what another job does there. Groups tell the processes of one job from
# those of others, which it may kill: another bed has other groups, as it has other ports.
sge_settings() {
    sed -E "s|^(execd_spool_dir) .*|\1 $SGE/execd|
        s|^(min_[ug]id) .*|\1 0|
        s|^(gid_range) .*|\1 $((PORT + 20000))-$((PORT + 20100))|
        s|^(load_report_time) .*|\1 00:00:01|
        s|^(login_shells) .*|\1 none|
        s|^(mailer) .*|\1 /bin/true|
        s|^(administrator_mail) .*|\1 none|
        s|^(reporting_params) .*|\1 accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00 joblog=false sharelog=00:00:00|" \
        "$SGE_SHARE/default-configuration"
}

sge_host() {
    cat <<-CONF
		hostname              $HOST
		load_scaling          NONE
		complex_values        slots=16,h_vmem=128G,scratch=100G
		user_lists            NONE
		xuser_lists           NONE
		projects              NONE
		xprojects             NONE
		usage_scaling         NONE
		report_variables      NONE
	CONF
}

sge_environment() {  # NAME RULE
    cat <<-CONF
		pe_name            $1
		slots              999
		user_lists         NONE
		xuser_lists        NONE
		start_proc_args    NONE
		stop_proc_args     NONE
		allocation_rule    $2
		control_slaves     TRUE
		job_is_first_task  FALSE
		urgency_slots      min
		accounting_summary TRUE
		qsort_args         NONE
	CONF
}

sge_scheduler() {
    sge_run qconf -ssconf | sed -E '
        s/^(schedule_interval) .*/\1 0:0:1/
        s/^(flush_submit_sec) .*/\1 1/
        s/^(flush_finish_sec) .*/\1 1/
        s/^(schedd_job_info) .*/\1 true/
        s/^(load_formula) .*/\1 slots/'
}

sge_queue() {  # No load threshold: the machine is busy with other things.
    cat <<-CONF
		qname                 all.q
		hostlist              @allhosts
		seq_no                0
		load_thresholds       NONE
		suspend_thresholds    NONE
		nsuspend              1
		suspend_interval      00:05:00
		priority              0
		min_cpu_interval      00:05:00
		processors            UNDEFINED
		qtype                 BATCH INTERACTIVE
		ckpt_list             NONE
		pe_list               smp ib
		rerun                 FALSE
		slots                 16
		tmpdir                /tmp
		shell                 /bin/sh
		prolog                NONE
		epilog                NONE
		shell_start_mode      posix_compliant
		starter_method        NONE
		suspend_method        NONE
		resume_method         NONE
		terminate_method      NONE
		notify                00:00:03
		owner_list            NONE
		user_lists            NONE
		xuser_lists           NONE
		subordinate_list      NONE
		complex_values        NONE
		projects              NONE
		xprojects             NONE
		calendar              NONE
		initial_state         default
		s_rt                  INFINITY
		h_rt                  24:00:00
		s_cpu                 INFINITY
		h_cpu                 INFINITY
		s_fsize               INFINITY
		h_fsize               INFINITY
		s_data                INFINITY
		h_data                INFINITY
		s_stack               INFINITY
		h_stack               INFINITY
		s_core                INFINITY
		h_core                INFINITY
		s_rss                 INFINITY
		h_rss                 INFINITY
		s_vmem                INFINITY
		h_vmem                INFINITY
	CONF
}
