#!/usr/bin/env bash
# Tests under a sanitizer, in a build folder of its own:
#
#   scripts/test-sanitized.sh [address|thread|emulated] [filter...]
#
# address, thread: the native tests that read files from outside or have threads. Default: address (with
# undefined behaviour), the tests of everything that parses, and a bounded run of the fuzzers.
# emulated: CUDA kernels on the emulator under ThreadSanitizer, to which every CUDA thread is a thread.
# Default: a case for every kernel with barriers or asynchronous copies, and planted races, which must be
# reported. Each test is a process: about a minute of two cores in all, behind a build of several.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-address}
filters=("${@:2}")
sanitizer=$kind
target=native_tests
fuzz=
if [ "$kind" = emulated ]; then
  sanitizer=thread
  target=emulated_tests
  [ ${#filters[@]} -gt 0 ] || filters=(races quick_tma quick_wgmma_products)
elif [ ${#filters[@]} -eq 0 ]; then
  filters=(safetensors json weights bounds checked)
  fuzz=yes
fi

build=.cmake-build-$sanitizer
# A build folder of another place is of no use to CMake.
grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$build"/CMakeCache.txt 2>/dev/null || rm -rf "$build"
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DDEEPCACHE_SANITIZE="$sanitizer" >/dev/null
cmake --build "$build" --target "$target" ${fuzz:+fuzz_safetensors fuzz_configs} --parallel "$(nproc)"
# ThreadSanitizer's memory layout needs addresses that are not randomised too far.
run=()
if [ "$sanitizer" = thread ] && command -v setarch >/dev/null; then run=(setarch -R); fi
if [ "$kind" = emulated ]; then
  # Where races are planted, their reports are no failure, and shared memory's places are those of others.
  one() {
    case $1 in planted_*) export TSAN_OPTIONS="${TSAN_OPTIONS:-} exitcode=0 suppress_equal_addresses=0" ;; esac
    "${@:2}" "=$1" >"$logs/$1" 2>&1
    local status=$?
    if [[ $status != 0 || $1 != planted_* ]]; then cat "$logs/$1"; else grep "^$1" "$logs/$1"; fi
    return $status
  }
  export -f one
  logs=$(mktemp -d)
  export logs
  trap 'rm -rf "$logs"' EXIT
  "$build/bin/$target" --list "${filters[@]}" | xargs -P "$(nproc)" -I {} bash -c 'one "$@"' one {} "${run[@]}" "$build/bin/$target"
else
  "${run[@]}" "$build/bin/$target" "${filters[@]}"
fi
if [ -n "$fuzz" ]; then
  "$build/bin/fuzz_safetensors" 200000
  # No configuration of a few kB may take much memory.
  ASAN_OPTIONS=max_allocation_size_mb=256:hard_rss_limit_mb=2048 "$build/bin/fuzz_configs" 1000
fi
