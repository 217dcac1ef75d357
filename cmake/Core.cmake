# deepcache_core: runtime, models, the CPU backend and the near side of the CUDA library. No Node, and
# nothing of CUDA itself.
file(GLOB core_sources CONFIGURE_DEPENDS native/runtime/*.cc native/models/*.cc native/cpu/*.cc
                                         native/adapters/*.cc
                                         native/cpu/ops/*.cc native/cuda/host/*.cc)

# The CPU kernels are two sources compiled once per instruction set; which one runs is chosen at run
# time. DEEPCACHE_ISA names the namespace of each copy. Products of bf16 have more.
set(bf16_source ${CMAKE_CURRENT_SOURCE_DIR}/native/cpu/kernels_bf16.cc)
set(kernel_sources ${CMAKE_CURRENT_SOURCE_DIR}/native/cpu/kernels.cc ${bf16_source})
list(REMOVE_ITEM core_sources ${kernel_sources})
set(kernel_objects "")
function(deepcache_kernels isa sources)
  add_library(kernels_${isa} OBJECT ${sources})
  target_link_libraries(kernels_${isa} PRIVATE deepcache_options)
  target_compile_definitions(kernels_${isa} PRIVATE DEEPCACHE_ISA=${isa})
  target_compile_options(kernels_${isa} PRIVATE ${ARGN})
  set(kernel_objects ${kernel_objects} $<TARGET_OBJECTS:kernels_${isa}> PARENT_SCOPE)
endfunction()
deepcache_kernels(baseline "${kernel_sources}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64" AND NOT MSVC)
  set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c)
  deepcache_kernels(avx2 "${kernel_sources}" -mavx2 -mfma -mf16c)
  deepcache_kernels(avx512 "${kernel_sources}" ${avx512})
  deepcache_kernels(avx512_bf16 "${bf16_source}" ${avx512} -mavx512bf16)
  # Assemblers know it since 2020.
  include(CheckCXXSourceCompiles)
  check_cxx_source_compiles("int main() { __asm__ volatile(\"tilezero %tmm0\"); }" DEEPCACHE_AMX)
  if(DEEPCACHE_AMX)
    deepcache_kernels(amx "${bf16_source}" ${avx512} -mavx512bf16)
    target_compile_definitions(kernels_amx PRIVATE DEEPCACHE_TILES="tiles_amx.h")
    set_property(SOURCE native/cpu/dispatch.cc APPEND PROPERTY COMPILE_DEFINITIONS DEEPCACHE_AMX)
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64" AND NOT MSVC)
  deepcache_kernels(neon_bf16 "${bf16_source}")
  target_compile_definitions(kernels_neon_bf16 PRIVATE DEEPCACHE_MMLA)
endif()

if(core_sources OR kernel_objects)
  add_library(deepcache_core STATIC ${core_sources} ${kernel_objects})
  target_link_libraries(deepcache_core PUBLIC deepcache_options)
else()
  add_library(deepcache_core INTERFACE)
  target_link_libraries(deepcache_core INTERFACE deepcache_options)
endif()

# Random numbers and synthetic weights are bit-exact by definition: no fused multiply-add where
# the source says multiply, then add.
file(GLOB exact_sources CONFIGURE_DEPENDS native/runtime/rng*.cc native/runtime/synth*.cc)
if(exact_sources AND NOT MSVC)
  set_source_files_properties(${exact_sources} PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
endif()
