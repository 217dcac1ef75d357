# generated/cuda_build.h: DEEPCACHE_CUDA_BUILD names the sources of the CUDA library, so that the addon
# opens no other's library (native/cuda/api.h) and what tuning measured is not used for other kernels.
file(GLOB build_sources CONFIGURE_DEPENDS native/cuda/*.cu native/cuda/*.h native/cuda/kernels/*.cu
                                          native/cuda/kernels/*.h native/runtime/ops/*.h)
foreach(name ops table tensor weights)
  list(APPEND build_sources ${CMAKE_CURRENT_SOURCE_DIR}/native/runtime/${name}.h)
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${build_sources})
set(hashes "")
foreach(source IN LISTS build_sources)
  file(SHA256 ${source} hash)
  string(APPEND hashes ${hash})
endforeach()
string(SHA256 DEEPCACHE_CUDA_BUILD "${hashes}")
string(SUBSTRING ${DEEPCACHE_CUDA_BUILD} 0 12 DEEPCACHE_CUDA_BUILD)
configure_file(cmake/cuda_build.h.in ${CMAKE_CURRENT_BINARY_DIR}/generated/cuda_build.h)
set(DEEPCACHE_GENERATED ${CMAKE_CURRENT_BINARY_DIR}/generated)
