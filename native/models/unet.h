#pragma once

// A loaded U-Net: single forward passes, and whole denoising runs with DeepCache.

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "../runtime/sampler.h"
#include "engine.h"
#include "image_prompt.h"
#include "model.h"
#include "unet_control.h"
#include "unet_plan.h"

namespace deepcache {

// What conditions a U-Net besides time; all of the model batch (the outputs of guidance included).
// n counts samples, or videos for a video U-Net.
struct UnetConditions {
  const float* context = nullptr;  // [n, length, context width]
  int context_length = 1;
  const float* text_embeds = nullptr;   // [n, pooled]; SDXL only
  const float* image_embeds = nullptr;  // [n, image width]; Kandinsky's only
  const float* class_labels = nullptr;  // [n, class width]; whole numbers for a table
  const float* time_ids = nullptr;      // [n, time_ids_count]; SDXL and videos only
  int time_ids_count = 0;
  // [n, time cond width]; null stands for zeros, which add nothing.
  const float* timestep_cond = nullptr;
  std::vector<ImagePrompt> image_prompts;
  std::vector<int> control_kinds;  // of pictures that a ControlNet sees; see ControlNetUse
  std::optional<std::array<float, 4>> free_u;  // of all samples; see plan_unet()
  std::vector<int> perturbed;                  // see UnetExtras
};

struct UnetForward {
  int batch = 1, height = 0, width = 0;
  int frames = 1;                 // of each video in the batch; see UnetShape
  FrameWindows windows;           // see UnetShape
  bool old_contexts = false;      // see UnetShape
  const float* sample = nullptr;  // [n, in, h, w]
  std::vector<float> timesteps;   // 1 or n, fractional ones too
  UnetConditions conditions;
  UnetControl control;
  std::vector<int> features;    // full: branches whose features are kept
  std::optional<int> retrieve;  // runs a retrieve step of this branch, with the kept feature
};

// Makes the next draw, [b, c, h, w]; called in the order of draws, once for each.
using DrawNoise = std::function<void(float* out)>;

struct UnetDenoise {
  int batch = 1, height = 0, width = 0;
  int outputs = 1;            // of each sample, that guidance combines: at most kMaxOutputs
  int frames = 1;             // of each video in the batch; see UnetShape
  FrameWindows windows;       // see UnetShape
  bool old_contexts = false;  // see UnetShape
  StepTable table;
  const float* latents = nullptr;  // [b, c, h, w], scaled by the initial sigma
  DrawNoise draw_noise;
  int draws = 0;                    // how many the table names
  UnetConditions conditions;        // of the outputs, in their order
  const float* constant = nullptr;  // [outputs * b, in - c, h, w]: inpainting's mask and image
  const float* mask = nullptr;      // [b, 1, h, w], for rows with a blend
  const float* init = nullptr;      // [b, c, h, w]
  const float* init_noise = nullptr;
  // What the table's history slots hold before the first row, [b, c, h, w]; null: zeros. A run may
  // so go on where another one ended.
  std::array<const float*, kHistorySlots> history = {};
  UnetControl control;
  Reads reads;  // rows after which on_step reads latents; null: none
};

// Reads the x0 (or x) of the row as [b, c, h, w]; only where UnetDenoise::reads says so.
using ReadLatents = std::function<std::vector<float>()>;

struct UnetProgress {
  int row = 0;
  double milliseconds = 0;  // that the row took
  int program = 0;          // that ran; kNoProgram: none
  float change = 0;         // StepReport's
  ReadLatents x, x0;
};

struct UnetRun {
  std::vector<float> latents;                             // [b, c, h, w]
  std::array<std::vector<float>, kHistorySlots> history;  // of the slots that the table uses
  double prepare_milliseconds = 0;  // before the first row: keys, values, time projections
  std::vector<double> row_milliseconds;
  std::vector<StepReport> reports;  // of the rows
};

// Whether what joins the time embedding differs between samples.
bool samples_differ(const UnetConfig& config, const UnetConditions& conditions, int videos);

// Bytes that a loaded model holds now.
struct UnetMemory {
  size_t weights = 0, arena = 0, buffers = 0;
};

// What was made for it so far: runs of sizes and branches that were run before add nothing.
struct UnetCounters {
  size_t sessions = 0, programs = 0;  // plans, and what was compiled of them
  size_t repacked = 0;                // packed weights that adapters changed
};

// Passes of these outputs do this about the outputs of attention.
struct GatedPass {
  Halves halves;
  AttentionUses attention;
  auto operator<=>(const GatedPass&) const = default;
};

class UnetSession;

// Calls on several threads take turns.
class Unet : public Model {
 public:
  // Packs all weights. Throws when they do not belong to the configuration. Networks may share an
  // engine, which knows them until they are destroyed.
  Unet(const UnetConfig& config, std::shared_ptr<WeightSource> source,
       std::shared_ptr<Engine> engine);
  // With an engine of its own.
  Unet(const UnetConfig& config, std::shared_ptr<WeightSource> source,
       std::shared_ptr<Backend> backend);
  ~Unet() override;

  const UnetConfig& config() const { return config_; }
  Engine& engine() { return *engine_; }
  const std::shared_ptr<Engine>& shared_engine() const { return engine_; }

  // Returns [n, out, h, w]. Throws Error(kInvalidArgument) for a retrieve step when no full pass
  // of the same shape kept the branch's feature.
  std::vector<float> forward(const UnetForward& request, const CancelFlag* cancel, const Tap* tap);
  // Of a ControlNet: its residuals, [n, c, h, w] each, of the skips in order and of the mid block.
  // `use`: its pictures, one for each sample.
  std::vector<std::vector<float>> residuals(const UnetForward& request, const ControlNetUse& use,
                                            const CancelFlag* cancel);
  // The feature that is kept for the shape of the last pass, [n, c, h, w].
  std::vector<float> feature(int branch, Shape* shape);
  UnetRun denoise(const UnetDenoise& request, const CancelFlag* cancel,
                  const std::function<void(const UnetProgress&)>& on_step);
  // See Model::adapt(); waits for its turn.
  size_t adapt(AdapterTerms terms, const CancelFlag* cancel);
  // At any time, on any thread.
  UnetMemory memory() const;
  UnetCounters counters() const { return {sessions_, programs_, repacked_}; }
  // A session says what it made.
  void count_session() { sessions_++; }
  void count_program() { programs_++; }
  // Frees the arenas and buffers that no run uses; the weights stay.
  void trim();

  // For whoever has the turn: a session that nobody uses, kept or new.
  std::shared_ptr<UnetSession> session(const UnetShape& shape, int steps,
                                       const std::vector<int>& features,
                                       const std::vector<ControlMember>& networks = {},
                                       const std::vector<GatedPass>& gated = {});
  // Sorted, each once. Throws Error(kInvalidArgument) for one that does not exist.
  std::vector<int> checked_branches(std::vector<int> branches) const;

 private:
  // Of a single pass, and its timesteps.
  UnetShape shape_of(const UnetForward& request, std::vector<float>& timesteps) const;

  UnetConfig config_;
  std::shared_ptr<Engine> engine_;
  std::atomic<size_t> sessions_{0}, programs_{0}, repacked_{0};
};

}  // namespace deepcache
