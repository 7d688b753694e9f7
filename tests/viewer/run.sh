#!/bin/sh
# run.sh - one of the viewer's tests: unit, size [EMBEDDED], strip STRIP_ASSETS EMBEDDED, types, browser [EMBEDDED], keyboard [EMBEDDED], speed [SLICES], bench TRACETAP SPANS [OPTIONS],
# service PROGRAM, redis TRACETAP, findings PIPELINE PRELOAD, example PIPELINE PRELOAD. 77: skipped, and why is printed.
cd "$(dirname "$0")" || exit 1

skip() {
    echo "skipped: $1"
    exit 77
}
need_node() {
    command -v node >/dev/null || skip "node is not installed"
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || skip "node 20 or newer is needed, this is $(node --version)"
}
need_package() { [ -d "node_modules/$1" ] || skip "the npm package $1 is missing: npm ci --prefix tests/viewer"; }
need_chromium() { [ -x "${TTAP_CHROMIUM:-/usr/bin/chromium}" ] || skip "there is no ${TTAP_CHROMIUM:-/usr/bin/chromium}; set TTAP_CHROMIUM"; }

need_node
what=$1
shift
case $what in
unit) exec node --test unit/ ;;
size) TTAP_EMBEDDED=${1:-} exec node --test static.test.mjs ;;
strip) need_package typescript && TTAP_STRIP=$1 TTAP_EMBEDDED=$2 exec node --test strip.test.mjs ;;
types) need_package typescript && exec node node_modules/typescript/bin/tsc -p . ;;
browser) need_package playwright-core && need_chromium && TTAP_EMBEDDED=${1:-} exec node --test --test-timeout=380000 browser/pages.test.mjs ;;
keyboard) need_package playwright-core && need_chromium && TTAP_EMBEDDED=${1:-} exec node --test --test-timeout=110000 browser/keyboard.test.mjs ;;
speed) need_package playwright-core && need_chromium && exec node browser/speed.mjs "$@" ;;
example) need_package playwright-core && need_chromium && TTAP_EXAMPLE=$1 TTAP_PRELOAD=$2 exec node --test --test-timeout=200000 browser/example.test.mjs ;;
findings) exec node findings.mjs "$@" ;;
bench) # what the build embedded is what users load
    embedded=$(dirname "$1")/../handlers/ttap__viewer_assets.embedded
    if [ -d "$embedded" ]; then export TTAP_EMBEDDED="$embedded"; fi
    need_package playwright-core && need_chromium && exec node browser/bench.mjs "$@" ;;
redis) need_package playwright-core && need_chromium && exec node browser/redis.mjs "$@" ;;
service) need_package playwright-core && need_chromium && exec node browser/service.mjs "$@" ;;
*) echo "unknown test: $what"; exit 1 ;;
esac
