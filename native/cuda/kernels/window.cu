// Frames of videos to and from a window of them: y = x's frames of the window, or y's frames of the
// window (+)= share * x.
//
// Shapes: any; at most FrameWindows::kMaxLength frames. One value per thread and turn, neighbours
// on neighbours. Bound by memory; the shares come with the arguments.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct WindowArgs {
  View y, x;
  size_t count = 0;  // values of the window's frames, of all videos
  size_t each = 0;   // of one frame
  int frames = 0, length = 0, start = 0, first = 0, first_new = 0;
  float shares[FrameWindows::kMaxLength] = {};
};

template <typename T, bool kMerge>
__global__ void __launch_bounds__(kThreads) window_kernel(const __grid_constant__ WindowArgs args) {
  follow_previous_grid();
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < args.count;
       i += size_t(gridDim.x) * kThreads) {
    const size_t at = i / args.each, video = at / args.length;
    const int place = int(at - video * args.length), frame = args.start + place;
    const size_t other = (video * args.frames + frame) * args.each + (i - at * args.each);
    if (!kMerge) {
      store<T>(args.y, i, load<T>(args.x, other));
    } else if (frame >= args.first) {
      const float before = frame >= args.first_new ? 0.0f : load<T>(args.y, other);
      store<T>(args.y, other, before + args.shares[place] * load<T>(args.x, i));
    }
  }
}

template <typename T, bool kMerge>
void launch_window(const WindowArgs& args, Stream stream) {
  gpu::launch(window_kernel<T, kMerge>, dim3(blocks_for(args.count, kThreads)), dim3(kThreads), 0,
              stream, args);
}

WindowArgs window_args(const Window& op, const OpContext& context) {
  const FrameWindows& windows = op.windows;
  WindowArgs a;
  a.y = context.operands.view(op.y);
  a.x = context.operands.view(op.x);
  a.count = (op.merge ? op.x : op.y).shape.count();
  a.each = size_t(op.x.shape.h) * op.x.shape.w * op.x.shape.c;
  a.frames = windows.frames;
  a.length = windows.length;
  a.start = windows.start(op.index);
  a.first = windows.first(op.index);
  a.first_new = windows.first_new(op.index);
  for (int place = 0; place < windows.length; ++place)
    a.shares[place] = windows.share(op.index, place);
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Window& op, const OpContext& context) {
  const WindowArgs args = window_args(op, context);
  if (op.merge)
    return make_kernel_op(context, args, launch_window<Half, true>, launch_window<Bfloat16, true>,
                          "window merge");
  return make_kernel_op(context, args, launch_window<Half, false>, launch_window<Bfloat16, false>,
                        "window");
}

}  // namespace deepcache::cuda
