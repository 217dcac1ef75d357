# cuda_backend: build/Release/libdeepcache_cuda.so, a library of its own that the addon loads on
# demand. Built only when asked for: without a GPU it would be minutes of compiling for nothing.
file(GLOB cuda_sources CONFIGURE_DEPENDS native/cuda/*.cu native/cuda/kernels/*.cu)
if(NOT DEEPCACHE_CUDA OR NOT cuda_sources)
  file(GLOB stale ${DEEPCACHE_OUT}/*deepcache_cuda.*)
  if(stale)
    file(REMOVE ${stale})  # left by an earlier build with other options
  endif()
  return()
endif()

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR
    "DEEPCACHE_CUDA=${DEEPCACHE_CUDA}, but nvcc was not found; put it on PATH or set CUDACXX")
endif()
include(cmake/CudaArchitectures.cmake)
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake before 3.26 does not know it of nvcc 13
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()

add_library(cuda_backend MODULE ${cuda_sources})
target_include_directories(cuda_backend PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/native
                                                ${CMAKE_CURRENT_SOURCE_DIR}
                                                ${DEEPCACHE_GENERATED})
# One source's kernels on all cores: the largest takes as long as all others together.
if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
  target_compile_options(cuda_backend PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--split-compile=0>)
endif()
# Chosen architectures are for developers: scripts/kernels/machine-code.mjs reads what is not compressed.
if(NOT DEEPCACHE_CUDA_ARCHS MATCHES "^(release|native)$")
  target_compile_options(cuda_backend PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--no-compress>)
elseif(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
  target_compile_options(cuda_backend PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--compress-mode=size>)
endif()
set_target_properties(cuda_backend PROPERTIES
  OUTPUT_NAME deepcache_cuda
  CUDA_STANDARD 20
  CUDA_VISIBILITY_PRESET hidden
  CUDA_RUNTIME_LIBRARY Static
  LIBRARY_OUTPUT_DIRECTORY ${DEEPCACHE_OUT}
  LIBRARY_OUTPUT_DIRECTORY_RELEASE ${DEEPCACHE_OUT}
  RUNTIME_OUTPUT_DIRECTORY ${DEEPCACHE_OUT})
if(DEEPCACHE_ZIG)
  include(cmake/OldGlibc.cmake)
elseif(UNIX AND NOT APPLE)
  # Keep the static cudart and libstdc++ symbols private to the library; an op without its kernel is
  # an error here, not where the library is loaded.
  target_link_options(cuda_backend PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined)
endif()
