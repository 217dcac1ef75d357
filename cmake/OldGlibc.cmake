# nvcc needs this machine's GCC, whose objects and static C++ library know only this machine's glibc. Zig links
# them against glibc 2.28 instead: its list of symbols, and LLVM's unwinder for GCC's, which asks a newer glibc.
set(triple x86_64-linux-gnu.2.28)
set(here ${CMAKE_CURRENT_SOURCE_DIR}/cmake)
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.a
                OUTPUT_VARIABLE libstdcxx OUTPUT_STRIP_TRAILING_WHITESPACE)
find_library(DEEPCACHE_CUDART cudart_static REQUIRED
             HINTS ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES} ${CMAKE_CUDA_HOST_IMPLICIT_LINK_DIRECTORIES})
string(JOIN " " CMAKE_CUDA_CREATE_SHARED_MODULE
  ${DEEPCACHE_ZIG} cc -target ${triple} -shared -fPIC -s -Wl,--version-script=${here}/cuda.map
  -o <TARGET> <OBJECTS> ${here}/old_glibc.c ${DEEPCACHE_CUDART} ${libstdcxx} -lunwind -lm -lrt
  -lpthread -ldl)
