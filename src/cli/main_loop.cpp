#include "cli/main_loop.hpp"

#include "async/task_group.hpp"
#include "cli/app.hpp"

namespace tacit::cli {

int run_main(async::Runtime& runtime, const std::function<Task<int>()>& main) {
  int result = kExitFailure;
  async::TaskGroup group{runtime.shard(0).io.get_executor()};
  const auto task = [&]() -> Task<> {
    result = co_await main();
    runtime.stop();
  };
  group.spawn(task());
  runtime.run();
  return result;
}

}  // namespace tacit::cli
