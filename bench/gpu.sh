#!/usr/bin/env bash
# Everything that a GPU is needed for, from the repository alone: builds, checks, measures, and compares with PyTorch, the
# most important first, within a few minutes.
#
#   bench/gpu.sh [--emulated] [--fault N] [--prebuilt FOLDER] [STEP]...      default: all steps, in their order
#   bench/gpu.sh --prebuild FOLDER      builds for --prebuilt, for GPUs of sm_80 and sm_90a; no GPU is needed
#
# Needs cmake, make or ninja, a C++20 compiler, nvcc (where it is not on PATH, of a toolkit in the usual places) and, for peers
# and the table, python3 (peers: with torch). No Node, no network. It begins with what there is, and what is missing. --prebuilt
# takes deepcache-bench and the CUDA library from a folder instead of building them; where they do not run, they are built.
# --emulated rehearses the same steps on the emulated GPU, on tiny shapes; --fault plants bug N into its kernels (docs/cuda.md).
#
# Every step is a process with a time limit of its own, and the next one follows whatever became of it. When the smoke test
# fails, it is repeated with one feature of the GPU disabled at a time; the rest runs without what was at fault. $OUT (or
# bench/results/gpu-DATE) gets log.txt, results.json (what each finished step reported), current.json (what the running one
# has so far) and ratios.md.
#
# Steps: see the end of this file. Environment: OUT, LIMIT (540 seconds), DEVICE (cuda), TYPE (fp16), JOBS, PYTHON
# (python3), CUDA_ARCHS (native), COMMIT (of a tree without git, for the results).
set -uo pipefail
cd "$(dirname "$0")/.."

emulated=0 fault= prebuilt= prebuild= wanted=()
while [ $# -gt 0 ]; do
  case $1 in
    --emulated) emulated=1 ;;
    --fault) fault=${2:-} && shift ;;
    --prebuilt) prebuilt=${2:-} && shift ;;
    --prebuild) prebuild=${2:-} && shift ;;
    -*) sed -n '2,22s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) wanted+=("$1") ;;
  esac
  shift
done

objects=.cmake-build-bench
default=bench/results/gpu-$(date -u +%Y-%m-%d)
[ $emulated = 0 ] && [ -z "$prebuild" ] || default=.cmake-build-rehearsal
out=$(realpath -m "${OUT:-$default}")
binaries=$(realpath -m "${prebuilt:-$objects/bin}")
device=${DEVICE:-cuda} type=${TYPE:-fp16} python=${PYTHON:-python3} jobs=${JOBS:-$(nproc)}
began=$SECONDS
limit=${LIMIT:-$([ $emulated = 0 ] && echo 540 || echo 7200)}
failed=()
mkdir -p "$out" $objects
export DEEPCACHE_CACHE_DIR=$PWD/$objects/tuning

if [ $emulated = 1 ]; then
  device=${DEVICE:-cuda:2}
  [ -z "$fault" ] || export DEEPCACHE_EMULATED_BUG=$fault
elif [ -z "$prebuild" ] && ! nvidia-smi -L 2>/dev/null | grep -q GPU && ! compgen -G '/dev/nvidia[0-9]*' >/dev/null; then
  echo "bench/gpu.sh: there is no NVIDIA GPU here (nvidia-smi lists none); --emulated rehearses without one" >&2
  exit 3
fi

say() { echo "--- $*" | tee -a "$out/log.txt"; }

source bench/gpu-tools.sh

