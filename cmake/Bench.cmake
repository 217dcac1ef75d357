# deepcache-bench reads bench/models, opens the CUDA library where the build puts it, and checks the
# op cases of the tests.
target_sources(deepcache-bench PRIVATE
  test/native/op_cases.cc test/native/op_case_table.cc test/native/conv_cases.cc
  test/native/reference.cc)
target_compile_definitions(deepcache-bench PRIVATE
  DEEPCACHE_SOURCE="${CMAKE_CURRENT_SOURCE_DIR}" DEEPCACHE_BUILT="${DEEPCACHE_OUT}")
