// The product of rows with a matrix of weights, where 9 of 10 operations are.
//
// A tile of rows x panels stays in registers for 256 products: each loaded vector of weights meets
// all rows of the tile, and each value of a row is broadcast from where the layer before wrote it.
// The rows that follow are fetched meanwhile, which hardware does not foresee: 13 % of all time.
#pragma once
#include <array>
#include <utility>

#include "network.h"
#include "vector.h"

namespace {

constexpr int kPanelVectors = kPanel / Vector::kWidth;
constexpr int kBlockPanels = kBlock / kPanel;

// Where a weight of a matrix [depth, 64 outputs] is: [depth / 256][4 panels][256][16], in the order
// in which the kernel reads.
inline int64_t packed_position(int depth, int row, int output) {
  int part = depth < kDepth ? depth : kDepth;
  int64_t panel = int64_t{row / part} * kBlockPanels + output / kPanel;
  return (panel * part + row % part) * kPanel + output % kPanel;
}

// Few rows take as long as weights from memory do: less, by a tenth, for one panel after another.
constexpr int panels_at_once(int rows) { return rows < 4 ? 1 : kKernelPanels; }

// One partial sum of a tile: out[r][o] = or += sum over d of in[r][d] * weights[d][o].
//
// in: blocks of 64 inputs, each [rows of all][64], `in_stride` floats apart.
// weights: [panels][64 * blocks][16]. out: [rows of all][64].
template <int kRows>
void multiply_tile(const float* in, int64_t in_stride, int blocks, const float* weights,
                   bool is_added, float* out) {
  constexpr int kVectors = panels_at_once(kRows) * kPanelVectors;
  const int64_t panel_stride = int64_t{blocks} * kBlock * kPanel;
  Vector sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int row = 0; row < kRows; row++)
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) sums[row][j] = all(0.0f);
  for (int block = 0; block < blocks; block++, in += in_stride) {
    const float* values = in;
    for (int d = 0; d < kBlock; d += 4, values += 4, weights += 4 * kPanel) {
#pragma GCC unroll 16
      for (int line = 0; line < (kRows + 3) / 4; line++)  // of the next tile; beyond the end: nothing
        __builtin_prefetch(in + kRows * kBlock + d * kRows + line * 16);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        Vector loaded[kVectors];
#pragma GCC unroll 16
        for (int j = 0; j < kVectors; j++)
          loaded[j] = load(weights + (j / kPanelVectors) * panel_stride + i * kPanel +
                           (j % kPanelVectors) * Vector::kWidth);
#pragma GCC unroll 16
        for (int row = 0; row < kRows; row++) {
          Vector value = all(values[row * kBlock + i]);
#pragma GCC unroll 16
          for (int j = 0; j < kVectors; j++) sums[row][j] = fused(value, loaded[j], sums[row][j]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int row = 0; row < kRows; row++)
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) {
      float* to = out + row * kBlock + j * Vector::kWidth;
      store(to, is_added ? load(to) + sums[row][j] : sums[row][j]);
    }
}

using Tile = void (*)(const float*, int64_t, int, const float*, bool, float*);
template <int... kRows>
constexpr std::array<Tile, sizeof...(kRows)> tiles(std::integer_sequence<int, kRows...>) {
  return {multiply_tile<kRows + 1>...};
}
constexpr auto kTiles = tiles(std::make_integer_sequence<int, kKernelRows>());  // of 1, 2, ... rows

// out[rows][64] = in * weights, for the 64 outputs of one block of packed weights.
//
// in: [depth / 64][rows][64], the blocks `in_stride` floats apart.
inline void multiply(const float* in, int64_t in_stride, int rows, int depth, const float* weights,
                     float* out) {
  const int part = depth < kDepth ? depth : kDepth;
  const int blocks = part / kBlock;
  for (int d = 0; d < depth; d += part, in += blocks * in_stride) {
    for (int row = 0; row < rows; row += kKernelRows) {
      const int num = rows - row < kKernelRows ? rows - row : kKernelRows;
      for (int panel = 0; panel < kBlockPanels; panel += panels_at_once(num))
        kTiles[num - 1](in + int64_t{row} * kBlock, in_stride, blocks,
                        weights + int64_t{part} * panel * kPanel, d > 0,
                        out + int64_t{row} * kBlock + panel * kPanel);
    }
    weights += int64_t{part} * kBlock;
  }
}

}  // namespace