# run NAME SECONDS COMMAND...: within its own limit and what is left of the total. What it writes to $current while it runs
# becomes its part of the results.
current=$out/current.json
steps=$(mktemp)
trap 'rm -f "$steps"' EXIT
run() {
  local name=$1 budget=$2 left=$((limit - SECONDS + began)) start=$SECONDS status
  shift 2
  if [ $left -lt 5 ]; then
    say "$name: no time is left"
    failed+=("$name")
    return 124
  fi
  [ "$budget" -le $left ] || budget=$left
  say "$name (at $((start - began)) s, for $budget s): $*"
  rm -f "$current"
  timeout --kill-after=5 "$budget" "$@" 2>&1 | tee -a "$out/log.txt"
  status=${PIPESTATUS[0]}
  case $status in
    0) ;;
    124 | 137) say "$name: out of time" ;;
    *) say "$name: failed with status $status" ;;
  esac
  {
    [ ! -s "$steps" ] || echo ,
    echo "{\"step\": \"$name\", \"status\": $status, \"seconds\": $((SECONDS - start)), \"disabled\": \"${DEEPCACHE_CUDA_DISABLE:-}\","
    if [ -s "$current" ]; then echo "\"report\": $(cat "$current")}"; else echo "\"report\": null}"; fi
  } >>"$steps"
  { echo "["; cat "$steps"; echo "]"; } >"$out/results.part"
  mv "$out/results.part" "$out/results.json"
  rm -f "$current" "$current.part"
  [ "$status" = 0 ] || failed+=("$name")
  return "$status"
}

bench() {
  local name=$1 budget=$2 command=$3
  shift 3
  run "$name" "$budget" "$binaries/deepcache-bench" "$command" --device "$device" --type "$type" --json "$current" "$@"
}

# real GPU EMULATED: the first on a GPU, the second in a rehearsal.
real() { if [ $emulated = 1 ]; then echo "$2"; else echo "$1"; fi; }

