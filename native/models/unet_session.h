#pragma once

// Everything that runs of one shape need: the programs of their step tables, an arena that these
// share, and the buffers between them.

#include <map>
#include <memory>
#include <vector>

#include "engine.h"
#include "unet.h"
#include "unet_control.h"

namespace deepcache {

class UnetSession : public EngineSession {
 public:
  // `features`: branches whose hidden state a full pass keeps; `steps`: slices of the time buffer.
  // `networks`: ControlNets whose outputs its programs take, as many as the shape's extras say.
  // `gated`: passes that keep outputs of attention or take them.
  UnetSession(Unet& unet, const UnetShape& shape, int steps, std::vector<int> features,
              std::vector<ControlMember> networks = {}, std::vector<GatedPass> gated = {});

  bool fits(const UnetShape& shape, int steps, const std::vector<int>& features,
            const std::vector<ControlMember>& networks = {},
            const std::vector<GatedPass>& gated = {}) const;

  // Fills the buffers that depend on the prompt only, or on the timesteps only: keys and values of
  // the cross attentions, time projections; of ControlNets beside it, too. `timesteps`: steps *
  // time_rows values.
  void condition(const UnetConditions& conditions, const std::vector<float>& timesteps,
                 const std::vector<ControlNetUse>& networks, const CancelFlag* cancel,
                 const Tap* tap);

  // unet_control.cc: pictures, features and scales of the rows. After condition().
  void set_control(const UnetControl& control, const CancelFlag* cancel);
  // A ControlNet's pictures.
  void see(const ControlNetUse& use, const CancelFlag* cancel);

  // unet_degraded.cc: factors of the rows; see degrading_factors().
  void set_degrading(const std::vector<float>& factors);

  // How far each row's features go on, of each of the shape's samples; what was kept is forgotten.
  void set_forecasts(const std::vector<float>& gammas);

  // What a step of this kind runs; compiled when it is first asked for. Throws
  // Error(kInvalidArgument) when the session keeps no feature for it.
  Segments segments(const ProgramKey& key);
  Loop& loop() { return *loop_; }
  const UnetShape& shape() const { return shape_; }
  const std::vector<int>& features() const { return features_; }
  const Buffers& buffers() const { return buffers_; }
  Buffer& sample() { return *buffers_.at(PortKind::sample); }
  Buffer& out() { return *buffers_.at(PortKind::out); }
  Buffer* feature(int branch);
  // Bytes of a step, of a buffer that has values for each: of time, shape().time_rows rows.
  size_t slice_bytes(Port stepped) const;
  size_t buffer_bytes() const override;
  bool uses(const Model& network) const override;

  bool has_features = false;  // a full pass has run

 private:
  // A pass over so many of a sample's outputs, which keeps all features but the `unkept`
  // shallowest: those that a retrieve step of a deeper branch comes by and leaves alone. Whether
  // the last of the outputs is the perturbed one; whether the first one's attention is to be told.
  struct PassKey {
    int outputs;
    size_t unkept;
    bool perturbs = false;
    AttentionUses attention = {};
    bool tells_mass = false;
    auto operator<=>(const PassKey&) const = default;
  };
  struct Pass {
    Plan plan;
    std::map<int, std::unique_ptr<Program>> programs;  // those that were needed, by first output
  };

  // What it takes besides the weights.
  struct Needs {
    size_t arena = 0;
    std::map<Port, size_t> buffers;
  };
  // Where a port's values for all samples lie.
  struct Place {
    Buffer* buffer;
    size_t offset, bytes;
  };

  // A ControlNet's beside the session of a U-Net, in whose buffers its inputs and outputs lie.
  UnetSession(UnetSession& host, const ControlMember& member);
  void record_passes();
  Needs needs() const;
  void allocate(const Needs& needs);
  void join(UnetSession& host, int place, const ControlMember& member);
  void condition_network(size_t place, UnetConditions conditions,
                         const std::vector<float>& timesteps, const ControlNetUse& use,
                         const CancelFlag* cancel);
  // What a step computes of these outputs: a network beside the U-Net, and all of it.
  void append_network(Segments& out, size_t place, const ProgramKey& key, OutputRange outputs);
  void append_pass(Segments& out, const ProgramKey& key, OutputRange outputs);
  // unet_degraded.cc: makes the last output's input, behind a pass of the others.
  void append_degrading(Segments& out);
  std::unique_ptr<Program>& program(const PassKey& key, OutputRange outputs);

  Plan record(const PassKey& key) const;
  PassKey pass_of(OutputRange outputs, size_t unkept, AttentionUses attention = {}) const;
  // Time rows that share their time ids: a video's frames.
  int id_samples() const { return shape_.samples_of_condition(unet_.config()); }
  // Values of an input of the context plan.
  std::vector<float> context_input(const Plan& context, const External& external,
                                   const UnetConditions& conditions) const;
  std::vector<float> time_input(Port port, size_t count, const UnetConditions& conditions,
                                const std::vector<float>& timesteps) const;
  // The session's buffers, for a program of these outputs.
  Bindings bindings(const Plan& plan, OutputRange outputs) const;

  Unet& unet_;
  UnetShape shape_;
  int steps_;
  std::vector<int> features_;
  std::vector<GatedPass> gated_;
  Buffers buffers_;
  std::map<Port, Place> joined_;  // of a host's buffers
  std::vector<ControlMember> members_;
  std::vector<std::unique_ptr<UnetSession>> networks_;
  std::map<PassKey, Pass> passes_;
  std::unique_ptr<Program> degrade_;
  std::unique_ptr<Loop> loop_;  // over the programs
};

}  // namespace deepcache
