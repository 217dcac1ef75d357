# deepcache-bench reads bench/models, opens the CUDA library where the build puts it, and checks the
# op cases of the tests.
target_link_libraries(deepcache-bench PRIVATE op_cases)
target_compile_definitions(deepcache-bench PRIVATE
  DEEPCACHE_SOURCE="${CMAKE_CURRENT_SOURCE_DIR}" DEEPCACHE_BUILT="${DEEPCACHE_OUT}")
