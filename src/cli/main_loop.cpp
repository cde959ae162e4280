#include "cli/main_loop.hpp"

#include "async/task_group.hpp"
#include "cli/app.hpp"

namespace tacit::cli {

namespace {

Task<> run_then_stop(const std::function<Task<int>()>& main, async::Runtime& runtime, int& result) {
  result = co_await main();
  runtime.stop();
}

}  // namespace

int run_main(async::Runtime& runtime, const std::function<Task<int>()>& main) {
  int result = kExitFailure;
  async::TaskGroup group{runtime.shard(0).io.get_executor()};
  group.spawn(run_then_stop(main, runtime, result));
  runtime.run();
  return result;
}

}  // namespace tacit::cli
