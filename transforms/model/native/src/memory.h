// Memory that calls need for a while. It is kept for the next call, because taking it from the
// system anew costs 5 ms, which is a fifth of a row alone.
#pragma once
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>

namespace {

// Zeroed floats of the system.
class Memory {
 public:
  explicit Memory(int64_t floats) : bytes_(floats * sizeof(float)) {
    void* memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes_, MADV_HUGEPAGE);  // 2 % of the time; where it fails, it does not matter
#endif
    first_ = static_cast<float*>(memory);
  }
  ~Memory() { munmap(first_, bytes_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  float* first() const { return first_; }

 private:
  size_t bytes_;
  float* first_;
};

// Things that no call uses just now. Without a lock, so that a fork can leave none behind.
template <class Thing>
class Kept {
 public:
  Kept() = default;
  ~Kept() {
    for (auto& slot : slots_) delete slot.load();
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  // Returns a kept thing, or a new one; throws std::bad_alloc.
  std::unique_ptr<Thing> take() {
    for (auto& slot : slots_)
      if (Thing* thing = slot.exchange(nullptr)) return std::unique_ptr<Thing>(thing);
    return std::make_unique<Thing>();
  }

  void give_back(std::unique_ptr<Thing> thing) {
    for (auto& slot : slots_) {
      Thing* none = nullptr;
      if (slot.compare_exchange_strong(none, thing.get())) {
        thing.release();
        return;
      }
    }
  }  // all slots are taken: freed

 private:
  std::array<std::atomic<Thing*>, 64> slots_{};
};

}  // namespace
