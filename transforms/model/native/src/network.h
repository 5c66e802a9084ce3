// The published network and its front end: the VGGish release in tensorflow/models
// (research/audioset/vggish, Apache-2.0). Everything else here is how it is computed.
//
// Bits are a promise. Every value is one fixed sequence of IEEE 754 operations, whatever the vector
// width, the batch, the threads and the blocking:
// - vectors run over outputs, and nothing sums over the lanes of a vector;
// - multiply-adds are fused where the source says so (`fused`), and nowhere else
//   (-ffp-contract=off);
// - of a library, nothing is called: the front end's sine and logarithm use + - * / and sqrt only;
// - each thread sets its floating-point state (floating_point.h), because TensorFlow's threads
//   flush denormals.
#pragma once
#include <cstdint>

namespace {

// vggish_params.py: 25 ms windows every 10 ms of audio at 16 kHz, 96 of them in a patch.
constexpr int kSampleRateHz = 16'000;
constexpr int kWindowSamples = 400;
constexpr int kHopSamples = 160;
constexpr int kFftSamples = 512;
constexpr int kFrames = 96;
constexpr int kPatchSamples = (kFrames - 1) * kHopSamples + kWindowSamples;  // 15,600
constexpr int kMelBands = 64;
constexpr double kMelMinHz = 125.0;
constexpr double kMelMaxHz = 7'500.0;
constexpr double kLogOffset = 0.01;

// A convolution of 3x3 with zero padding, then biases and ReLU, then perhaps the largest of 2x2.
struct Convolution {
  int height, width, inputs, outputs;
  bool is_pooled;
};
constexpr Convolution kConv1{96, 64, 1, 64, true};
constexpr Convolution kConv2{48, 32, 64, 128, true};
constexpr Convolution kConv3_1{24, 16, 128, 256, false};
constexpr Convolution kConv3_2{24, 16, 256, 256, true};
constexpr Convolution kConv4_1{12, 8, 256, 512, false};
constexpr Convolution kConv4_2{12, 8, 512, 512, true};  // to 6x4 pixels of 512 channels

// A dense layer: biases, and ReLU except after the last.
struct Dense {
  int inputs, outputs;
  bool has_relu;
};
constexpr Dense kFc1_1{12'288, 4'096, true};
constexpr Dense kFc1_2{4'096, 4'096, true};
constexpr Dense kFc2{4'096, 128, false};

// Channels are kept in blocks of 64, and weights in panels of 16 outputs: the widest vector.
// 256 products make one partial sum; partial sums are added in their order.
constexpr int kBlock = 64;
constexpr int kPanel = 16;
constexpr int kDepth = 256;

// Rows that pass through the convolutions together on one thread, and through the dense layers.
constexpr int kChunkRows = 16;
constexpr int kBatchRows = 128;

}  // namespace
