#pragma once

// Ops that a backend may run together with others, so that what lies between them needs no memory
// (Execution::fused).

#include <functional>
#include <vector>

#include "ops.h"

namespace deepcache {

// Sets, for whole lists of ops,
//   Conv::norm and GroupNorm::conv   where a convolution alone reads what a norm makes: of large
//                                    values, which are worth it.
// `is_seen(tensor)`: whether the tensor must be written all the same.
void find_fusions(std::vector<Op>& ops, const std::function<bool(int tensor)>& is_seen);

// Values that a fused execution keeps of a norm instead of its output, if it has a convolution: a
// scale and a shift in fp32 for each channel of each sample.
size_t kept_of_norm(const GroupNorm& norm);

// Calls `visit` for the tensors that an op reads when it is run with what is fused with it.
template <typename Visit>
void fused_inputs(const std::vector<Op>& ops, const Op& op, const Visit& visit) {
  op.inputs(visit);
  if (op.kind == OpKind::conv && op.conv.norm >= 0) ops[op.conv.norm].inputs(visit);
}

// Finds outputs that may be written where an input lies that nothing reads afterwards, and calls
// `succeed(output, input)` for them: residuals, and values of elementwise ops; and a large input of
// a 1x1 convolution, of twice as many bytes or more, or of bf16 and as many. The backend must go
// through the rows of such a convolution in order (ConvSchedule). `bytes_of(tensor)`: of a value.
// `may_succeed(output, input, op)`: whether both are temporaries, and the input is written before
// the op and read last there.
void find_successions(const std::vector<Op>& ops,
                      const std::function<bool(int output, int input, int op)>& may_succeed,
                      const std::function<size_t(int tensor)>& bytes_of,
                      const std::function<void(int output, int input)>& succeed);

}  // namespace deepcache
