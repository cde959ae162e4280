// Runs one coroutine as the main task of a program.
#pragma once

#include <functional>

#include "async/runtime.hpp"

namespace tacit::cli {

// Runs `main` on shard 0 of `runtime` (on this thread) and returns its result once it has ended.
// The other shards run meanwhile.
int run_main(async::Runtime& runtime, const std::function<Task<int>()>& main);

}  // namespace tacit::cli
