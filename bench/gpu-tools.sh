# Of bench/gpu.sh: what this machine has for it, said before any time is spent, and whether what was built elsewhere runs here.

lacking=() # what the build needs and cannot have

# nvcc may be in a toolkit's usual place without being on PATH.
find_nvcc() {
  local folder
  for folder in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /usr/local/cuda-* /opt/cuda; do
    command -v nvcc >/dev/null && return
    [ ! -x "$folder/bin/nvcc" ] || PATH=$PATH:$folder/bin
  done
}

survey() {
  local tool needed=(cmake "${CXX:-c++}") toolkit=0 served
  if [ $emulated = 0 ]; then
    find_nvcc
    needed+=(nvcc)
    say "GPU: $(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>&1 | head -1)"
  fi
  for tool in "${needed[@]}"; do
    if command -v "$tool" >/dev/null; then
      say "$(command -v "$tool"): $("$tool" --version 2>&1 | grep -m1 -E '[0-9]\.[0-9]')"
    else
      lacking+=("$tool")
    fi
  done
  if command -v ninja >/dev/null; then
    export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
  elif ! command -v make >/dev/null; then
    lacking+=("ninja or make")
  fi
  [ ${#lacking[@]} = 0 ] || say "nothing can be built here, for want of $(printf '%s, ' "${lacking[@]}" | sed 's/, $//')"
  command -v "$python" >/dev/null || say "there is no $python: PyTorch's times and the table are left out"
  [ $emulated = 0 ] && command -v nvcc >/dev/null || return 0
  toolkit=$(nvcc --version | grep -oE 'release [0-9]+' | grep -oE '[0-9]+')
  served=$(nvidia-smi 2>/dev/null | grep -oE 'CUDA Version: [0-9]+' | grep -oE '[0-9]+$')
  [ "${served:-$toolkit}" -ge "$toolkit" ] ||
    say "the driver serves CUDA $served, nvcc is of $toolkit: expect that it is too old for what is built"
}

# The GPU's own, where nvidia-smi knows: without it CMake would leave Hopper's kernels out.
architectures() {
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | grep -qE '^[0-9]+\.[0-9]' && echo native ||
    echo '80;90a-real'
}

# --prebuilt's where they run on this system, or those that are built.
choose_binaries() {
  local library=libdeepcache_cuda.so
  [ $emulated = 0 ] || library=libdeepcache_cuda_emulated.so
  if [ -n "$prebuilt" ]; then
    if "$binaries/deepcache-bench" --help >/dev/null && [ -f "$binaries/$library" ] &&
      ! ldd "$binaries/$library" 2>&1 | grep 'not found'; then
      export DEEPCACHE_CUDA_LIBRARY=$binaries/$library
      return
    fi
    say "what is in $prebuilt does not run here: it is built instead"
    prebuilt=
    binaries=$(realpath -m "$objects/bin")
  fi
  [ $emulated = 0 ] || export DEEPCACHE_CUDA_LIBRARY=$binaries/$library
}
