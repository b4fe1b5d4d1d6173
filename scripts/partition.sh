#!/bin/sh
# partition.sh: a real partition of three members, each in a network namespace of its own behind a
# bridge (Linux, root, iproute2). The leader's cable is pulled: it must refuse, the two others must
# serve within two election time-outs, and after healing all must have the same data.
#
#     npm run build && sh scripts/partition.sh
set -eu
cd "$(dirname "$0")/.."
ip netns add tsctl-probe 2>/dev/null || { echo 'SKIPPED: ip netns add does not work here'; exit 0; }
ip netns del tsctl-probe
dir=$(mktemp -d)
pids=
end() {
  for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done
  for i in 1 2 3; do
    ip link del "tsctl-v$i" 2>/dev/null || true
    ip netns del "tsctl-$i" 2>/dev/null || true
  done
  ip link del tsctl-br 2>/dev/null || true
  rm -rf "$dir"
}
trap end EXIT
ip link add tsctl-br type bridge
ip addr add 10.77.0.254/24 dev tsctl-br
ip link set tsctl-br up
cluster=m1=http://10.77.0.1:2380,m2=http://10.77.0.2:2380,m3=http://10.77.0.3:2380
for i in 1 2 3; do
  ip netns add "tsctl-$i"
  ip link add "tsctl-v$i" type veth peer name eth0 netns "tsctl-$i"
  ip link set "tsctl-v$i" master tsctl-br up
  ip -n "tsctl-$i" addr add "10.77.0.$i/24" dev eth0
  ip -n "tsctl-$i" link set lo up
  ip -n "tsctl-$i" link set eth0 up
  ip netns exec "tsctl-$i" node bin/tsctl.js server --name "m$i" --data-dir "$dir/m$i" \
    --listen-client-urls "http://10.77.0.$i:2379,http://127.0.0.1:2379" \
    --advertise-client-urls "http://10.77.0.$i:2379" \
    --listen-peer-urls "http://10.77.0.$i:2380" \
    --initial-advertise-peer-urls "http://10.77.0.$i:2380" \
    --initial-cluster "$cluster" --log-level error &
  pids="$pids $!"
done
tsctl() { i=$1; shift; ip netns exec "tsctl-$i" node bin/tsctl.js --command-timeout 2s "$@"; }
until tsctl 1 put k before 2>/dev/null; do sleep 0.2; done
leader=
until [ -n "$leader" ]; do
  for i in 1 2 3; do
    # member ID and leader ID are the second and the ninth field of the line.
    if tsctl "$i" endpoint status --write-out=json | grep -q '"member_id":\([0-9]*\),.*"leader":\1,'; then
      leader=$i
    fi
  done
done
one=$((leader % 3 + 1))
echo "the leader is m$leader; its cable is pulled"
ip link set "tsctl-v$leader" down
start=$(date +%s%N)
until tsctl "$one" --command-timeout 500ms put k majority >/dev/null 2>&1; do :; done
echo "the majority serves after $((($(date +%s%N) - start) / 1000000)) ms, two processes' start included"
# What it is told may still take effect once it is healed, so it is another key.
if tsctl "$leader" put other minority 2>/dev/null; then echo 'FAILED: the minority took a write'; exit 1; fi
if tsctl "$leader" get k 2>/dev/null; then echo 'FAILED: the minority answered'; exit 1; fi
echo 'the minority refuses'
ip link set "tsctl-v$leader" up
until [ "$(tsctl "$leader" get --print-value-only k 2>/dev/null)" = majority ]; do sleep 0.2; done
hashes=$(for i in 1 2 3; do tsctl "$i" endpoint hashkv | sed 's/.*, //'; done | sort -u | wc -l)
[ "$hashes" = 1 ] || { echo 'FAILED: the hashes differ'; exit 1; }
echo 'healed: all members have the same data'
