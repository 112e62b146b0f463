# shellcheck shell=bash
# SLURM of the test bed: munge, MariaDB, slurmdbd, slurmctld and four slurmd. Read by scripts/testbed.

SLURM=$BED/slurm
SLURM_NODES=(n1 n2)
# Nodes of a partition of their own, which tests set down: whether they are up says nothing of the bed.
SLURM_FRAIL_NODES=(n3 n4)
SLURM_DAEMONS=("${SLURM_NODES[@]/#/slurmd-}" "${SLURM_FRAIL_NODES[@]/#/slurmd-}")

slurm_install() {
    say "installing SLURM, munge and MariaDB"
    # SLURM opens libpmix.so, a name that only the package for developers has: without it, no srun --mpi=pmix.
    apt_install slurm-wlm slurmdbd munge mariadb-server libpmix-dev
}

slurm_env() {
    echo "export SLURM_CONF=$SLURM/slurm.conf"
}

slurm_ready() {
    [ -e "$SLURM/slurm.conf" ] || return 1
    local name
    for name in munged mariadbd slurmdbd slurmctld "${SLURM_DAEMONS[@]}"; do
        pid_of "$name" >/dev/null || return 1
    done
    for name in "${SLURM_NODES[@]}"; do slurm_node_is_up "$name" || return 1; done
}

slurm_node_is_up() {
    slurm_run sinfo --noheader --node "$1" --format %T | grep -qE '^(idle|mixed|allocated|completing)$'
}

slurm_run() { SLURM_CONF=$SLURM/slurm.conf timeout 10 "$@"; }

