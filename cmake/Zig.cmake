# Toolchain of scripts/build-platform.mjs: clang with the C library of any target, as Zig ships it.
# From the environment: DEEPCACHE_ZIG (the program) and DEEPCACHE_ZIG_TARGET (a triple).
set(zig_target $ENV{DEEPCACHE_ZIG_TARGET})
if(zig_target MATCHES "windows")
  set(CMAKE_SYSTEM_NAME Windows)
elseif(zig_target MATCHES "macos")
  set(CMAKE_SYSTEM_NAME Darwin)
else()
  set(CMAKE_SYSTEM_NAME Linux)
endif()
string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR ${zig_target})

# One program, as ccache wants it.
set(CMAKE_CXX_COMPILER ${CMAKE_CURRENT_LIST_DIR}/zig-c++ -target ${zig_target})
# Its C++ headers are not in the place where clang would take them for the system's.
set(CMAKE_CXX_FLAGS_INIT -Wno-nullability-completeness)
# Programs of the build machine only; its libraries and headers are of no use to the target.
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE NEVER)
# One program, as CMake wants it; it writes the index that ranlib would.
set(CMAKE_AR ${CMAKE_CURRENT_LIST_DIR}/zig-ar)
set(CMAKE_RANLIB :)
# For Windows CMake wants a compiler of resources, of which there are none.
set(CMAKE_RC_COMPILER $ENV{DEEPCACHE_ZIG})
