// What is recorded in a graph: nodes of several kinds, the edges between them, and what CUDA does
// not record.

#include "cuda/gpu.h"
#include "emulated.h"
#include "emulator/shared_limit.h"
#include "native/test.h"

namespace deepcache::test {
namespace {

using namespace cuda;
using emulator::Async;
using emulator::Node;

void add_kernel(int* out, int value) {
  wait_for_previous_grid();
  out[threadIdx.x] += value;
}

// Half of a kernel's threads begin before the one before has ended.
void hasty_kernel(int* out, int value) {
  if (threadIdx.x % 2) wait_for_previous_grid();
  out[threadIdx.x] += value;
}

struct Owned {
  Owned() { gpu::use_device(kSm90), stream = gpu::make_stream(); }
  ~Owned() { gpu::destroy(stream), gpu::use_device(0); }
  Stream stream;
};

template <typename Kernel>
void enqueue(Kernel* kernel, const gpu::Memory& out, int value, Stream stream) {
  gpu::launch(kernel, dim3(1), dim3(32), 0, stream, reinterpret_cast<int*>(out.data()), value);
}

std::string problem_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST(quick_graph_knows_nodes_and_edges) {
  Owned owned;
  gpu::allow_overlap(owned.stream);
  const gpu::Memory out(128), other(128);
  emulator::Graph graph;
  emulator::Stream recording(&graph);
  recording.allow_overlap();
  enqueue(add_kernel, out, 1, &recording);
  enqueue(add_kernel, out, 1, &recording);
  gpu::copy(other.data(), out.data(), 128, &recording);
  enqueue(add_kernel, out, 1, &recording);
  gpu::fill(out.data(), 0, 128, &recording);
  enqueue(add_kernel, out, 1, &recording);
  enqueue(add_kernel, out, 1, &recording);
  struct Expected {
    Node::Kind kind;
    bool programmatic;
  };
  const Expected expected[] = {{Node::kernel, false}, {Node::kernel, true}, {Node::copy, false},
                               {Node::kernel, false}, {Node::fill, false},  {Node::kernel, false},
                               {Node::kernel, true}};
  CHECK_EQ(graph.nodes.size(), size_t(7));
  for (size_t i = 0; i < 7; i++) {
    CHECK(graph.nodes[i].kind == expected[i].kind);
    CHECK_EQ(graph.nodes[i].programmatic, expected[i].programmatic);
  }
}

// Only behind a kernel, and only in a stream that allows it, does a kernel begin early.
TEST(quick_graph_kernels_overlap_along_programmatic_edges) {
  const Emulation emulation(1, Async::late);
  const auto run = [](bool overlaps, bool fills_between) {
    Owned owned;
    if (overlaps) gpu::allow_overlap(owned.stream);
    const gpu::Memory out(128);
    gpu::fill(out.data(), 0, 128, owned.stream);
    const gpu::Graph graph(overlaps, [&](Stream stream) {
      enqueue(add_kernel, out, 1, stream);
      if (fills_between) gpu::fill(out.data(), 0, 128, stream);
      enqueue(hasty_kernel, out, 1, stream);
    });
    graph.launch(owned.stream);
    return problem_of([&] { gpu::synchronize(owned.stream); });
  };
  CHECK(has(run(true, false), "before the thread has waited"));
  CHECK_EQ(run(true, true), std::string());
  CHECK_EQ(run(false, false), std::string());
}

// As CUDA's memcpy nodes do.
TEST(quick_graph_uploads_read_at_each_launch) {
  Owned owned;
  const gpu::Memory out(4);
  int value = 1, found = 0;
  const gpu::Graph graph(false, [&](Stream stream) { gpu::upload(out.data(), &value, 4, stream); });
  for (value = 2; value < 4; value++) {
    graph.launch(owned.stream);
    gpu::download(&found, out.data(), 4, owned.stream);
    CHECK_EQ(found, value);
  }
}

TEST(quick_graph_refuses_what_cuda_does_not_record) {
  Owned owned;
  const gpu::Memory out(128);
  const auto record = [&](const std::function<void(Stream)>& enqueue) {
    return problem_of([&] { const gpu::Graph graph(false, enqueue); });
  };
  int found = 0;
  CHECK(has(record([&](Stream s) { gpu::synchronize(s); }), "cannot be waited for"));
  CHECK(has(record([&](Stream s) { gpu::download(&found, out.data(), 4, s); }),
            "cannot be waited for"));
  gpu::Event event;
  CHECK_EQ(record([&](Stream s) { event.record(s); }), std::string());
  CHECK(has(problem_of([&] { event.wait(); }), "cannot be waited for"));
  // An error that the recording code swallows ends the recording all the same.
  CHECK(has(record([&](Stream s) {
              try {
                gpu::synchronize(s);
              } catch (const Error&) {
              }
            }),
            "the recording has ended"));
  // The limit of shared memory is that of the time when the graph is made executable.
  CHECK(has(record([&](Stream s) {
              gpu::launch(add_kernel, dim3(1), dim3(32), 60 << 10, s,
                          reinterpret_cast<int*>(out.data()), 1);
              emulator::forget_allowed_shared_memory();
            }),
            "61440 bytes of dynamic shared memory"));
}

}  // namespace deepcache::test
