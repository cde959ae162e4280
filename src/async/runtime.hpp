// Threads and event loops: one thread per shard, one io_context per thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "async/async.hpp"

namespace tacit::async {

// Shard is one event loop. Everything spawned on it runs on its single thread.
struct Shard {
  std::size_t index;
  asio::io_context io{1};  // one thread: no contention inside
};

// Runtime owns the shards and their threads.
class Runtime {
 public:
  // num_shards 0 means one per core.
  explicit Runtime(std::size_t num_shards = 0);
  ~Runtime();  // stop(), then join
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  std::size_t size() const noexcept { return shards_.size(); }
  Shard& shard(std::size_t index) noexcept { return *shards_[index]; }

  // Starts the threads of shards 1..n-1, and runs shard 0 on the calling thread until stop().
  // An exception that escapes a coroutine is a bug: it ends the process.
  void run();
  // Starts every shard on a thread of its own and returns. For tests and for callers with a loop.
  void start();
  // Ends all event loops; thread-safe; may be called more than once.
  void stop();
  // Waits for the threads to end.
  void join();

 private:
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::vector<std::thread> threads_;
};

}  // namespace tacit::async