build() {
  [ -z "$prebuilt" ] || return 0
  if [ ${#lacking[@]} -gt 0 ]; then
    say "nothing can run without the build; --prebuilt FOLDER brings what another machine has built"
    exit 1
  fi
  local budget=1800
  [ -n "$prebuild" ] || budget=$(real 240 1800)
  local cuda=(-DDEEPCACHE_CUDA=ON "-DDEEPCACHE_CUDA_ARCHS=${CUDA_ARCHS:-$(architectures)}") targets=(deepcache-bench cuda_backend)
  if [ $emulated = 1 ]; then
    cuda=(-DDEEPCACHE_CUDA=OFF)
    targets=(deepcache-bench cuda_emulated_library)
  fi
  # A build folder of another place is of no use to CMake.
  grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" $objects/CMakeCache.txt 2>/dev/null || rm -rf $objects
  mkdir -p $objects
  if run configure 60 cmake -S . -B $objects -DCMAKE_BUILD_TYPE=Release "${cuda[@]}" &&
    run build "$budget" cmake --build $objects --parallel "$jobs" --target "${targets[@]}"; then return; fi
  say "nothing can run without the build"
  exit 1
}

# Seconds that a case may take; a rehearsal shares its machine.
patience=$(real 10 "${REHEARSED_PATIENCE:-240}")
smoke() { bench "smoke${1:+.without.$1}" "$(real 60 600)" check --parts smoke --patience "$patience"; }

# One case for each feature. What makes it fail is left out of the rest of the run: one feature, or all of them.
smoke_and_isolate() {
  smoke "" && return
  DEEPCACHE_CUDA_SYNC=1 bench smoke.op.by.op "$(real 40 600)" check --parts smoke --patience "$patience"
  local without
  for without in odd_v folds persistent hopper overlap clusters once hopper,overlap,clusters,once; do
    export DEEPCACHE_CUDA_DISABLE=$without
    if smoke "$without"; then
      say "the rest runs without $without"
      return
    fi
  done
  unset DEEPCACHE_CUDA_DISABLE
  say "no feature alone is at fault: the rest runs with all"
}

check() { bench "check.$1" "$2" check --patience "$(real 20 "$patience")" "${@:3}"; }
ops() { check ops "$(real 60 900)" --parts ops --filter "$(real "" norm)"; }
shapes() { check shapes "$(real 60 600)" --parts shapes --models "$(real sd15 tiny-sd15)" --side 64; }
models() {
  check models.small "$(real 40 600)" --parts models --side 32 \
    --models "$(real tiny-sd15,tiny-sd21,tiny-sdxl,small-sd15,small-sd21,small-sdxl tiny-sd15)"
  check models.sd15 "$(real 40 600)" --parts models --models "$(real sd15 tiny-sd15)" --side 32 --filter "$(real "" "full 8x8")"
}
repeats() {
  check repeats "$(real 20 600)" --parts repeats --models "$(real small-sd15 tiny-sd15)" --side "$(real 32 8)" --runs "$(real 20 2)"
}
sdxl() { check models.sdxl "$(real 40 600)" --parts models --models "$(real sdxl tiny-sdxl)" --side 16 --filter "$(real "" "full 8x8")"; }
memory() { check memory "$(real 30 600)" --parts memory --models tiny-sd15 --runs "$(real 1000 3)"; }

measure() {
  local small=()
  [ $emulated = 0 ] || small=(--side 8 --ceiling 128 --steps 3)
  bench "time.$1" "$2" time "${small[@]}" --patience "$(real 30 "$patience")" --limit "$(($2 - 5))" --budget "$(real 0.1 0)" "${@:3}"
}
big=$(real sd15,sdxl tiny-sd15)
first=$(real sd15 tiny-sd15)
plain() { DEEPCACHE_TUNE=0 measure plain "$(real 45 600)" --parts steps --models "$big" --batches 1; }
# Where the machine code expects time to be lost.
parts_of_products() {
  measure tiles "$(real 25 600)" --parts tiles
  DEEPCACHE_CUDA_DISABLE=${DEEPCACHE_CUDA_DISABLE:+$DEEPCACHE_CUDA_DISABLE,}overlap measure without.overlap \
    "$(real 15 600)" --parts steps --models "$first" --batches 1 --filter full
  measure geglu "$(real 15 600)" --parts ops --models "$first" --batches 1 --filter geglu
  measure linear "$(real 15 600)" --parts ops --models "$first" --batches 1 --filter "$(real "linear 1280->1280" "linear 32->32")"
}
tune() {
  rm -rf "$DEEPCACHE_CACHE_DIR" # what another run found is measured again
  bench tune "$(real 40 600)" tune --models "$big" --batches 1 --limit "$(real 30 5)" --side "$(real 0 8)"
}
# A rehearsal measures tiles of one shape only; the other rows find what the step before left.
tuned() {
  export DEEPCACHE_TUNE=$(real 1 0)
  measure tuned "$(real 40 600)" --parts steps --models "$big" --batches 1
  measure images "$(real 60 600)" --parts steps,images --models "$big" --batches "$(real 1,8 1)"
  measure batches "$(real 60 600)" --parts steps,images --models "$big" --batches "$(real 2,16 1)" --filter "$(real "" full)"
  DEEPCACHE_TUNE=1 measure ops "$(real 40 600)" --parts ops --models "$big" --batches 1 \
    --filter "$(real "" "linear 32->32")"
  unset DEEPCACHE_TUNE
}
# Products of e4m3, from sm_89 on.
fp8() {
  bench check.fp8 "$(real 20 600)" check --type fp8 --parts ops --filter fp8 --patience "$(real 20 "$patience")"
  measure fp8 "$(real 40 600)" --type fp8 --parts steps --models "$big" --batches 1
  measure fp8.batches "$(real 40 600)" --type fp8 --parts steps,images --models "$(real sdxl tiny-sd15)" \
    --batches "$(real 16 1)" --intervals 1 --steps "$(real 20 2)" --filter "$(real "" full)"
}

has_torch() { "$python" -c 'import torch' 2>/dev/null || { say "$python has no torch: peers are left out"; return 1; }; }
peers_time() {
  run "peers.$1" "$2" "$python" bench/peers/peers.py time --device "$(real cuda cpu)" --type "$type" --json "$current" \
    --limit $(($2 - 5)) --budget "$(real 0.1 0.01)" --side "$(real 0 8)" --ceiling "$(real 8192 128)" "${@:3}"
}
peers() {
  has_torch || return 0
  peers_time plain "$(real 60 600)" --models "$big" --batches "$(real 1,8 1)" --ways "$(real eager,graph eager)"
}
# The same weights give the same outputs as PyTorch's; a rehearsal without it takes the CPU's.
reference_outputs() {
  if has_torch; then
    run peers.outputs "$(real 60 600)" "$python" bench/peers/peers.py outputs --device "$(real cuda cpu)" --model "$1" \
      --side "$(real 32 8)" --output "$2"
  else
    [ $emulated = 1 ] && run peers.outputs 600 "$binaries/deepcache-bench" fullsize --device cpu --write 8 \
      --config bench/models/"$1"/unet.json --outputs "$2"
  fi
}
agreement() {
  local outputs model tolerance=5e-3
  model=$(real small-sd15 tiny-sd15)
  [ "$type" = fp16 ] || tolerance=4e-2
  outputs=$(mktemp)
  reference_outputs "$model" "$outputs" &&
    run peers.agreement "$(real 60 600)" "$binaries/deepcache-bench" fullsize --device "$device" --type "$type" \
      --config bench/models/"$model"/unet.json --outputs "$outputs" --tolerance $tolerance
  rm -f "$outputs"
}
compiled() { # takes minutes for each shape
  has_torch && [ $emulated = 0 ] || return 0
  peers_time compiled 120 --ways compile+graph --batches 1 --models sd15 --mode default
}

table() { ! command -v "$python" >/dev/null || run table "$(real 20 120)" "$python" bench/ratios.py "$out"; }

# Counters of the main kernels, then memory errors.
profile() {
  command -v ncu >/dev/null && [ $emulated = 0 ] || { say "no ncu, or nothing for it to see: left out"; return 0; }
  local kernel
  for kernel in matmul_sm90 attention_sm90; do
    run "profile.$kernel" 40 ncu --clock-control none --kernel-name "regex:$kernel" --launch-count 3 --section SpeedOfLight \
      --section WarpStateStats "$binaries/deepcache-bench" time --device "$device" --type "$type" --parts steps --models sd15 \
      --batches 1 --budget 0 --filter full
  done
}
sanitize() {
  command -v compute-sanitizer >/dev/null && [ $emulated = 0 ] || { say "no compute-sanitizer: left out"; return 0; }
  run sanitize 60 compute-sanitizer --tool memcheck --error-exitcode 9 "$binaries/deepcache-bench" time --device "$device" \
    --type "$type" --models tiny-sd15 --batches 1 --parts steps --ceiling 256 --budget 0
}

all=(build smoke_and_isolate ops shapes models repeats plain parts_of_products table peers table
  tune tuned table fp8 agreement sdxl memory compiled table profile sanitize)
for step in "${wanted[@]}"; do
  [[ " ${all[*]} " == *" $step "* ]] || { echo "bench/gpu.sh: there is no step $step; there are ${all[*]}" >&2; exit 2; }
done
: >"$out/log.txt"
survey
if [ -n "$prebuild" ]; then
  CUDA_ARCHS=${CUDA_ARCHS:-80;90a-real} limit=7200 build
  mkdir -p "$prebuild"
  install --strip "$binaries/deepcache-bench" build/Release/libdeepcache_cuda.so "$prebuild"
  exit
fi
choose_binaries
for step in "${all[@]}"; do
  [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " == *" $step "* ]] || continue
  $step
done
echo "$((SECONDS - began)) s in all; results in $out; failed: ${failed[*]:-none}" | tee -a "$out/log.txt"
[ ${#failed[@]} -eq 0 ]
