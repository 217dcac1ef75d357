# Given to node-gyp as --nodedir by scripts/build-prebuilds.mjs. binding.gyp compiles
# nothing itself (CMake does, with the headers of node-api-headers), so node-gyp
# needs no Node.js headers and must not download any.
{}
