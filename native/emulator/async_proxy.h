#pragma once

// TMA and wgmma access shared memory through another path than loads and stores (the async proxy):
// it sees an ordinary store only after a fence of the storing thread. Block::shadow is shared
// memory as that path sees it.

namespace deepcache::emulator {

// fence.proxy.async. With the thread's stores it publishes the whole block's: a partial check.
void fence_async_proxy();
// What a fence has to publish is published where its thread next synchronises with others.
void publish_fenced();

}  // namespace deepcache::emulator
