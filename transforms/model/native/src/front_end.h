// The front end: log-mel spectrograms, in float64 like the release (1.5 % of the time).
//
// Four frames are computed at once, one in each lane. A frame of 512 real samples is a complex FFT
// of 256. Tables come from an own sine and logarithm, because libraries differ in the last bit.
#pragma once
#include <cstring>

#include "floating_point.h"
#include "network.h"

namespace {

constexpr int kLanes = 4;
typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double))));
typedef int64_t IntegerLanes __attribute__((vector_size(kLanes * sizeof(int64_t))));

constexpr int kFft = kFftSamples / 2;
constexpr int kBins = kFft + 1;

inline Lanes square_root(Lanes a) {
#if defined(__AVX__)
  return (Lanes)_mm256_sqrt_pd((__m256d)a);
#else
  for (int lane = 0; lane < kLanes; lane++) a[lane] = __builtin_sqrt(a[lane]);
  return a;
#endif
}

// The natural logarithm of normal numbers > 0: 2 atanh((m - 1) / (m + 1)) + e ln 2 for a = m 2^e and
// m in [sqrt(1/2), sqrt(2)). The series ends below the rounding of float64's last bit but one.
inline Lanes logarithm(Lanes a) {
  const IntegerLanes bits = (IntegerLanes)a;
  const IntegerLanes exponent = (bits - 0x3FE6A09E667F3BCD) >> 52;
  const Lanes mantissa = (Lanes)(bits - (exponent << 52));
  const Lanes ratio = (mantissa - 1.0) / (mantissa + 1.0), square = ratio * ratio;
  Lanes sum = square * (1.0 / 21) + 1.0 / 19;
  for (int k = 17; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  Lanes exponents;
  for (int lane = 0; lane < kLanes; lane++) exponents[lane] = static_cast<double>(exponent[lane]);
  return exponents * 0.69314718055994530942 + 2.0 * ratio * sum;
}

struct Angle {
  double cosine, sine;
};

// The cosine and sine of 2 pi i / n for 0 <= i <= n and n divisible by 8: Taylor series on an octant.
inline Angle angle(int i, int n) {
  const int octant = i * 8 / n;
  int within = i - octant * n / 8;
  if (octant & 1) within = n / 8 - within;
  const double x = 6.283185307179586476925 * within / n, square = x * x;
  double sine = 1, cosine = 1;
  for (int k = 20; k >= 2; k -= 2) {
    sine = 1 - square / (k * (k + 1)) * sine;
    cosine = 1 - square / (k * (k - 1)) * cosine;
  }
  sine *= x;
  switch (octant & 7) {
    case 0: return {cosine, sine};
    case 1: return {sine, cosine};
    case 2: return {-sine, cosine};
    case 3: return {-cosine, sine};
    case 4: return {-cosine, -sine};
    case 5: return {-sine, -cosine};
    case 6: return {sine, -cosine};
    default: return {cosine, -sine};
  }
}

class FrontEnd {
 public:
  FrontEnd() {
    const FloatingPointState state;
    for (int i = 0; i < kWindowSamples; i++)  // periodic Hann
      window_[i] = 0.5 - 0.5 * angle(i, kWindowSamples).cosine;
    for (int i = 0; i < kFft; i++) fft_[i] = angle(i, kFft);
    for (int i = 0; i < kBins; i++) real_[i] = angle(i, kFftSamples);
    for (int i = 0; i < kFft; i++)  // the four digits of base 4 in reverse
      order_[i] = (i & 3) << 6 | (i >> 2 & 3) << 4 | (i >> 4 & 3) << 2 | i >> 6;
    const double first = mel(kMelMinHz), step = (mel(kMelMaxHz) - first) / (kMelBands + 1);
    for (int bin = 1; bin < kBins; bin++) {  // without that of a constant, as in the release
      const double bands = (mel(bin * (double(kSampleRateHz) / kFftSamples)) - first) / step;
      if (bands <= 0 || bands >= kMelBands + 1) continue;
      if (!num_bins_) first_bin_ = bin;
      const int band = static_cast<int>(bands);
      bins_[num_bins_++] = {band, 1 - (bands - band), bands - band};
    }
  }

  // Writes the log-mel [96, 64] of a patch of 15,600 samples.
  void log_mel(const float* samples, float* out, int out_stride) const {
    for (int frame = 0; frame < kFrames; frame += kLanes) {
      Lanes re[kFft], im[kFft], bands[kMelBands + 2] = {};
      window(samples + frame * kHopSamples, re, im);
      transform(re, im);
      add_magnitudes(re, im, bands);
      for (int band = 0; band < kMelBands; band++) {
        const Lanes value = logarithm(bands[band + 1] + kLogOffset);
        for (int lane = 0; lane < kLanes; lane++)
          out[(frame + lane) * out_stride + band] = static_cast<float>(value[lane]);
      }
    }
  }

 private:
  // A bin falls in one triangle and rises in the next: bands[band] and bands[band + 1], of which
  // the first and the last are not used.
  struct Bin {
    int band;
    double falling, rising;
  };

  static double mel(double hz) { return 1127.0 * logarithm(Lanes{} + (1.0 + hz / 700.0))[0]; }

  // Even samples become real parts and odd ones imaginary parts, with zeros behind the window.
  void window(const float* samples, Lanes* re, Lanes* im) const {
    for (int i = 0; i < kWindowSamples / 2; i++) {
      Lanes even, odd;
      for (int lane = 0; lane < kLanes; lane++) {
        even[lane] = samples[lane * kHopSamples + 2 * i];
        odd[lane] = samples[lane * kHopSamples + 2 * i + 1];
      }
      re[i] = even * window_[2 * i];
      im[i] = odd * window_[2 * i + 1];
    }
    for (int i = kWindowSamples / 2; i < kFft; i++) re[i] = im[i] = Lanes{};
  }

  // A complex FFT in place, radix 4, decimation in frequency; its result is in the order `order_`.
  void transform(Lanes* re, Lanes* im) const {
    for (int length = kFft; length >= 4; length /= 4) {
      const int quarter = length / 4, step = kFft / length;
      for (int j = 0; j < quarter; j++) {
        const Angle w1 = fft_[j * step], w2 = fft_[2 * j * step], w3 = fft_[3 * j * step];
        for (int a = j; a < kFft; a += length) {
          const int b = a + quarter, c = b + quarter, d = c + quarter;
          const Lanes even_re = re[a] + re[c], even_im = im[a] + im[c];
          const Lanes even_re2 = re[a] - re[c], even_im2 = im[a] - im[c];
          const Lanes odd_re = re[b] + re[d], odd_im = im[b] + im[d];
          const Lanes odd_re2 = re[b] - re[d], odd_im2 = im[b] - im[d];
          re[a] = even_re + odd_re;
          im[a] = even_im + odd_im;
          turn(even_re2 + odd_im2, even_im2 - odd_re2, w1, re[b], im[b]);
          turn(even_re - odd_re, even_im - odd_im, w2, re[c], im[c]);
          turn(even_re2 - odd_im2, even_im2 + odd_re2, w3, re[d], im[d]);
        }
      }
    }
  }

  // Multiplies by exp(-i angle).
  static void turn(const Lanes& re, const Lanes& im, Angle by, Lanes& out_re, Lanes& out_im) {
    out_re = re * by.cosine + im * by.sine;
    out_im = im * by.cosine - re * by.sine;
  }

  // Adds the magnitudes of the real FFT's bins to the bands.
  void add_magnitudes(const Lanes* re, const Lanes* im, Lanes* bands) const {
    for (int i = 0; i < num_bins_; i++) {
      const int bin = first_bin_ + i;
      const int here = order_[bin % kFft], mirrored = order_[(kFft - bin) % kFft];
      const Lanes even_re = (re[here] + re[mirrored]) * 0.5;
      const Lanes even_im = (im[here] - im[mirrored]) * 0.5;
      const Lanes odd_re = (im[here] + im[mirrored]) * 0.5;
      const Lanes odd_im = (re[mirrored] - re[here]) * 0.5;
      Lanes turned_re, turned_im;
      turn(odd_re, odd_im, real_[bin], turned_re, turned_im);
      const Lanes bin_re = even_re + turned_re, bin_im = even_im + turned_im;
      const Lanes magnitude = square_root(bin_re * bin_re + bin_im * bin_im);
      bands[bins_[i].band] += magnitude * bins_[i].falling;
      bands[bins_[i].band + 1] += magnitude * bins_[i].rising;
    }
  }

  double window_[kWindowSamples];
  Angle fft_[kFft], real_[kBins];
  int order_[kFft];
  Bin bins_[kBins];
  int first_bin_ = 0, num_bins_ = 0;
};

// Made when the library is loaded, so that no call finds it half made in a forked process.
const FrontEnd front_end;

}  // namespace
