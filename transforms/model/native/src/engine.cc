// The engine behind a plain C interface, compiled once for each instruction set (setup.py).
//
// A batch of up to 128 rows passes through in four steps, each shared by threads: front end and
// convolutions in chunks of up to 16 rows, which go depth-first through all layers so that little
// leaves the caches, and then each dense layer in blocks of 64 outputs.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "dense.h"
#include "first_layer.h"
#include "floating_point.h"
#include "front_end.h"
#include "kernel.h"
#include "memory.h"
#include "network.h"
#include "threads.h"
#include "vector.h"
#include "winograd.h"

namespace {

// To be changed whenever bits of rows may change, or the packed weights; library.py has the same.
constexpr char kVersion[] = "1";

// ---- Packed weights: one file for all instruction sets, in floats from its start ----

constexpr const Convolution* kConvolutions[] = {&kConv2, &kConv3_1, &kConv3_2, &kConv4_1, &kConv4_2};
constexpr const Dense* kDenseLayers[] = {&kFc1_1, &kFc1_2, &kFc2};

// Each part begins at a page of memory.
constexpr int64_t aligned(int64_t floats) { return (floats + 1023) / 1024 * 1024; }

// Where each layer's weights and biases are: 0 to 5 convolutions, 6 to 8 dense layers.
struct Layout {
  int64_t weights[9], biases[9], size = 0;
  constexpr Layout() : weights(), biases() {
    add(0, 9 * kConv1.outputs, kConv1.outputs);
    for (int i = 0; i < 5; i++)
      add(1 + i, packed_size(*kConvolutions[i]), kConvolutions[i]->outputs);
    for (int i = 0; i < 3; i++) add(6 + i, packed_size(*kDenseLayers[i]), kDenseLayers[i]->outputs);
  }
  constexpr void add(int layer, int64_t num_weights, int64_t num_biases) {
    weights[layer] = size;
    biases[layer] = weights[layer] + aligned(num_weights);
    size = biases[layer] + aligned(num_biases);
  }
};
constexpr Layout kLayout;

// variables: weights and biases of conv1, conv2, conv3_1, ..., fc2, in turn, as TensorFlow has them.
void pack(const float* const* variables, float* packed, int threads) {
  const Call call(threads);
  std::memcpy(packed, variables[0], 9 * kConv1.outputs * sizeof(float));
  std::memcpy(packed + kLayout.biases[0], variables[1], kConv1.outputs * sizeof(float));
  for (int i = 0; i < 5; i++) {
    const Convolution& layer = *kConvolutions[i];
    constexpr int kInputs = 8;
    run(call, threads, layer.inputs / kInputs, [&](int, int piece) {
      pack_inputs(layer, variables[2 + 2 * i], piece * kInputs, (piece + 1) * kInputs,
                  packed + kLayout.weights[1 + i]);
    });
    std::memcpy(packed + kLayout.biases[1 + i], variables[3 + 2 * i],
                layer.outputs * sizeof(float));
  }
  for (int i = 0; i < 3; i++) {
    const Dense& layer = *kDenseLayers[i];
    run(call, threads, layer.outputs / kBlock, [&](int, int block) {
      pack_block(layer, variables[12 + 2 * i], block, packed + kLayout.weights[6 + i]);
    });
    std::memcpy(packed + kLayout.biases[6 + i], variables[13 + 2 * i],
                layer.outputs * sizeof(float));
  }
}

// ---- Memory of a thread: 20 MB, and of a call: 10 MB ----

// The padded planes that a convolution reads.
struct Planes {
  int rows;
  Convolution layer;
  constexpr int64_t y() const { return int64_t{layer.width + 2} * layer.inputs; }
  constexpr int64_t row() const { return (layer.height + 2) * y(); }
  constexpr int64_t size() const { return aligned(rows * row()); }
};
constexpr int kPair = 2;  // rows that pass through conv3 together, so that a pass has 48 tiles
constexpr Planes kPlanes[] = {{1, kConv1},     {1, kConv2},          {kChunkRows, kConv3_1},
                              {kPair, kConv3_2}, {kChunkRows, kConv4_1}, {kChunkRows, kConv4_2}};
constexpr int64_t kTransformedSize = std::max(
    {transformed_size(kConv2, 1), transformed_size(kConv3_1, kPair),
     transformed_size(kConv3_2, kPair), transformed_size(kConv4_1, kChunkRows),
     transformed_size(kConv4_2, kChunkRows)});
constexpr int64_t kProductsSize =
    std::max({products_size(kConv2, 1), products_size(kConv3_1, kPair),
              products_size(kConv4_1, kChunkRows)});

constexpr int64_t planes_size() {
  int64_t size = 0;
  for (const Planes& planes : kPlanes) size += planes.size();
  return size;
}

// Of a thread. Borders of planes are zero when the memory is new, and nothing writes them.
struct Scratch {
  Memory memory{planes_size() + aligned(kTransformedSize) + aligned(kProductsSize)};
  float* planes[6];
  float* transformed;
  float* products;

