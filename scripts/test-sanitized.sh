#!/usr/bin/env bash
# The native tests that read files from outside or have threads, under a sanitizer, in a build folder of
# its own:
#
#   scripts/test-sanitized.sh [address|thread] [filter...]
#
# Default: address, the tests of everything that parses, and a bounded run of the fuzzer.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-address}
filters=("${@:2}")
fuzz=
if [ ${#filters[@]} -eq 0 ]; then
  filters=(safetensors json weights)
  fuzz=200000
fi

build=.cmake-build-$kind
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DDEEPCACHE_SANITIZE="$kind" >/dev/null
cmake --build "$build" --target native_tests ${fuzz:+fuzz_safetensors} --parallel "$(nproc)"
"$build/bin/native_tests" "${filters[@]}"
if [ -n "$fuzz" ]; then "$build/bin/fuzz_safetensors" "$fuzz"; fi
