// A vector of floats of one instruction set. Each operation works lane by lane, rounded to nearest.
// `larger` is `a > b ? a : b` for NaN and zeros, too.
#pragma once
#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr char kInstructions[] = "avx512";
struct Vector {
  static constexpr int kWidth = 16;
  __m512 lanes;
};
inline Vector load(const float* from) { return {_mm512_loadu_ps(from)}; }
inline void store(float* to, Vector a) { _mm512_storeu_ps(to, a.lanes); }
inline Vector all(float value) { return {_mm512_set1_ps(value)}; }
inline Vector fused(Vector a, Vector b, Vector c) {  // a * b + c, rounded once
  return {_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)};
}
inline Vector larger(Vector a, Vector b) { return {_mm512_max_ps(a.lanes, b.lanes)}; }
// The micro kernel's tile: 12 rows x 2 panels are 24 of 32 registers.
constexpr int kKernelRows = 12;
constexpr int kKernelPanels = 2;
#elif defined(__AVX2__)
constexpr char kInstructions[] = "avx2";
struct Vector {
  static constexpr int kWidth = 8;
  __m256 lanes;
};
inline Vector load(const float* from) { return {_mm256_loadu_ps(from)}; }
inline void store(float* to, Vector a) { _mm256_storeu_ps(to, a.lanes); }
inline Vector all(float value) { return {_mm256_set1_ps(value)}; }
inline Vector fused(Vector a, Vector b, Vector c) {
  return {_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)};
}
inline Vector larger(Vector a, Vector b) { return {_mm256_max_ps(a.lanes, b.lanes)}; }
constexpr int kKernelRows = 6;  // x 1 panel: 12 of 16 registers
constexpr int kKernelPanels = 1;
#elif defined(__aarch64__)
constexpr char kInstructions[] = "neon";
struct Vector {
  static constexpr int kWidth = 4;
  float32x4_t lanes;
};
inline Vector load(const float* from) { return {vld1q_f32(from)}; }
inline void store(float* to, Vector a) { vst1q_f32(to, a.lanes); }
inline Vector all(float value) { return {vdupq_n_f32(value)}; }
inline Vector fused(Vector a, Vector b, Vector c) {
  return {vfmaq_f32(c.lanes, a.lanes, b.lanes)};
}
inline Vector larger(Vector a, Vector b) {  // vmaxq_f32 differs for NaN
  return {vbslq_f32(vcgtq_f32(a.lanes, b.lanes), a.lanes, b.lanes)};
}
constexpr int kKernelRows = 6;  // x 1 panel: 24 of 32 registers
constexpr int kKernelPanels = 1;
#else  // x86-64 with FMA3, but without AVX2
constexpr char kInstructions[] = "portable";
struct Vector {
  static constexpr int kWidth = 4;
  __m128 lanes;
};
inline Vector load(const float* from) { return {_mm_loadu_ps(from)}; }
inline void store(float* to, Vector a) { _mm_storeu_ps(to, a.lanes); }
inline Vector all(float value) { return {_mm_set1_ps(value)}; }
inline Vector fused(Vector a, Vector b, Vector c) {
  return {_mm_fmadd_ps(a.lanes, b.lanes, c.lanes)};
}
inline Vector larger(Vector a, Vector b) { return {_mm_max_ps(a.lanes, b.lanes)}; }
constexpr int kKernelRows = 3;  // x 1 panel: 12 of 16 registers
constexpr int kKernelPanels = 1;
#endif

inline Vector operator+(Vector a, Vector b) { return {a.lanes + b.lanes}; }
inline Vector operator-(Vector a, Vector b) { return {a.lanes - b.lanes}; }
inline Vector operator*(Vector a, Vector b) { return {a.lanes * b.lanes}; }

// NaN stays NaN, as in TensorFlow: of two operands that do not compare, `larger` is the second.
inline Vector relu(Vector a) { return larger(all(0.0f), a); }

}  // namespace
