// The kernels of AMX, compiled with a reference of its instructions: they are tested on every
// machine, and used beyond what the instructions allow nowhere.

#define DEEPCACHE_ISA amx_reference
#define DEEPCACHE_TILES "test/native/amx_reference.h"
#include "cpu/kernels_bf16.cc"
