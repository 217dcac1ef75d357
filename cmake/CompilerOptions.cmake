# One interface target that carries the flags of everything we compile as C++.
#
# The two -fno flags let the compiler vectorise loops with sqrt or divisions and change no result.
# -ffast-math and -march=native are left out on purpose: the first changes results, the second
# makes binaries that crash elsewhere (native/cpu/kernels.cc is compiled per instruction set).
add_library(deepcache_options INTERFACE)
target_include_directories(deepcache_options INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/native
                                                       ${CMAKE_CURRENT_SOURCE_DIR}
                                                       ${DEEPCACHE_GENERATED})
target_compile_definitions(deepcache_options INTERFACE DEEPCACHE_VERSION="${DEEPCACHE_VERSION}")
if(WIN32)
  target_compile_definitions(deepcache_options INTERFACE NOMINMAX WIN32_LEAN_AND_MEAN)
endif()
target_link_libraries(deepcache_options INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
if(NOT MSVC)
  string(REPLACE "-O2" "-O3" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
  target_compile_options(deepcache_options INTERFACE -Wall -Wextra -fno-math-errno
                                                     -fno-trapping-math)
  # GCC 12 sees overlapping copies in plain string concatenation (GCC bug 105651).
  target_compile_options(deepcache_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
endif()
if(DEEPCACHE_SANITIZE)
  set(sanitizers ${DEEPCACHE_SANITIZE})
  # Undefined behaviour costs little more to find, and ends the test like a bad access.
  if(DEEPCACHE_SANITIZE STREQUAL "address")
    set(sanitizers "address,undefined")
  endif()
  target_compile_options(deepcache_options INTERFACE -fsanitize=${sanitizers}
                                                     -fno-sanitize-recover=all
                                                     -fno-omit-frame-pointer -g)
  target_link_options(deepcache_options INTERFACE -fsanitize=${sanitizers})
endif()

# deepcache_executable(name folder): all .cc files of the folder, linked with the core; built only
# when asked for. Left out where the folder has no sources (the npm package ships no tests).
function(deepcache_executable name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(${name} PRIVATE deepcache_core)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin
                                           RUNTIME_OUTPUT_DIRECTORY_RELEASE ${CMAKE_BINARY_DIR}/bin)
endfunction()
