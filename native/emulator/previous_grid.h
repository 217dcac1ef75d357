#pragma once

// Grids that overlap (programmatic dependent launch): the grid before ends late or at random while
// the first blocks of the next one run. Until a thread has waited for that, or met one that has at
// a barrier, it may access weights only: other global memory is closed to it.

namespace deepcache::emulator {

// griddepcontrol.wait. Some thread of each block must call it.
void wait_for_previous_grid(const char* file, int line);

// At the start and at the end of a grid that may begin while the one before it runs.
void begin_overlap();
void end_overlap();
extern bool previous_grid_runs;

// For accesses by instructions: fails when the running thread may not make them yet.
void require_ordered(const void* data, const char* what, const char* file, int line);

}  // namespace deepcache::emulator
