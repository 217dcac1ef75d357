#pragma once

// The thread of matmul_sm90.cu's kernel that fills the ring of stages.

#include "cuda/kernels/matmul_sm90.h"

namespace deepcache::cuda::matmul_sm90 {

// 64 channels of an input under a tap, 128 of e4m3, and the next ones: counted on, since a lone
// thread's division would take longer than the tensor cores do for them.
template <int kChannels>
class Chunk {
 public:
  DEVICE Chunk(const MatmulArgs& args, const Work& work) : args_(args), work_(work) {
    enter(0);
    if (work.first > 0) seek(work.first);
  }

  DEVICE void next() {
    const int left = channels_ - channel_;
    if (left > kChannels) {
      channel_ += kChannels;
      k_ += kChannels;
      return;
    }
    k_ += left;
    channel_ = 0;
    const MatmulSegment& s = args_.segments[segment_];
    if (input_ == 0 && s.channels[1] > 0) {
      input_ = 1;
      channels_ = s.channels[1];
      return;
    }
    input_ = 0;
    channels_ = s.channels[0];
    tap_x_++;
    if (tap_x_ < s.kernel_w) return;
    tap_x_ = 0;
    tap_y_++;
    if (tap_y_ < s.kernel_h || segment_ + 1 == args_.segment_count) return;
    enter(segment_ + 1);
  }

  DEVICE int segment() const { return segment_; }
  DEVICE int input() const { return input_; }
  DEVICE int channel() const { return channel_; }
  DEVICE int x() const { return x_ + tap_x_; }
  DEVICE int y() const { return y_ + tap_y_; }
  DEVICE int k() const {  // of the weight
    return PLANTED(30) && input_ ? k_ - args_.segments[segment_].channels[0] : k_;
  }

 private:
  DEVICE void enter(int segment) {
    const MatmulSegment& s = args_.segments[segment];
    segment_ = segment;
    input_ = tap_x_ = tap_y_ = channel_ = k_ = 0;
    channels_ = s.channels[0];
    x_ = work_.x * s.stride + s.origin_x + (work_.phase & 1);
    y_ = work_.y * s.stride + s.origin_y + (work_.phase >> 1);
  }

  // To the index'th chunk of all, where a part of a split k begins.
  DEVICE void seek(int index) {
    const auto chunks = [](int channels) { return (channels + kChannels - 1) / kChannels; };
    const auto of_tap = [&](const MatmulSegment& s) {
      return chunks(s.channels[0]) + chunks(s.channels[1]);
    };
    const int of_first =
        args_.segments[0].kernel_h * args_.segments[0].kernel_w * of_tap(args_.segments[0]);
    if (index >= of_first) {
      enter(1);
      index -= of_first;
    }
    const MatmulSegment& s = args_.segments[segment_];
    const int tap = index / of_tap(s), rest = index - tap * of_tap(s);
    tap_y_ = tap / s.kernel_w;
    tap_x_ = tap - tap_y_ * s.kernel_w;
    input_ = rest >= chunks(s.channels[0]);
    channel_ = (rest - (input_ ? chunks(s.channels[0]) : 0)) * kChannels;
    channels_ = s.channels[input_];
    k_ = tap * (s.channels[0] + s.channels[1]) + input_ * s.channels[0] + channel_;
  }

  const MatmulArgs& args_;
  const Work& work_;
  int segment_, input_, tap_x_, tap_y_, channel_, k_;
  int channels_, x_, y_;  // the input's channels; the place of tap (0, 0)
};

template <typename Operand, typename Tile>
DEVICE void produce(const MatmulArgs& args, const MatmulBoxes& boxes, const Schedule& schedule,
                    const Shared<Tile>& shared) {
  constexpr int kStages = Tile::kStages;
  using Chunk = matmul_sm90::Chunk<Tile::kRowBytes / int(sizeof(Operand))>;
  const int stage_bytes = boxes.w * boxes.h * boxes.n * Tile::kRowBytes + Tile::kBytesB;
  const int phase_rows = packed_rows(args.columns);
  const auto load_weight = [&](const Place<kStages>& to, const Work& work, const Chunk& chunk) {
    uint64_t* const barrier = &shared.full[to.stage];
    uint64_t* const empty = &shared.empty[to.stage];
    const int parity = PLANTED(21) ? to.parity : to.parity ^ 1;
    const TensorMap* const map = &boxes.weight[chunk.segment()];
    unsigned char* const b = shared.b + to.stage * Tile::kBytesB;
    const int row = work.phase * phase_rows + work.column;
    if constexpr (Tile::kPairs)
      mbarrier_wait_cluster(empty, parity);
    else
      mbarrier_wait(empty, parity);
    mbarrier_arrive_expect(barrier, PLANTED(22) ? stage_bytes - Tile::kBytesB : stage_bytes);
    if constexpr (Tile::kPairs) {
      const int rank = rank_in_pair<Tile>();
      tma_load_2d_to_cluster(b + rank * (Tile::kBytesB / 2), map, barrier,
                             PLANTED(34) ? 1 << rank : 3, chunk.k(),
                             row + rank * (Tile::kColumns / 2));
    } else {
      tma_load_2d(b, map, barrier, chunk.k(), row);
    }
  };
  // Weights seldom depend on the grid before this one: those of the first stages come while it
  // ends.
  if (args.computed_weights && !PLANTED(17)) wait_for_previous_grid();
  const Work first = find_work<Tile>(boxes, schedule, first_item<Tile>());
  int ahead = first.count < kStages ? first.count : kStages;
  {
    Chunk chunk(args, first);
    Place<kStages> place;
    for (int i = 0; i < ahead; i++, place.next(), chunk.next()) load_weight(place, first, chunk);
  }
  wait_for_previous_grid();
  Place<kStages> place;
  for (int item = first_item<Tile>(); item < schedule.items; item += item_step<Tile>()) {
    const Work work = find_work<Tile>(boxes, schedule, item);
    Chunk chunk(args, work);
    for (int i = 0; i < work.count; i++, place.next(), chunk.next(), ahead--) {
      if (ahead <= 0) load_weight(place, work, chunk);
      tma_load_4d(shared.a + place.stage * Tile::kBytesA, &boxes.x[chunk.segment()][chunk.input()],
                  &shared.full[place.stage], chunk.channel(), chunk.x() + PLANTED(23), chunk.y(),
                  work.sample);
    }
  }
  let_next_grid_start();
}

}  // namespace deepcache::cuda::matmul_sm90
