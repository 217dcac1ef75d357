#include "async_proxy.h"

#include <cstring>

#include "scheduler.h"

namespace deepcache::emulator {
namespace {

std::bitset<256> stored_pages;

void publish(Block& block, size_t page) {
  const size_t first = page * kProxyPage, end = std::min(first + kProxyPage, block.shared_bytes);
  if (first < end) std::memcpy(block.shadow + first, block.shared + first, end - first);
}

template <typename Visit>
void for_pages(const Block& block, const char* data, size_t bytes, const Visit& visit) {
  const size_t first = size_t(data - block.shared);
  for (size_t page = first / kProxyPage; page * kProxyPage < first + bytes; page++) visit(page);
}

}  // namespace

void fence_async_proxy() {
  Internal internal;
  Block& block = *current->block;
  for (size_t page = 0; page * kProxyPage < block.shared_bytes; page++)
    if (!block.loaded_pages[page]) publish(block, page);
}

void write_both(Block& block, char* to, const char* from, size_t bytes) {
  std::memcpy(to, from, bytes);
  std::memcpy(block.shadow + (to - block.shared), from, bytes);
}

void fill_both(Block& block, char* to, int byte, size_t bytes) {
  std::memset(to, byte, bytes);
  std::memset(block.shadow + (to - block.shared), byte, bytes);
}

void mark_loaded(Block& block, const char* data, size_t bytes) {
  for_pages(block, data, bytes, [&](size_t page) {
    if (!stored_pages[page]) block.loaded_pages[page] = true;
  });
}

void mark_stored(Block& block, const char* data, size_t bytes) {
  for_pages(block, data, bytes, [&](size_t page) {
    stored_pages[page] = true;
    if (!block.loaded_pages[page]) return;
    block.loaded_pages[page] = false;
    publish(block, page);
  });
}

void forget_stored_pages() { stored_pages.reset(); }

}  // namespace deepcache::emulator
