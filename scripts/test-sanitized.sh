#!/usr/bin/env bash
# The native tests that read files from outside or have threads, under a sanitizer, in a build folder of
# its own:
#
#   scripts/test-sanitized.sh [address|thread] [filter...]
#
# Default: address, and the tests of everything that parses (which includes the fuzzer).
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-address}
filters=("${@:2}")
if [ ${#filters[@]} -eq 0 ]; then filters=(safetensors json fuzz weights); fi

build=.cmake-build-$kind
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DDEEPCACHE_SANITIZE="$kind" >/dev/null
cmake --build "$build" --target native_tests --parallel "$(nproc)"
"$build/bin/native_tests" "${filters[@]}"
