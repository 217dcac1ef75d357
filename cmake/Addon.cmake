# addon: build/Release/deepcache.node. Only where the headers of Node-API are given (CMAKE_JS_INC), as
# cmake-js and `deepcache build` do; the tests and benchmarks build without.
file(GLOB addon_sources CONFIGURE_DEPENDS native/addon/*.cc)
if(NOT CMAKE_JS_INC OR NOT addon_sources)
  return()
endif()

add_library(addon MODULE ${addon_sources} ${CMAKE_JS_SRC})
target_include_directories(addon SYSTEM PRIVATE ${CMAKE_JS_INC})
target_compile_definitions(addon PRIVATE
  NAPI_VERSION=9
  NODE_ADDON_API_CPP_EXCEPTIONS
  # An environment that is being torn down cannot run JS; do not abort over it.
  NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS)
# What TypeScript and the addon agree on: a checkout loads no addon that was built for another state of it.
set(contract_file ${CMAKE_CURRENT_SOURCE_DIR}/lib/native/types.ts)
set(contract "")
if(EXISTS ${contract_file})
  file(SHA256 ${contract_file} contract)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${contract_file})
endif()
set_source_files_properties(native/addon/addon.cc PROPERTIES
  COMPILE_DEFINITIONS DEEPCACHE_CONTRACT="${contract}")
target_link_libraries(addon PRIVATE deepcache_core ${CMAKE_JS_LIB})
set_target_properties(addon PROPERTIES
  OUTPUT_NAME deepcache PREFIX "" SUFFIX .node
  LIBRARY_OUTPUT_DIRECTORY ${DEEPCACHE_OUT}
  LIBRARY_OUTPUT_DIRECTORY_RELEASE ${DEEPCACHE_OUT}
  RUNTIME_OUTPUT_DIRECTORY ${DEEPCACHE_OUT})
if(UNIX AND NOT APPLE)
  # Nothing of a C++ library inside may stand in for another's, nor the other way round.
  set(exports ${CMAKE_CURRENT_SOURCE_DIR}/cmake/addon.map)
  target_link_options(addon PRIVATE -Wl,--version-script=${exports})
  set_property(TARGET addon APPEND PROPERTY LINK_DEPENDS ${exports})
endif()
if(APPLE)
  # Node.js opens bundles and dynamic libraries alike; Zig makes only the latter.
  set(CMAKE_SHARED_MODULE_CREATE_CXX_FLAGS -dynamiclib)
  target_link_options(addon PRIVATE -undefined dynamic_lookup)
endif()
if(DEEPCACHE_NODE_DEF)
  # Windows wants to know from which program Node-API comes: node.exe, says this list.
  execute_process(COMMAND ${DEEPCACHE_ZIG} dlltool -m i386:x86-64 -d ${DEEPCACHE_NODE_DEF}
                          -l ${CMAKE_CURRENT_BINARY_DIR}/node.lib
                  RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "no import library of node.exe could be made of ${DEEPCACHE_NODE_DEF}")
  endif()
  target_link_libraries(addon PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/node.lib)
endif()
if(MSVC AND CMAKE_JS_NODELIB_DEF AND CMAKE_JS_NODELIB_TARGET)
  execute_process(COMMAND ${CMAKE_AR} /def:${CMAKE_JS_NODELIB_DEF} /out:${CMAKE_JS_NODELIB_TARGET}
                          ${CMAKE_STATIC_LINKER_FLAGS})
endif()
