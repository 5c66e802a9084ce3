// Threads that are made for a call and joined in it: nothing survives a fork or an exit of Python.
// Starting one takes 20 us; a row takes 4 to 8 ms.
#pragma once
#include <pthread.h>

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "floating_point.h"

namespace {

std::atomic<int> calls_running{0};
// The calls of a parent process go on in the parent only.
const int at_fork_registered = pthread_atfork(nullptr, nullptr, [] { calls_running = 0; });

// Counts a call for as long as it lasts. Calls at the same time share the cores.
class Call {
 public:
  explicit Call(int max_threads) : max_threads_(max_threads < 1 ? 1 : max_threads) {
    calls_running.fetch_add(1);
  }
  ~Call() { calls_running.fetch_sub(1); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  int max_threads() const { return max_threads_; }
  int share() const {
    const int calls = calls_running.load(std::memory_order_relaxed);
    const int share = calls > 1 ? max_threads_ / calls : max_threads_;
    return share < 1 ? 1 : share;
  }

 private:
  int max_threads_;
};

// Runs work(thread, piece) for each piece, on this thread and on up to `threads` - 1 others that are
// started for it.
//
// When other calls begin, threads beyond this call's share end after their piece. The result must
// not depend on which thread runs a piece. `work` must not throw.
template <class Work>
void run(const Call& call, int threads, int pieces, const Work& work) {
  std::atomic<int> next{0};
  const auto run_thread = [&](int thread) {
    const FloatingPointState state;
    while (thread < call.share()) {
      const int piece = next.fetch_add(1, std::memory_order_relaxed);
      if (piece >= pieces) break;
      work(thread, piece);
    }
  };
  if (threads > pieces) threads = pieces;
  std::vector<std::thread> started;
  started.reserve(threads);
  try {
    for (int thread = 1; thread < threads; thread++) started.emplace_back(run_thread, thread);
  } catch (const std::exception&) {  // a limit of the system, or no memory: fewer will do
  }
  run_thread(0);
  for (std::thread& thread : started) thread.join();
}

}  // namespace
