#!/bin/bash
# Hosts of one's own on one machine: each has its own network, mount (overlay over /), pid, ipc and uts namespace,
# its own /dev/shm, /etc/hosts, host name and sshd, and maybe one core. A switch (bridge) in a namespace of its own
# joins them, so the machine's own network never sees an address of theirs. Needs root, iproute2, util-linux.
#
#   cluster.sh install LAYER "PKG..." "LOWER..."  apt-get into a layer for hosts; the machine itself is not changed
#   LAYERS="b a" cluster.sh up N [CORES]   hosts h1..hN at 10.77.0.1..N; CORES, as "0 1", binds h1 to core 0, ...
#   cluster.sh on HOST CMD    run a command line there
#   cluster.sh pull HOST / plug HOST      pull its cable and plug it in again
#   cluster.sh kill HOST      power off: cable out, then all its processes die at once
#   cluster.sh down           end all of it
# Layer "ssh" must hold openssh-server. /shared is one folder for all hosts; the rest of / is private to each.
set -eu
C=${CLUSTER:-${TMPDIR:-/tmp}/grapheme-cluster}; S=$C/state; F=$C/fs; NET=10.77.0
mkdir -p "$S" "$C/shared" "$F" /run/netns
mountpoint -q "$F" || mount -t tmpfs -o size=10g layers "$F"  # a layer must not lie inside another, and / is one
lower() { for l in $1; do printf '%s/layer/%s:' "$F" "$l"; done; echo /; }
layer() { # layer ROOT UPPER WORK LOWER: an overlay with what a root folder needs
    mkdir -p "$1" "$2" "$3"
    mount -t overlay overlay -o "lowerdir=$4,upperdir=$2,workdir=$3" "$1"
    mount --rbind /dev "$1/dev"; mount --make-rslave "$1/dev"
    mount -t tmpfs -o size="${SHM:-4g}" shm "$1/dev/shm"
    mount -t tmpfs -o size=256m run "$1/run"; mkdir -p "$1/run/lock" "$1/run/sshd"
    mount --rbind /sys "$1/sys"; mount --make-rslave "$1/sys"
    mount -t proc proc "$1/proc"
}
init() { # the first process of a host
    trap : TERM INT
    mkdir -p /root/.ssh; chmod 700 /root/.ssh; cp /shared/.key /root/.ssh/id; cp /shared/.key.pub /root/.ssh/authorized_keys
    printf 'Host h*\n IdentityFile /root/.ssh/id\n StrictHostKeyChecking no\n LogLevel ERROR\n' > /root/.ssh/config
    chmod 600 /root/.ssh/*
    /usr/sbin/sshd -f /dev/null -h /root/.ssh/id -o "ListenAddress $1" -o StrictModes=no -o UsePAM=no -o MaxStartups=100 -o PermitRootLogin=yes
    touch /run/up
    while :; do sleep 3600 & wait $!; done
}
pid_of() { local p; p=$(cat "$S/$1.pid"); set -- $(cat "/proc/$p/task/$p/children" 2>/dev/null); echo "${1:-}"; }
case $1 in
install) d=$F/layer/$2; mkdir -p "$d"
    unshare --mount --pid --fork bash -euc "$(declare -f layer); layer $F/r-$2 $d $F/w-$2 $(lower "${4:-}")
        [ -e $F/r-$2/usr/sbin/policy-rc.d ] || printf '#!/bin/sh\nexit 101\n' > $F/r-$2/usr/sbin/policy-rc.d
        chmod +x $F/r-$2/usr/sbin/policy-rc.d
        DEBIAN_FRONTEND=noninteractive chroot $F/r-$2 apt-get install -y --no-install-recommends $3" < /dev/null ;;
up) n=$2; cores=(${3:-})
    [ -e "$C/shared/.key" ] || ssh-keygen -q -t ed25519 -N '' -f "$C/shared/.key"
    # Where the product lies: PROJECT (default: this folder, a checkout with its .venv) and its HOME, seen through the overlay.
    echo "export HOME=$HOME PATH=${PROJECT:-$PWD}/.venv/bin:\$PATH; cd ${PROJECT:-$PWD}" > "$C/shared/env.sh"
    ip netns add gsw; ip -n gsw link add br0 type bridge; ip -n gsw link set br0 up
    for i in $(seq "$n"); do echo "$NET.$i h$i"; done > "$S/hosts"
    for i in $(seq "$n"); do
        h=h$i; ip netns add "g$h"
        ip -n gsw link add "p$h" type veth peer name eth0 netns "g$h"
        ip -n gsw link set "p$h" master br0 up
        ip -n "g$h" addr add "$NET.$i/24" dev eth0; ip -n "g$h" link set eth0 up; ip -n "g$h" link set lo up
        mkdir -p "$F/hosts/$h"; bind=${cores[$((i - 1))]:-}
        ${bind:+taskset -c $bind} nsenter --net=/run/netns/g$h unshare --mount --uts --ipc --pid --fork --propagation private bash -euc "$(declare -f layer)
            hostname $h; r=$F/hosts/$h/root; layer \$r $F/hosts/$h/upper $F/hosts/$h/work $(lower "${LAYERS:-ssh}")
            mkdir -p \$r/shared; mount --bind $C/shared \$r/shared
            (echo 127.0.0.1 localhost; cat $S/hosts) > \$r/etc/hosts; echo $h > \$r/etc/hostname
            exec chroot \$r bash -c '$(declare -f init | sed "s/'/'\\\\''/g"); init $NET.$i'" \
            > "$S/$h.log" 2>&1 < /dev/null &
        echo $! > "$S/$h.pid"  # of unshare; its child is the host's init
    done
    for i in $(seq "$n"); do for _ in $(seq 100); do "$0" on "h$i" test -e /run/up 2>/dev/null && break; sleep .1; done; done ;;
on) h=$2; shift 2
    core=$(taskset -cp "$(pid_of "$h")" | sed 's/.*: //')
    exec taskset -c "$core" nsenter -t "$(pid_of "$h")" -m -u -i -n -p -r -w /bin/bash -c "$*" ;;
pull) ip -n gsw link set "p$2" down ;;
plug) ip -n gsw link set "p$2" up ;;
kill) ip -n gsw link set "p$2" down; kill -9 "$(pid_of "$2")" ;;
down) for f in "$S"/h*.pid; do [ -e "$f" ] || continue; h=$(basename "$f" .pid)
        kill -9 "$(pid_of "$h")" 2>/dev/null || true
        ip netns del "g$h" 2>/dev/null || true; rm -f "$f" "$S/$h.log"
    done
    for n in $(ls /run/netns | grep -E '^gh[0-9]+$'); do ip netns del "$n"; done  # of an "up" that was broken off
    ip netns del gsw 2>/dev/null || true ;;
esac
