// Runs that go together on the emulated GPU: the sampler's kernels around a pass that others share.

#include "emulated.h"
#include "native/batch_runs.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

// One run joins when the other has done three rows; a third one leaves early. One is read after
// every row, the others have two rows in flight.
void check_batch(int device) {
  Unets u(emulated_backend(device, ActivationType::fp16));
  const auto ten = u.unet.denoise(ten_steps(u.unet)->request, nullptr, nullptr).latents;
  const Trace seven = trace_alone(u.unet, *seven_steps(u.unet));
  UnetBatch batch(u.unet);
  Driven a(u.unet, ten_steps(u.unet), false);
  for (int i = 0; i < 3; ++i) tick(u.unet, batch, {&a});
  CHECK_EQ(batch.shared_passes(), 0);
  Driven b(u.unet, seven_steps(u.unet)), leaver(u.unet, two_images(u.unet), false);
  for (int i = 0; i < 2; ++i) tick(u.unet, batch, {&b, &leaver, &a});
  leaver.slot.reset();
  while (a.has_next()) tick(u.unet, batch, {&a, &b});
  CHECK_EQ(batch.shared_passes(), 4);
  a.finish();
  b.finish();
  // Tiles of a product lie otherwise in a larger batch, and steps let differences grow.
  check_close("ten steps", a.trace.at(0), ten, 3e-2);
  CHECK_EQ(b.trace.size(), seven.size());
  for (size_t i = 0; i < seven.size(); ++i)
    check_close("seven steps, " + std::to_string(i), b.trace[i], seven[i], 5e-3 * double(i + 1));
}

}  // namespace

TEST(quick_batch_sm80) {
  const Emulation emulation(21, emulator::Async::random);
  check_batch(kSm80);
}
TEST(all_batch_sm90) {
  const Emulation emulation(22, emulator::Async::late);
  check_batch(kSm90);
}

}  // namespace deepcache::test
