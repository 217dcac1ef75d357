#pragma once

// Which tile computes a product, and in how many parts its k is split.

#include <string>
#include <vector>

#include "cuda/kernels/matmul.h"

namespace deepcache::cuda {

struct MatmulChoice {
  MatmulTile tile = MatmulTile::sm80_64x64;
  int splits = 1;
  bool operator==(const MatmulChoice&) const = default;
};

// "sm90_128x160"; parse_tile() returns false for what is no tile's name.
const char* name_of(MatmulTile tile);
bool parse_tile(const std::string& name, MatmulTile& tile);

// What can compute the product on the GPU, best first by a model of the time.
std::vector<MatmulChoice> rank_choices(const MatmulArgs& args, const gpu::Properties& gpu);

// Chunks of k that a tile goes through.
int chunk_count(const MatmulArgs& args, bool sm90);

// The boxes of output pixels of a tile of that many rows, so that as few of them as possible cover
// the output. Without maps: see map_inputs().
MatmulBoxes choose_boxes(const MatmulArgs& args, int tile_rows);

// Makes the tensor maps of the product's inputs and weights. Throws Error(kInternal).
void map_inputs(const MatmulArgs& args, MatmulTile tile, gpu::MapType type, MatmulBoxes& boxes);

}  // namespace deepcache::cuda
