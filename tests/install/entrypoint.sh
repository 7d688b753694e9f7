#!/bin/sh
# entrypoint.sh SOURCE_DIR - runs the container's entry point with a stand-in for the service, which looks at what it was given.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR="$scratch"

cat >"$scratch/pipeline" <<'SERVICE'
#!/bin/sh
# Arguments: --listen ADDRESS --token-file FILE
[ "$1 $2 $3" = "--listen 0.0.0.0:6060 --token-file" ] || exit 3
[ "$(stat -c %a "$4")" = 600 ] || exit 4
echo "given $(cat "$4")"
SERVICE
chmod +x "$scratch/pipeline"
export PATH="$scratch:$PATH"

fail() {
    echo "$1:"
    cat "$scratch/out"
    exit 1
}

"$1/docker/entrypoint.sh" >"$scratch/out"
token=$(sed -n 's/^given //p' "$scratch/out")
[ "${#token}" = 32 ] || fail "the token is not 32 characters"
grep -qx "Open http://localhost:6060/#token=$token" "$scratch/out" || fail "the address with the token was not printed"
"$1/docker/entrypoint.sh" >"$scratch/again"
grep -q "$token" "$scratch/again" && fail "two starts made the same token"

(umask 077 && echo my-own-token-of-enough-length >"$scratch/mine")
TRACETAP_TOKEN_FILE=$scratch/mine "$1/docker/entrypoint.sh" >"$scratch/out"
grep -qx "given my-own-token-of-enough-length" "$scratch/out" || fail "the given token file was not used"
grep -q Open "$scratch/out" && fail "a token that was given was printed"
exit 0
