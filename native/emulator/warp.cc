#include "warp.h"

namespace deepcache::emulator {

void warp_op(const char* name, uint32_t mask, void* argument, const char* file, int line,
             void (*execute)(void**, uint32_t), bool orders) {
  Internal internal;
  Block& block = *current->block;
  const int lane = current->index & 31;
  if (!(mask >> lane & 1))
    fail(file, line, "%s: lane %d is not in its own mask %08x", name, lane, mask);
  const unsigned lanes = block.threads - (current->index & ~31u);
  if (lanes < 32) mask &= (1u << lanes) - 1;

  auto& slots = block.warps[current->index / 32];
  slots.reserve(32);  // pointers into it stay valid: at most one op for each lane
  WarpOp* op = nullptr;
  for (WarpOp& other : slots) {
    if (!other.arrived || !(other.mask & mask)) continue;
    op = &other;
    const bool same_name = op->name == name || !std::strcmp(op->name, name);
    if (op->mask != mask || op->line != line || !same_name)
      fail(file, line, "%s mask %08x in lane %d while other lanes wait in %s mask %08x at %s:%d",
           name, mask, lane, op->name, op->mask, op->file, op->line);
  }
  if (!op) {
    for (WarpOp& other : slots)
      if (!other.arrived) op = &other;
    if (!op) op = &slots.emplace_back();
    op->mask = mask;
    op->name = name;
    op->file = file;
    op->line = line;
    op->token = {};
  }
  op->arguments[lane] = argument;
  op->arrived |= 1u << lane;
  if (orders) release(op->token);
  if (op->arrived != mask) {
    wait(name, file, line);
  } else {
    execute(op->arguments, mask);
    op->arrived = 0;
    const uint32_t others = mask & ~(1u << lane);
    if (others) ready.push(*current, others);
  }
  if (orders) acquire(op->token);
}

void execute_shuffle(void** arguments, uint32_t mask) {
  for (int l = 0; l < 32; l++) {
    if (!(mask >> l & 1)) continue;
    auto& s = *static_cast<Shuffle*>(arguments[l]);
    if (s.source < 0)
      s.result = s.value;
    else if (mask >> s.source & 1)
      s.result = static_cast<Shuffle*>(arguments[s.source])->value;
    else
      s.result = ~uint64_t(0);  // undefined on the chip
  }
}

uint32_t ballot(uint32_t mask, bool vote, const char* file, int line) {
  uint32_t argument[2] = {vote, 0};
  warp_op("__ballot_sync", mask, argument, file, line, [](void** all, uint32_t lanes) {
    uint32_t votes = 0;
    for (int l = 0; l < 32; l++)
      if (lanes >> l & 1) votes |= static_cast<uint32_t*>(all[l])[0] << l;
    for (int l = 0; l < 32; l++)
      if (lanes >> l & 1) static_cast<uint32_t*>(all[l])[1] = votes;
  });
  return argument[1];
}

}  // namespace deepcache::emulator