  Scratch() {
    float* next = memory.first();
    for (int i = 0; i < 6; i++) {
      planes[i] = next;
      next += kPlanes[i].size();
    }
    transformed = next;
    products = transformed + aligned(kTransformedSize);
  }

  // The planes that layer i reads, from the border's corner, or from the first pixel.
  Rows corner(int i, int row = 0) const {
    return {planes[i] + row * kPlanes[i].row(), kPlanes[i].row(), kPlanes[i].y(),
            kPlanes[i].layer.inputs, kBlock};
  }
  Rows inside(int i, int row = 0) const {
    Rows rows = corner(i, row);
    rows.first += rows.y + rows.x;
    return rows;
  }
};

// Of a call: what the dense layers read, [inputs / 64][rows][64].
struct Batch {
  Memory memory{int64_t{kBatchRows} * (kFc1_1.inputs + kFc1_2.inputs + kFc2.inputs + kFc2.outputs)};
  float* features = memory.first();
  float* hidden1 = features + int64_t{kBatchRows} * kFc1_1.inputs;
  float* hidden2 = hidden1 + int64_t{kBatchRows} * kFc1_2.inputs;
  float* rows = hidden2 + int64_t{kBatchRows} * kFc2.inputs;
};

// ---- The network ----

bool is_finite(const float* samples) {
  for (int i = 0; i < kPatchSamples; i++)
    if (!std::isfinite(samples[i])) return false;
  return true;
}

class Engine {
 public:
  explicit Engine(const float* packed) : packed_(packed) {}

  void embed(const float* patches, int64_t rows, int threads, float* out) {
    const Call call(threads);
    for (int64_t row = 0; row < rows; row += kBatchRows)
      embed_batch(call, patches + row * kPatchSamples,
                  static_cast<int>(std::min<int64_t>(rows - row, kBatchRows)),
                  out + row * kFc2.outputs);
  }

 private:
  const float* weights(int layer) const { return packed_ + kLayout.weights[layer]; }
  const float* biases(int layer) const { return packed_ + kLayout.biases[layer]; }

  void embed_batch(const Call& call, const float* patches, int rows, float* out) {
    // All memory is taken here: on the threads nothing can fail.
    const int chunk =
        std::min(kChunkRows, (rows + call.max_threads() - 1) / call.max_threads());
    const int chunks = (rows + chunk - 1) / chunk;
    std::unique_ptr<Batch> batch = batches_.take();
    std::vector<std::unique_ptr<Scratch>> scratch;
    for (int i = std::min(call.share(), chunks); i > 0; i--) scratch.push_back(scratch_.take());
    run(call, static_cast<int>(scratch.size()), chunks, [&](int thread, int piece) {
      const int first = piece * chunk;
      convolve_rows(*scratch[thread], patches + int64_t{first} * kPatchSamples,
                    std::min(chunk, rows - first), batch->features, first, rows);
    });
    for (auto& each : scratch) scratch_.give_back(std::move(each));
    const auto apply = [&](int layer, const Dense& dense, const float* in, float* to) {
      run(call, call.share(), dense.outputs / kBlock, [&](int, int block) {
        apply_block(dense, weights(layer), biases(layer), block, in, rows, to);
      });
    };
    apply(6, kFc1_1, batch->features, batch->hidden1);
    apply(7, kFc1_2, batch->hidden1, batch->hidden2);
    apply(8, kFc2, batch->hidden2, batch->rows);
    for (int row = 0; row < rows; row++)
      finish_row(patches + int64_t{row} * kPatchSamples, batch->rows, row, rows,
                 out + int64_t{row} * kFc2.outputs);
    batches_.give_back(std::move(batch));
  }

