// The floating-point state of a thread: rounding to nearest, denormals kept, nothing trapped.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

// Sets the state for a scope and restores the caller's, such as that of a thread of TensorFlow,
// which flushes denormals to zero. New threads inherit the state of the one that starts them.
class FloatingPointState {
 public:
  FloatingPointState() : callers_(read()) { write(kIeee); }
  ~FloatingPointState() { write(callers_); }
  FloatingPointState(const FloatingPointState&) = delete;
  FloatingPointState& operator=(const FloatingPointState&) = delete;

 private:
#if defined(__x86_64__)
  using State = unsigned;
  static constexpr State kIeee = 0x1F80;  // MXCSR after a reset
  static State read() { return _mm_getcsr(); }
  static void write(State state) { _mm_setcsr(state); }
#elif defined(__aarch64__)
  using State = uint64_t;
  static constexpr State kIeee = 0;
  static State read() {
    State state;
    asm volatile("mrs %0, fpcr" : "=r"(state));
    return state;
  }
  static void write(State state) { asm volatile("msr fpcr, %0" ::"r"(state) : "memory"); }
#endif
  State callers_;
};

}  // namespace
