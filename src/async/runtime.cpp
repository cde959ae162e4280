#include "async/runtime.hpp"

#include <csignal>

namespace tacit::async {

namespace {

// noexcept on purpose: what escapes a coroutine is a bug, and std::terminate shows where.
void run_shard(Shard& shard) noexcept { shard.io.run(); }

}  // namespace

Runtime::Runtime(std::size_t num_shards) {
  // A peer that goes away must be an error of one write, never the end of the process. Sockets are
  // written with MSG_NOSIGNAL; this covers pipes.
  std::signal(SIGPIPE, SIG_IGN);
  if (num_shards == 0) num_shards = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < num_shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(i));
    guards_.push_back(asio::make_work_guard(shards_.back()->io));
  }
}

Runtime::~Runtime() {
  stop();
  join();
}

void Runtime::run() {
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    threads_.emplace_back([shard = shards_[i].get()] { run_shard(*shard); });
  }
  run_shard(*shards_[0]);
}

void Runtime::start() {
  for (auto& shard : shards_) threads_.emplace_back([it = shard.get()] { run_shard(*it); });
}

void Runtime::stop() {
  for (auto& shard : shards_) shard->io.stop();
}

void Runtime::join() {
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  threads_.clear();
}

}  // namespace tacit::async
