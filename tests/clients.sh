#!/usr/bin/env bash
# tests/clients.sh [CLIENT...]: real clients against `portcullis up`: its TLS, its sockets, its certificates, free ports, a folder of its own.
# CLIENT is kube-rs, python, helm or node; all without any. A client that cannot be had here is named aloud and fails nothing.
# They are installed below target/, in pinned versions, from the registries that this machine uses. PORTCULLIS_BIN names a built binary.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$top/target/clients"
if [ -z "${PORTCULLIS_BIN:-}" ]; then
    cargo build --quiet --locked --release --manifest-path "$top/Cargo.toml"
    PORTCULLIS_BIN="$top/target/release/portcullis"
fi
work=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; server=; fi
}
trap 'stop; rm -rf "$work"' EXIT

# A server for one client; it says when it is ready, and where is in its kubeconfig.
start() {
    local dir="$work/$1"
    mkdir -p "$dir"
    "$PORTCULLIS_BIN" up --address 127.0.0.1:0 --health 127.0.0.1:0 --dir "$dir" >"$dir.out" 2>"$dir.log" &
    server=$!
    for _ in $(seq 200); do
        grep -q '^portcullis is ready' "$dir.out" && break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    grep -q '^portcullis is ready' "$dir.out" || { echo "the server did not come up:"; tail -20 "$dir.log"; exit 1; }
    export KUBECONFIG="$dir/admin.kubeconfig"
}

missing() { printf '  NOT TESTED: %s cannot be had here; see %s\n' "$1" "$2"; }

# What is installed is kept until its list changes.
install_python() {
    local venv="$top/target/clients/python" list="$top/tests/clients/python/requirements.txt"
    python="$venv/bin/python"
    cmp -s "$list" "$venv/installed" && return
    rm -rf "$venv"
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --no-input --requirement "$list"; } \
        >"$top/target/clients/python.log" 2>&1 && cp "$list" "$venv/installed"
}

install_node() {
    local from="$top/tests/clients/node"
    node="$top/target/clients/node"
    command -v node >/dev/null && command -v npm >/dev/null || { echo "no node or no npm" >"$top/target/clients/node.log"; return 1; }
    mkdir -p "$node"
    cp "$from/run.mjs" "$node/"
    cmp -s "$from/package-lock.json" "$node/installed" && return
    cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$node/"
    (cd "$node" && npm ci --ignore-scripts) >"$top/target/clients/node.log" 2>&1 && cp "$from/package-lock.json" "$node/installed"
}

install_kube_rs() {
    kube_rs="$top/target/e2e/debug/portcullis-e2e"
    CARGO_TARGET_DIR="$top/target/e2e" cargo build --quiet --locked --manifest-path "$top/tests/e2e/Cargo.toml" \
        >"$top/target/clients/kube-rs.log" 2>&1 && return
    # Dependencies that cannot be fetched are a missing client; sources that do not compile are a fault.
    if grep -q '^error\(\[E[0-9]*\]\|: could not compile\)' "$top/target/clients/kube-rs.log"; then
        cat "$top/target/clients/kube-rs.log"
        exit 1
    fi
    return 1
}

failed=
play() {
    local client=$1
    shift
    start "$client"
    "$@" || failed="$failed $client"
    stop
}

[ $# -gt 0 ] || set -- kube-rs python helm node
for client in "$@"; do
    printf -- '-- %s\n' "$client"
    began=$SECONDS
    case "$client" in
    kube-rs) if install_kube_rs; then play kube-rs "$kube_rs"; else missing "kube-rs" target/clients/kube-rs.log; fi ;;
    python) if install_python; then play python "$python" "$top/tests/clients/python/run.py"; else missing "the Python client" target/clients/python.log; fi ;;
    helm) if install_python; then play helm "$python" "$top/tests/clients/helm.py"; else missing "PyYAML for the Helm-like run" target/clients/python.log; fi ;;
    node) if install_node; then play node node "$node/run.mjs"; else missing "npm's client" target/clients/node.log; fi ;;
    *) echo "usage: tests/clients.sh [kube-rs|python|helm|node]..." >&2; exit 2 ;;
    esac
    printf '  %s s with installing\n' $((SECONDS - began))
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
