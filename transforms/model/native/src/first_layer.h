// conv1, of one input channel: directly, nine fused multiply-adds a value (1 % of the time).
#pragma once
#include "network.h"
#include "vector.h"

namespace {

constexpr int kLogMelStride = kMelBands + 2;  // with the border of zeros

// in: log-mel with a border of zeros, [98, 66]. weights: [9, 64]. out: from the first pixel,
// [48, 32, 64] with the strides of a plane.
inline void convolve_first(const float* in, const float* weights, const float* biases, float* out,
                           int64_t y_stride, int64_t x_stride) {
  constexpr int kVectors = kPanel / Vector::kWidth;
  for (int y = 0; y < kConv1.height / 2; y++)
    for (int x = 0; x < kConv1.width / 2; x++)
      for (int c = 0; c < kConv1.outputs; c += kPanel) {
        Vector sums[4][kVectors];
#pragma GCC unroll 4
        for (int pixel = 0; pixel < 4; pixel++)
#pragma GCC unroll 4
          for (int j = 0; j < kVectors; j++) sums[pixel][j] = all(0.0f);
#pragma GCC unroll 9
        for (int tap = 0; tap < 9; tap++) {
          const float* values = in + (2 * y + tap / 3) * kLogMelStride + 2 * x + tap % 3;
#pragma GCC unroll 4
          for (int j = 0; j < kVectors; j++) {
            Vector weight = load(weights + tap * kConv1.outputs + c + j * Vector::kWidth);
#pragma GCC unroll 4
            for (int pixel = 0; pixel < 4; pixel++)
              sums[pixel][j] = fused(all(values[pixel / 2 * kLogMelStride + pixel % 2]), weight,
                                     sums[pixel][j]);
          }
        }
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; j++) {
          Vector pooled = larger(larger(sums[0][j], sums[1][j]), larger(sums[2][j], sums[3][j]));
          const int channel = c + j * Vector::kWidth;
          store(out + y * y_stride + x * x_stride + channel, relu(pooled + load(biases + channel)));
        }
      }
}

}  // namespace
