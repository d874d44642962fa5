#!/usr/bin/env bash
# tests/oracle.sh STORE [arguments of oracle.py check]: replays recorded conversations with kube-apiserver against a fresh server.
# STORE is `embedded` or `etcd`. Builds the release binary, makes throw-away certificates, starts everything on free ports, stops it,
# and passes on the oracle's output and exit code. The oracle is looked for in ../shared, or where PORTCULLIS_SHARED says.
set -euo pipefail
store=${1:-}
case "$store" in embedded | etcd) shift ;; *) echo "usage: tests/oracle.sh embedded|etcd [arguments of oracle.py check]" >&2; exit 2 ;; esac
top=$(cd "$(dirname "$0")/.." && pwd)
oracle="${PORTCULLIS_SHARED:-$top/../shared}/oracle"
[ -f "$oracle/oracle.py" ] || { echo "tests/oracle.sh: no oracle in $oracle; set PORTCULLIS_SHARED" >&2; exit 2; }

# PORTCULLIS_BIN names a binary that is built already.
if [ -z "${PORTCULLIS_BIN:-}" ]; then cargo build --quiet --locked --release --manifest-path "$top/Cargo.toml"; fi
dir=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT

# A recorded answer shows the port of the server: one run at a time takes that one.
exec 9>"${TMPDIR:-/tmp}/portcullis-oracle.lock"
wish=0
flock -n 9 && wish=16443

free_ports() {
    python3 - "$1" "$wish" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held[1:]: s.bind(("127.0.0.1", 0))
try: held[0].bind(("127.0.0.1", int(sys.argv[2])))
except OSError: held[0].bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PY
}
read -r PORT HEALTH_PORT ETCD_PORT PEER_PORT <<<"$(free_ports 4)"
PKI="$dir/pki"
PORT=$PORT "$oracle/pki.sh" "$PKI"
chmod 600 "$PKI"/*.key

if [ "$store" = etcd ]; then
    tls=(--cert-file "$PKI/etcd.crt" --key-file "$PKI/etcd.key" --trusted-ca-file "$PKI/ca.crt" --client-cert-auth)
    "$("$top/tools/etcd")/etcd" --data-dir "$dir/etcd" --name oracle "${tls[@]}" \
        --listen-client-urls "https://127.0.0.1:$ETCD_PORT" --advertise-client-urls "https://127.0.0.1:$ETCD_PORT" \
        --listen-peer-urls "http://127.0.0.1:$PEER_PORT" --initial-advertise-peer-urls "http://127.0.0.1:$PEER_PORT" \
        --initial-cluster "oracle=http://127.0.0.1:$PEER_PORT" >"$dir/etcd.log" 2>&1 &
    pids+=($!)
    STORE="{etcd: {endpoints: [\"https://127.0.0.1:$ETCD_PORT\"], certificateAuthority: $PKI/ca.crt, certificate: $PKI/admin.crt, key: $PKI/admin.key}}"
else
    STORE="{embedded: {path: $dir/store}}"
fi

export PORT HEALTH_PORT PKI STORE
python3 -c 'import os, string, sys; sys.stdout.write(string.Template(open(sys.argv[1]).read()).substitute(os.environ))' \
    "$top/config/oracle.yaml" >"$dir/portcullis.yaml"
"${PORTCULLIS_BIN:-$top/target/release/portcullis}" serve --config "$dir/portcullis.yaml" >"$dir/server.log" 2>&1 &
server=$!
pids+=("$server")

ready() { curl -fsS --max-time 2 "http://127.0.0.1:$HEALTH_PORT/readyz" >/dev/null 2>&1; }
for _ in $(seq 300); do
    ready && break
    kill -0 "$server" 2>/dev/null || { echo "tests/oracle.sh: the server ended before it was ready:" >&2; tail -20 "$dir/server.log" >&2; exit 2; }
    sleep 0.1
done
ready || { echo "tests/oracle.sh: the server was not ready in 30 s:" >&2; tail -20 "$dir/server.log" >&2; exit 2; }

code=0
python3 "$oracle/oracle.py" check --server "https://127.0.0.1:$PORT" --pki "$PKI" "$@" || code=$?
[ -z "${ORACLE_LOG:-}" ] || cp "$dir/server.log" "$ORACLE_LOG"
exit "$code"
