#!/usr/bin/env bash
# Everything that a GPU is needed for, from the repository alone: builds, checks, measures, and compares with PyTorch.
#
#   bench/gpu.sh [--emulated] [--anyway] [build|check|sanitize|tune|time|peers|table]...      default: all, in this order
#
# Needs cmake, a C++20 compiler, nvcc and, for peers and the table, python3 (peers: with torch). No Node.
# --emulated rehearses on the emulated GPU, on tiny shapes: all but the times means something. --anyway measures even
# though a check failed. Results (at most 8 files) go to $OUT or bench/results/gpu-DATE; each part has a budget of
# seconds, and keeps what it has when that or LIMIT is spent.
#
# Environment: OUT, LIMIT (600 seconds), DEVICE (cuda), TYPE (fp16), JOBS, PYTHON (python3), CUDA_ARCHS (native).
set -uo pipefail
cd "$(dirname "$0")/.."

emulated=0 anyway=0 parts=()
for argument; do
  case $argument in
    --emulated) emulated=1 ;;
    --anyway) anyway=1 ;;
    build | check | sanitize | time | tune | peers | table) parts+=("$argument") ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(build check sanitize tune time peers table)

objects=.cmake-build-bench
default=bench/results/gpu-$(date -u +%Y-%m-%d)
[ $emulated = 0 ] || default=$objects/rehearsal
out=$(realpath -m "${OUT:-$default}")
mkdir -p "$out"
bench=$objects/bin/deepcache-bench
device=${DEVICE:-cuda} type=${TYPE:-fp16} python=${PYTHON:-python3} jobs=${JOBS:-$(nproc)}
export DEEPCACHE_CACHE_DIR=$PWD/$objects/tuning
began=$SECONDS limit=${LIMIT:-600}
failed=()

if [ $emulated = 1 ]; then
  export DEEPCACHE_CUDA_LIBRARY=$PWD/$objects/bin/libdeepcache_cuda_emulated.so
elif ! nvidia-smi -L 2>/dev/null | grep -q GPU; then
  echo "bench/gpu.sh: there is no NVIDIA GPU here (nvidia-smi lists none); --emulated rehearses without one" >&2
  exit 3
fi

# run SECONDS COMMAND...: within the budget and what is left of the total; what it prints also goes to the log.
run() {
  local budget=$1 left=$((limit - SECONDS + began))
  shift
  if [ $left -lt 5 ]; then
    echo "--- no time left for $*" | tee -a "$out/log.txt"
    return 124
  fi
  [ "$budget" -le $left ] || budget=$left
  echo "--- $*" | tee -a "$out/log.txt"
  timeout --kill-after=10 "$budget" "$@" 2>&1 | tee -a "$out/log.txt"
  local status=${PIPESTATUS[0]}
  if [ "$status" -ge 124 ]; then echo "--- out of time after $budget s: $1" | tee -a "$out/log.txt"; fi
  return "$status"
}

build() {
  local cuda=(-DDEEPCACHE_CUDA=ON "-DDEEPCACHE_CUDA_ARCHS=${CUDA_ARCHS:-native}")
  local targets=(deepcache-bench cuda_backend)
  if [ $emulated = 1 ]; then
    cuda=(-DDEEPCACHE_CUDA=OFF)
    targets=(deepcache-bench cuda_emulated_library)
  fi
  # A build folder of another place is of no use to CMake.
  grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" $objects/CMakeCache.txt 2>/dev/null || rm -rf $objects
  run 60 cmake -S . -B $objects -DCMAKE_BUILD_TYPE=Release "${cuda[@]}" &&
    run 600 cmake --build $objects --parallel "$jobs" --target "${targets[@]}"
}

check() {
  if [ $emulated = 1 ]; then
    run 600 $bench check --device "$device" --type "$type" --parts ops,models,memory --runs 3 --models tiny-sd15 --json "$out/check.json"
    return
  fi
  run 120 $bench check --device "$device" --type "$type" --parts ops,shapes,models,memory --side 32 \
    --models tiny-sd15,tiny-sd21,tiny-sdxl,small-sd15,small-sd21,small-sdxl,sd15,sdxl --json "$out/check.json"
}