  // Writes the features of some rows, which are `first` and the next of all rows.
  void convolve_rows(const Scratch& scratch, const float* patches, int rows, float* features,
                     int first, int all_rows) const {
    const auto convolve_layer = [&](int i, const Convolution& layer, const Rows& in,
                                    const Rows& out, int num) {
      (layer.is_pooled ? convolve<true> : convolve<false>)(layer, weights(i), biases(i), in, out,
                                                           num, scratch.transformed,
                                                           scratch.products);
    };
    for (int row = 0; row < rows; row++) {
      front_end.log_mel(patches + int64_t{row} * kPatchSamples, scratch.inside(0).first,
                        kLogMelStride);
      const Rows planes = scratch.inside(1);
      convolve_first(scratch.planes[0], weights(0), biases(0), planes.first, planes.y, planes.x);
      convolve_layer(1, kConv2, scratch.corner(1), scratch.inside(2, row), 1);
    }
    for (int row = 0; row < rows; row += kPair) {
      const int num = std::min(kPair, rows - row);
      convolve_layer(2, kConv3_1, scratch.corner(2, row), scratch.inside(3), num);
      convolve_layer(3, kConv3_2, scratch.corner(3), scratch.inside(4, row), num);
    }
    convolve_layer(4, kConv4_1, scratch.corner(4), scratch.inside(5), rows);
    // Pixels [6, 4, 512] become features in blocks of 64.
    const int64_t block = int64_t{all_rows} * kBlock, x = kConv4_2.outputs / kBlock * block;
    const Rows out{features + int64_t{first} * kBlock, kBlock, kConv4_2.width / 2 * x, x, block};
    convolve_layer(5, kConv4_2, scratch.corner(5), out, rows);
  }

  // The same NaN everywhere, for CPUs differ in its sign; and for a patch that has no meaning.
  static void finish_row(const float* patch, const float* blocks, int row, int rows, float* out) {
    const bool has_meaning = is_finite(patch);
    for (int c = 0; c < kFc2.outputs; c++) {
      const float value = blocks[(int64_t{c / kBlock} * rows + row) * kBlock + c % kBlock];
      out[c] = has_meaning && value == value ? value : std::numeric_limits<float>::quiet_NaN();
    }
  }

  const float* packed_;
  Kept<Batch> batches_;
  Kept<Scratch> scratch_;
};

enum Status { kDone = 0, kOutOfMemory = 1, kFailed = 2 };

template <class Work>
Status guarded(const Work& work) {
  const FloatingPointState state;
  try {
    work();
    return kDone;
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  } catch (...) {
    return kFailed;
  }
}

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED const char* vggish_version() { return kVersion; }
EXPORTED const char* vggish_instructions() { return kInstructions; }

// Bytes of packed weights.
EXPORTED int64_t vggish_packed_bytes() { return kLayout.size * sizeof(float); }

// Writes packed weights to zeroed memory of vggish_packed_bytes(). variables: 18 pointers.
EXPORTED int vggish_pack(const float* const* variables, float* packed, int threads) {
  return guarded([&] { pack(variables, packed, threads); });
}

// A sum of 64-bit words and of its own values, in 8 lanes: it notices words that changed, moved or
// are missing, at the speed of memory.
EXPORTED uint64_t vggish_checksum(const void* memory, int64_t bytes) {
  constexpr int kSums = 8;
  typedef uint64_t Sums __attribute__((vector_size(kSums * sizeof(uint64_t))));
  Sums sum{}, sums{};
  for (int64_t i = 0; i + int64_t{sizeof(Sums)} <= bytes; i += sizeof(Sums)) {
    Sums words;
    std::memcpy(&words, static_cast<const char*>(memory) + i, sizeof(Sums));
    sum += words;
    sums += sum;
  }
  uint64_t checksum = 0;
  for (int i = 0; i < kSums; i++) checksum = (checksum * 31 + sum[i]) * 31 + sums[i];
  return checksum;
}

// An engine over packed weights, which have to stay; null without memory.
EXPORTED void* vggish_open(const float* packed) { return new (std::nothrow) Engine(packed); }
EXPORTED void vggish_close(void* engine) { delete static_cast<Engine*>(engine); }

// patches [rows, 15600] to out [rows, 128], on up to `threads` threads. Any number of calls may run
// at the same time. A patch that is not finite has a row of NaN.
EXPORTED int vggish_embed(void* engine, const float* patches, int64_t rows, int threads,
                          float* out) {
  return guarded([&] { static_cast<Engine*>(engine)->embed(patches, rows, threads, out); });
}

// patches [rows, 15600] to out [rows, 96, 64].
EXPORTED int vggish_log_mel(const float* patches, int64_t rows, float* out) {
  return guarded([&] {
    for (int64_t row = 0; row < rows; row++) {
      const float* patch = patches + row * kPatchSamples;
      float* to = out + row * kFrames * kMelBands;
      front_end.log_mel(patch, to, kMelBands);
      if (!is_finite(patch))
        std::fill_n(to, kFrames * kMelBands, std::numeric_limits<float>::quiet_NaN());
    }
  });
}
