# emulated_tests: the CUDA backend on the emulator, against the CPU backend and the references of the
# native tests.
add_subdirectory(native/emulator)
deepcache_executable(emulated_tests test/emulated)
target_sources(emulated_tests PRIVATE test/native/main.cc)
target_include_directories(emulated_tests PRIVATE test)
target_link_libraries(emulated_tests PRIVATE cuda_emulated op_cases)
# Kernels of tests trap as those of the library do (native/emulator/CMakeLists.txt).
if(TARGET emulated_tests)
  target_compile_options(emulated_tests PRIVATE -fsanitize=alignment
                                                -fsanitize-undefined-trap-on-error)
endif()

# launches: every program of the published models, made for real GPUs and not executed.
deepcache_executable(launches test/launches)
target_sources(launches PRIVATE bench/ops.cc bench/models.cc)
target_include_directories(launches PRIVATE test)
target_link_libraries(launches PRIVATE cuda_emulated)
target_compile_definitions(launches PRIVATE DEEPCACHE_SOURCE="${CMAKE_CURRENT_SOURCE_DIR}")