# Memory errors and races, on a few ops and one tiny model.
sanitize() {
  if [ $emulated = 1 ] || ! command -v compute-sanitizer >/dev/null; then
    echo "compute-sanitizer is not here, or there is nothing for it to see: left out"
    return 0
  fi
  local tool bad=0
  for tool in memcheck racecheck; do
    run 30 compute-sanitizer --tool $tool --error-exitcode 9 $bench check --device "$device" --type "$type" \
      --parts models --models tiny-sd15 --filter deepcache0 || bad=1
  done
  return $bad
}

measure() {
  if [ $emulated = 1 ]; then
    run 300 $bench time --device "$device" --type "$type" --models tiny-sd15 --batches 1 --steps 4 --ceiling 128 \
      --budget 0.01 --limit 60 --json "$out/time.json"
    return
  fi
  # With measured tiles; DEEPCACHE_TUNE=0 takes those of the cost model.
  export DEEPCACHE_TUNE=${DEEPCACHE_TUNE:-1}
  # The most important rows first: calls and runs at all batches, then the ops.
  run 130 $bench time --device "$device" --type "$type" --models sd15,sdxl --batches 1,2,8,16 --parts steps,images \
    --budget 0.2 --limit 100 --steps 50 --json "$out/time.json"
  local status=$?
  run 60 $bench time --device "$device" --type "$type" --models sd15,sdxl --batches 1,8 --parts ops \
    --budget 0.02 --limit 45 --json "$out/time-ops.json" || status=$?
  return $status
}

tune() {
  local models=sd15,sdxl
  [ $emulated = 0 ] || models=tiny-sd15
  rm -rf "$DEEPCACHE_CACHE_DIR"  # what another run found is measured again
  run 60 $bench tune --device "$device" --type "$type" --models $models \
    --batches 1 --limit 45 --json "$out/tune.json"
}

# The same weights give the same outputs, then the times.
peers() {
  if ! "$python" -c 'import torch' 2>/dev/null; then
    echo "$python has no torch: peers are left out"
    return 0
  fi
  local where=cuda model=small-sd15 size=32 tolerance=5e-3 bad=0 outputs
  [ "$type" = fp16 ] || tolerance=4e-2
  [ $emulated = 0 ] || where=cpu model=tiny-sd15 size=8
  outputs=$(mktemp)
  run 60 "$python" bench/peers/peers.py outputs --device $where --model $model --side $size --output "$outputs" &&
    run 60 $bench fullsize --device "$device" --type "$type" --config bench/models/$model/unet.json \
      --outputs "$outputs" --tolerance $tolerance || bad=1
  rm -f "$outputs"
  if [ $emulated = 1 ]; then
    run 120 "$python" bench/peers/peers.py time --device cpu --type "$type" --models tiny-sd15 --batches 1 --side 8 \
      --ways eager --ceiling 128 --budget 0.01 --json "$out/peers.json" || bad=1
  else
    # Compiling takes minutes for each shape: the two others first, for all of them.
    run 65 "$python" bench/peers/peers.py time --device cuda --type "$type" --ways eager,graph --budget 0.1 \
      --limit 50 --json "$out/peers.json" || bad=1
    run 100 "$python" bench/peers/peers.py time --device cuda --type "$type" --ways compile+graph --batches 1,16 \
      --models sd15 --mode default --budget 0.1 --limit 70 --json "$out/peers-compiled.json" || bad=1
  fi
  return $bad
}

table() {
  run 20 "$python" bench/ratios.py "$out"
}

: >"$out/log.txt"
checked=ok
for part in "${parts[@]}"; do
  case $part in
    time | tune | peers)
      if [ $checked = failed ] && [ $anyway = 0 ]; then
        echo "--- $part: left out, since the check failed (--anyway measures all the same)" | tee -a "$out/log.txt"
        continue
      fi ;;
  esac
  command=$part
  [ "$part" = time ] && command=measure
  start=$SECONDS
  if ! $command; then
    failed+=("$part")
    [ "$part" = check ] && checked=failed
    if [ "$part" = build ]; then break; fi
  fi
  echo "--- $part: $((SECONDS - start)) s" | tee -a "$out/log.txt"
done
rm -f "$out"/*.part  # of a command that ran out of time
echo "$((SECONDS - began)) s in all; results in $out; failed: ${failed[*]:-none}" | tee -a "$out/log.txt"
[ ${#failed[@]} -eq 0 ]