slurm_start() {
    slurm_ready && return
    needs slurm munged mariadbd mariadb-install-db slurmdbd slurmctld slurmd
    slurm_prepare
    slurm_start_munge
    slurm_start_database
    export SLURM_CONF=$SLURM/slurm.conf
    launch slurmdbd $((PORT + 1)) SLURM_CONF="$SLURM_CONF" slurmdbd -D
    wait_for slurmdbd slurm_run sacctmgr --noheader list cluster
    launch slurmctld $((PORT + 2)) slurmctld -D -f "$SLURM_CONF"
    wait_for slurmctld slurm_run scontrol ping
    local node
    for node in "${SLURM_NODES[@]}" "${SLURM_FRAIL_NODES[@]}"; do
        launch "slurmd-$node" $((PORT + 10 + ${node#n})) slurmd -D -N "$node" -f "$SLURM_CONF"
    done
    for node in "${SLURM_NODES[@]}"; do wait_for "slurmd-$node" slurm_node_is_up "$node"; done
    say "slurm is up: nodes ${SLURM_NODES[*]}, partitions short and long; ${SLURM_FRAIL_NODES[*]}, partition frail"
}

slurm_prepare() {
    mkdir -p "$SLURM"/{state,spool,munge,mariadb}
    chmod 755 "$SLURM" "$SLURM/munge"
    if [ ! -e "$SLURM/munge/key" ]; then
        (umask 077 && head -c 1024 /dev/urandom >"$SLURM/munge/key")
    fi
    slurm_conf >"$SLURM/slurm.conf"
    # Nothing is confined to control groups. Otherwise slurmd looks for them, and for systemd, which
    # containers may lack.
    echo "CgroupPlugin=cgroup/v1" >"$SLURM/cgroup.conf"
    # It holds a password, and slurmdbd insists.
    (umask 077 && slurmdbd_conf >"$SLURM/slurmdbd.conf")
}

slurm_start_munge() {
    launch munged - munged --foreground --key-file="$SLURM/munge/key" --socket="$SLURM/munge/socket" \
        --pid-file="$SLURM/munge/pid" --log-file="$BED/log/munge.log" --seed-file="$SLURM/munge/seed" \
        --num-threads=2
    wait_for munged munge --no-input --socket="$SLURM/munge/socket"
}

slurm_start_database() {
    if [ ! -d "$SLURM/mariadb/mysql" ]; then
        say "making the database"
        mariadb-install-db --no-defaults --user=root --datadir="$SLURM/mariadb" --skip-test-db \
            --auth-root-authentication-method=normal >"$BED/log/mariadbd.log" 2>&1 ||
            fail "mariadb-install-db failed" mariadbd
    fi
    launch mariadbd "$PORT" mariadbd --no-defaults --user=root --datadir="$SLURM/mariadb" --socket="$SLURM/mariadb.sock" \
        --pid-file="$SLURM/mariadb.pid" --bind-address=127.0.0.1 --port="$PORT" --skip-name-resolve \
        --innodb-buffer-pool-size=32M --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 \
        --max-connections=20 --performance-schema=OFF
    wait_for mariadbd mariadb-admin --no-defaults --socket="$SLURM/mariadb.sock" ping
    mariadb --no-defaults --socket="$SLURM/mariadb.sock" <<-'SQL'
		CREATE DATABASE IF NOT EXISTS slurm_acct_db;
		CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'testbed';
		GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
	SQL
}

slurm_stop() {
    [ -d "$SLURM" ] || return 0
    if pid_of slurmctld >/dev/null; then
        slurm_run squeue --noheader --format %A | xargs -r env SLURM_CONF="$SLURM/slurm.conf" scancel || true
        # Killed jobs may take KillWait to go.
        for _ in $(seq 50); do
            [ -n "$(slurm_run squeue --noheader 2>/dev/null)" ] || break
            sleep 0.2
        done
    fi
    # What happened goes to the database first.
    halt "${SLURM_DAEMONS[@]}" slurmctld
    halt slurmdbd
    halt mariadbd munged
}

slurmdbd_conf() {
    cat <<-CONF
		AuthType=auth/munge
		AuthInfo=socket=$SLURM/munge/socket
		DbdHost=$HOST
		DbdAddr=127.0.0.1
		DbdPort=$((PORT + 1))
		SlurmUser=root
		StorageType=accounting_storage/mysql
		StorageHost=127.0.0.1
		StoragePort=$PORT
		StorageUser=slurm
		StoragePass=testbed
		StorageLoc=slurm_acct_db
		PidFile=$SLURM/slurmdbd.pid
		DebugLevel=info
	CONF
}

# The nodes claim more processors than the machine may have (config_overrides), nothing is confined to
# them, and the walltime is the only limit that is enforced: soon after it (KillWait), without grace.
slurm_conf() {
    # With NoInAddrAny daemons listen on the address of the host's name alone: 127.0.0.1, or a container's own.
    local address
    address=$(getent ahostsv4 "$HOST" | awk 'NR == 1 { print $1 }')
    [ -n "$address" ] || die "the name of this host, $HOST, has no address: add it to /etc/hosts."
    cat <<-CONF
		ClusterName=testbed
		SlurmctldHost=$HOST($address)
		SlurmctldPort=$((PORT + 2))
		SlurmUser=root
		SlurmdUser=root
		AuthType=auth/munge
		AuthInfo=socket=$SLURM/munge/socket
		CommunicationParameters=NoInAddrAny
		StateSaveLocation=$SLURM/state
		SlurmdSpoolDir=$SLURM/spool/%n
		SlurmdPidFile=$SLURM/slurmd-%n.pid
		SlurmctldPidFile=$SLURM/slurmctld.pid
		SlurmdParameters=config_overrides
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		MpiDefault=none
		MailProg=/bin/true
		ReturnToService=2
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core_Memory
		SchedulerType=sched/backfill
		SchedulerParameters=sched_min_interval=200000,sched_interval=2,batch_sched_delay=0,bf_interval=2
		JobAcctGatherType=jobacct_gather/linux
		JobAcctGatherFrequency=1
		AccountingStorageType=accounting_storage/slurmdbd
		AccountingStorageHost=127.0.0.1
		AccountingStoragePort=$((PORT + 1))
		AccountingStoragePass=$SLURM/munge/socket
		DefMemPerCPU=500
		JobRequeue=1
		KillWait=3
		OverTimeLimit=0
		MaxArraySize=1001
		MinJobAge=300
		MessageTimeout=30
		SlurmctldDebug=info
		SlurmdDebug=info
		NodeName=n1 NodeHostname=$HOST NodeAddr=$address Port=$((PORT + 11)) CPUs=8 RealMemory=16000 TmpDisk=10000
		NodeName=n2 NodeHostname=$HOST NodeAddr=$address Port=$((PORT + 12)) CPUs=8 RealMemory=16000 TmpDisk=10000
		NodeName=n3 NodeHostname=$HOST NodeAddr=$address Port=$((PORT + 13)) CPUs=2 RealMemory=4000 TmpDisk=10000
		NodeName=n4 NodeHostname=$HOST NodeAddr=$address Port=$((PORT + 14)) CPUs=2 RealMemory=4000 TmpDisk=10000
		PartitionName=short Nodes=n1,n2 Default=YES DefaultTime=10 MaxTime=60
		PartitionName=long Nodes=n1,n2 DefaultTime=60 MaxTime=7-00:00:00
		PartitionName=frail Nodes=n3,n4 DefaultTime=10 MaxTime=60
	CONF
}
