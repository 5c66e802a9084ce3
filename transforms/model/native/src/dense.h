// Dense layers: a product for each block of 64 outputs, written where the next layer reads it.
// At a batch of 128 rows they take 20 % of the time; at one row, as long as 268 MB of weights take
// from memory.
#pragma once
#include "kernel.h"
#include "network.h"
#include "vector.h"

namespace {

constexpr int64_t packed_size(const Dense& layer) {
  return int64_t{layer.inputs} * layer.outputs;
}

// Copies weights [inputs, outputs] of one block of outputs to [outputs / 64][packed matrix].
inline void pack_block(const Dense& layer, const float* weights, int block, float* packed) {
  float* to = packed + int64_t{block} * layer.inputs * kBlock;
  for (int input = 0; input < layer.inputs; input++)
    for (int output = 0; output < kBlock; output++)
      to[packed_position(layer.inputs, input, output)] =
          weights[int64_t{input} * layer.outputs + block * kBlock + output];
}

// in: [inputs / 64][rows][64]. out: [outputs / 64][rows][64], of which this block is written.
inline void apply_block(const Dense& layer, const float* weights, const float* biases, int block,
                        const float* in, int rows, float* out) {
  float* to = out + int64_t{block} * rows * kBlock;
  multiply(in, int64_t{rows} * kBlock, rows, layer.inputs,
           weights + int64_t{block} * layer.inputs * kBlock, to);
  for (int row = 0; row < rows; row++)
    for (int c = 0; c < kBlock; c += Vector::kWidth) {
      float* value = to + row * kBlock + c;
      Vector sum = load(value) + load(biases + block * kBlock + c);
      store(value, layer.has_relu ? relu(sum) : sum);
    }
}

}  // namespace
