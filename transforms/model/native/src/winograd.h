// Convolutions of 3x3 by Winograd's F(4x4, 3x3): 36 products give 16 outputs, which take 144
// directly. VGGish needs 269 M multiplications a row instead of 864 M.
//
// The points 0, +-3/4, +-3/2 and infinity: with them the largest error is 3.3e-6 of a row's standard
// deviation (TensorFlow's own: 1.9e-6 to 4.1e-6), with 0, +-1, +-2 it is 5.6e-6, and all constants
// are exact in float32. Weights are transformed in float64, once, and rounded once. Of larger tiles,
// F(6x4) was as fast and less accurate. All layers divide into tiles of 4x4.
#pragma once
#include "kernel.h"
#include "network.h"
#include "vector.h"

namespace {

constexpr int kTile = 4;
constexpr int kPoints = kTile + 2;
constexpr int kPositions = kPoints * kPoints;
constexpr double kA = 0.75;
constexpr double kB = 1.5;
// The 36 positions of a tile would share few sets of the first-level cache without it.
constexpr int kPadding = 80;

constexpr int num_tiles(const Convolution& layer) {
  return layer.height / kTile * (layer.width / kTile);
}

// Where a layer's rows are: each stride in floats. `channels` is that of blocks of 64.
struct Rows {
  float* first;
  int64_t row, y, x, channels;
};

// ---- Weights ----

// The matrix G of a tile's weights, [6, 3]: (1, x, x^2) over the product of differences of points.
inline void weight_matrix(double matrix[kPoints][3]) {
  const double points[] = {0, kA, -kA, kB, -kB};
  for (int i = 0; i < kPoints - 1; i++) {
    double product = 1;
    for (int j = 0; j < kPoints - 1; j++)
      if (j != i) product *= points[i] - points[j];
    matrix[i][0] = 1 / product;
    matrix[i][1] = points[i] / product;
    matrix[i][2] = points[i] * points[i] / product;
  }
  matrix[kPoints - 1][0] = matrix[kPoints - 1][1] = 0;
  matrix[kPoints - 1][2] = 1;
}

constexpr int64_t packed_size(const Convolution& layer) {
  return int64_t{kPositions} * layer.inputs * layer.outputs;
}

// Transforms weights [3, 3, inputs, outputs] of some inputs to [outputs / 64][36][packed matrix].
inline void pack_inputs(const Convolution& layer, const float* weights, int first, int last,
                        float* packed) {
  double matrix[kPoints][3];
  weight_matrix(matrix);
  for (int input = first; input < last; input++)
    for (int output = 0; output < layer.outputs; output++) {
      double half[kPoints][3];
      for (int x = 0; x < 3; x++) {
        double column[3];
        for (int y = 0; y < 3; y++)
          column[y] = weights[(int64_t{y * 3 + x} * layer.inputs + input) * layer.outputs + output];
        for (int i = 0; i < kPoints; i++)
          half[i][x] = matrix[i][0] * column[0] + matrix[i][1] * column[1] + matrix[i][2] * column[2];
      }
      float* block = packed + int64_t{output / kBlock} * kPositions * layer.inputs * kBlock +
                     packed_position(layer.inputs, input, output % kBlock);
      for (int i = 0; i < kPoints; i++)
        for (int j = 0; j < kPoints; j++)
          block[int64_t{i * kPoints + j} * layer.inputs * kBlock] =
              static_cast<float>(matrix[j][0] * half[i][0] + matrix[j][1] * half[i][1] +
                                 matrix[j][2] * half[i][2]);
    }
}

// ---- Transforms of a tile, in one dimension ----

inline void transform_inputs(const Vector in[kPoints], Vector out[kPoints]) {
  constexpr double kA2 = kA * kA, kB2 = kB * kB;
  const Vector product = all(kA2 * kB2), sum = all(-(kA2 + kB2));
  out[0] = fused(product, in[0], fused(sum, in[2], in[4]));
  out[5] = fused(product, in[1], fused(sum, in[3], in[5]));
  Vector even = fused(all(-kB2), in[2], in[4]);
  Vector odd = fused(all(-kB2), in[1], in[3]) * all(kA);
  out[1] = even + odd;
  out[2] = even - odd;
  even = fused(all(-kA2), in[2], in[4]);
  odd = fused(all(-kA2), in[1], in[3]) * all(kB);
  out[3] = even + odd;
  out[4] = even - odd;
}

inline void transform_outputs(const Vector in[kPoints], Vector out[kTile]) {
  const Vector even_a = in[1] + in[2], odd_a = in[1] - in[2];
  const Vector even_b = in[3] + in[4], odd_b = in[3] - in[4];
  out[0] = in[0] + even_a + even_b;
  out[1] = fused(all(kB), odd_b, all(kA) * odd_a);
  out[2] = fused(all(kB * kB), even_b, all(kA * kA) * even_a);
  out[3] = fused(all(kB * kB * kB), odd_b, fused(all(kA * kA * kA), odd_a, in[5]));
}

// ---- A layer ----

// Writes the 36 positions of one tile: to[position][64 of the channels at a time].
inline void transform_tile(const float* from, int64_t y_stride, int64_t x_stride, int channels,
                           float* to, int64_t position_stride, int64_t channels_stride) {
  for (int c = 0; c < channels; c += Vector::kWidth) {
    Vector half[kPoints][kPoints];
#pragma GCC unroll 6
    for (int x = 0; x < kPoints; x++) {
      Vector in[kPoints], out[kPoints];
#pragma GCC unroll 6
      for (int y = 0; y < kPoints; y++) in[y] = load(from + y * y_stride + x * x_stride + c);
      transform_inputs(in, out);
#pragma GCC unroll 6
      for (int y = 0; y < kPoints; y++) half[y][x] = out[y];
    }
    float* first = to + c / kBlock * channels_stride + c % kBlock;
#pragma GCC unroll 6
    for (int y = 0; y < kPoints; y++) {
      Vector out[kPoints];
      transform_inputs(half[y], out);
#pragma GCC unroll 6
      for (int x = 0; x < kPoints; x++)
        store(first + (y * kPoints + x) * position_stride, out[x]);
    }
  }
}

// Turns the 36 products of one tile into its pixels, with biases, pool and ReLU, for 64 channels.
// The largest of four, then the bias, is the same value as the other way round.
template <bool kIsPooled>
void finish_tile(const float* products, int64_t position_stride, const float* biases, float* to,
                 int64_t y_stride, int64_t x_stride) {
  for (int c = 0; c < kBlock; c += Vector::kWidth) {
    Vector half[kTile][kPoints], pixels[kTile][kTile];
#pragma GCC unroll 6
    for (int x = 0; x < kPoints; x++) {
      Vector in[kPoints], out[kTile];
#pragma GCC unroll 6
      for (int y = 0; y < kPoints; y++)
        in[y] = load(products + (y * kPoints + x) * position_stride + c);
      transform_outputs(in, out);
#pragma GCC unroll 4
      for (int y = 0; y < kTile; y++) half[y][x] = out[y];
    }
#pragma GCC unroll 4
    for (int y = 0; y < kTile; y++) transform_outputs(half[y], pixels[y]);
    const Vector bias = load(biases + c);
    constexpr int kStep = kIsPooled ? 2 : 1;
#pragma GCC unroll 4
    for (int y = 0; y < kTile; y += kStep)
#pragma GCC unroll 4
      for (int x = 0; x < kTile; x += kStep) {
        Vector pixel = pixels[y][x];
        if constexpr (kIsPooled)
          pixel = larger(larger(pixel, pixels[y][x + 1]),
                         larger(pixels[y + 1][x], pixels[y + 1][x + 1]));
        store(to + y / kStep * y_stride + x / kStep * x_stride + c, relu(pixel + bias));
      }
  }
}

// Floats of the scratch memory of `convolve`.
constexpr int64_t transformed_size(const Convolution& layer, int rows) {
  return kPositions * (int64_t{rows} * num_tiles(layer) * layer.inputs + kPadding);
}
constexpr int64_t products_size(const Convolution& layer, int rows) {
  return kPositions * (int64_t{rows} * num_tiles(layer) * kBlock + kPadding);
}

// Computes a layer for some rows.
//
// in: planes with a border of zeros, from the border's corner. out: from the first pixel.
template <bool kIsPooled>
void convolve(const Convolution& layer, const float* weights, const float* biases, const Rows& in,
              const Rows& out, int rows, float* transformed, float* products) {
  const int across = layer.width / kTile, tiles_per_row = num_tiles(layer);
  const int tiles = rows * tiles_per_row;
  const int64_t in_stride = int64_t{tiles} * kBlock;
  const int64_t transformed_stride = int64_t{tiles} * layer.inputs + kPadding;
  const int64_t products_stride = in_stride + kPadding;
  constexpr int kOut = kIsPooled ? kTile / 2 : kTile;
  for (int tile = 0; tile < tiles; tile++) {
    const int row = tile / tiles_per_row, y = tile % tiles_per_row / across, x = tile % across;
    transform_tile(in.first + row * in.row + y * kTile * in.y + x * kTile * in.x, in.y, in.x,
                   layer.inputs, transformed + int64_t{tile} * kBlock, transformed_stride, in_stride);
  }
  for (int block = 0; block < layer.outputs / kBlock; block++) {
    for (int position = 0; position < kPositions; position++) {
      multiply(transformed + position * transformed_stride, in_stride, tiles, layer.inputs, weights,
               products + position * products_stride);
      weights += int64_t{layer.inputs} * kBlock;
    }
    for (int tile = 0; tile < tiles; tile++) {
      const int row = tile / tiles_per_row, y = tile % tiles_per_row / across, x = tile % across;
      finish_tile<kIsPooled>(products + int64_t{tile} * kBlock, products_stride,
                             biases + block * kBlock,
                             out.first + block * out.channels + row * out.row + y * kOut * out.y +
                                 x * kOut * out.x,
                             out.y, out.x);
    }
  }
}

}  // namespace
