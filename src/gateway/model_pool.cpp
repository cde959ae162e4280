#include "gateway/model_pool.hpp"

#include <map>
#include <mutex>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/task_group.hpp"
#include "async/wait.hpp"
#include "registry/local_file.hpp"

namespace tacit::gateway {

using WorkerPtr = std::shared_ptr<engine::Worker>;

namespace {

// What a failed load leaves behind: the same answer for a moment, instead of a loop of spawns.
constexpr Seconds kRetryAfterFailure{1};
constexpr Seconds kListInterval{2};

// One waiter for a load, on its own shard.
struct Waiter {
  explicit Waiter(asio::any_io_executor e) : executor{e}, signal{e} {}
  asio::any_io_executor executor;
  async::Signal signal;                      // used on `executor` only
  std::optional<Result<WorkerPtr>> outcome;  // likewise
};

}  // namespace

struct ModelPool::State : std::enable_shared_from_this<State> {
  State(async::Runtime& r, registry::Registry& reg, Logger& l, ModelPoolOptions o)
      : runtime{r},
        registry{reg},
        log{l},
        options{std::move(o)},
        tasks{r.shard(0).io.get_executor()} {}

  // One name; touched on shard 0 only.
  struct Slot {
    WorkerPtr worker;
    bool loading = false;
    std::vector<std::shared_ptr<Waiter>> waiters;
    std::optional<Error> error;
    SteadyTime failed_at{};
  };

  void request(const std::string& name, std::shared_ptr<Waiter> waiter);  // on shard 0
  Task<> load(std::string name);
  Async<WorkerPtr> start_worker(std::string name);
  Result<registry::Registry::Opened> open(const std::string& name);
  Task<> open_into(const std::string& name, std::optional<Result<registry::Registry::Opened>>& out);
  std::optional<std::filesystem::path> local_file(std::string_view name) const;
  void refresh_list();
  static void deliver(const std::shared_ptr<Waiter>& waiter, Result<WorkerPtr> outcome);

  async::Runtime& runtime;
  registry::Registry& registry;
  Logger& log;
  ModelPoolOptions options;
  async::TaskGroup tasks;
  asio::thread_pool blocking{1};  // hashing gigabytes must not stop a shard
  std::map<std::string, Slot, std::less<>> slots;
  bool stopping = false;

  mutable std::mutex mutex;  // guards the two below; never taken by a request for a loaded model
  std::vector<domain::ModelInfo> known;
  std::map<std::string, WorkerPtr> loaded;
  std::vector<std::unique_ptr<domain::ModelProvider>> providers;
};

namespace {

// ShardProvider remembers loaded workers, so that the hot path stays on its shard.
template <class State> class ShardProvider final : public domain::ModelProvider {
 public:
  ShardProvider(State& state, std::size_t index) : state_{state}, index_{index} {}

  Async<std::shared_ptr<domain::Backend>> acquire(std::string name, Deadline deadline) override {
    if (const auto found = workers_.find(name); found != workers_.end()) {
      if (found->second->alive()) co_return found->second->backend(index_);
      workers_.erase(found);
    }
    auto& shard = state_.runtime.shard(index_);
    auto waiter = std::make_shared<Waiter>(shard.io.get_executor());
    asio::post(state_.runtime.shard(0).io,
               [&state = state_, name, waiter] { state.request(name, waiter); });
    while (!waiter->outcome) TACIT_CO_CHECK(co_await waiter->signal.wait(deadline));
    if (!*waiter->outcome) co_return fail(std::move(waiter->outcome->error()));
    auto worker = std::move(**waiter->outcome);
    workers_[name] = worker;
    co_return worker->backend(index_);
  }

  std::vector<domain::ModelInfo> list() override {
    const std::scoped_lock lock{state_.mutex};
    auto models = state_.known;
    for (auto& model : models) {
      const auto found = state_.loaded.find(model.name);
      if (found != state_.loaded.end()) model = found->second->model();
    }
    return models;
  }

 private:
  State& state_;
  std::size_t index_;
  std::map<std::string, WorkerPtr, std::less<>> workers_;
};

}  // namespace

void ModelPool::State::deliver(const std::shared_ptr<Waiter>& waiter, Result<WorkerPtr> outcome) {
  asio::post(waiter->executor, [waiter, outcome = std::move(outcome)]() mutable {
    waiter->outcome = std::move(outcome);
    waiter->signal.notify();
  });
}

std::optional<std::filesystem::path> ModelPool::State::local_file(std::string_view name) const {
  for (const auto& path : options.local_files) {
    if (path.stem().string() == name) return path;
  }
  return std::nullopt;
}

void ModelPool::State::request(const std::string& name, std::shared_ptr<Waiter> waiter) {
  if (stopping) return deliver(waiter, fail(Code::shutting_down, "the server is shutting down"));
  std::string canonical = name;
  if (!local_file(name)) {
    auto resolved = registry.resolve(name);
    if (!resolved) return deliver(waiter, fail(resolved.error()));
    canonical = std::move(*resolved);
  }
  auto& slot = slots[canonical];
  if (slot.worker && slot.worker->alive()) return deliver(waiter, slot.worker);
  if (slot.error && std::chrono::steady_clock::now() < slot.failed_at + kRetryAfterFailure) {
    return deliver(waiter, fail(*slot.error));
  }
  slot.waiters.push_back(std::move(waiter));
  if (slot.loading) return;
  slot.loading = true;
  tasks.spawn(load(canonical));
}

Result<registry::Registry::Opened> ModelPool::State::open(const std::string& name) {
  const std::string* promise = nullptr;
  if (options.promised) {
    const auto found = options.promised->find(name);
    if (found == options.promised->end())
      return fail(Error{Code::not_found, "this server's evidence does not promise this model"}
                      .about(PublicText{name})
                      .fix("Name it with --model when the server starts"));
    promise = &found->second;
  }
  const auto path = local_file(name);
  auto opened = path ? registry::open_local_file(*path) : registry.open_weights(name);
  if (opened && promise != nullptr && opened->model.weights.hex() != *promise)
    return fail(
        Error{Code::corrupt, "the weights are not those that the server's evidence promises"}
            .about(PublicText{name})
            .fix("Start the server anew"));
  return opened;
}

Task<> ModelPool::State::open_into(const std::string& name,
                                   std::optional<Result<registry::Registry::Opened>>& out) {
  out = open(name);
  co_return;
}

Async<WorkerPtr> ModelPool::State::start_worker(std::string name) {
  std::optional<Result<registry::Registry::Opened>> outcome;
  co_await asio::co_spawn(blocking.get_executor(), open_into(name, outcome), asio::use_awaitable);
  if (!*outcome) co_return fail(std::move(outcome->error()));
  auto opened = std::move(*outcome);
  engine::WorkerOptions worker;
  worker.program = options.program;
  worker.model = {opened->model.name, opened->model.weights.with_prefix(), opened->model.size_bytes,
                  0, opened->sampling};
  worker.weights = std::move(opened->weights);
  worker.context_tokens = options.context_tokens;
  worker.sequences_max = options.sequences_max;
  worker.threads = options.threads;
  worker.kv_type = options.kv_type;
  auto started = co_await engine::Worker::start(runtime, log, std::move(worker));
  const auto path = local_file(name);
  if (started || !path) co_return started;
  co_return fail(registry::about_local_file(std::move(started).error(), *path));
}

Task<> ModelPool::State::load(std::string name) {
  const auto begun = std::chrono::steady_clock::now();
  auto started = co_await start_worker(name);
  const auto ms =
      std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begun).count();
  auto& slot = slots[name];
  slot.loading = false;
  slot.error.reset();
  if (started) {
    slot.worker = *started;
    const auto& sandbox = slot.worker->sandbox();
    log.info("model.loaded", {{"model", PublicText{name}},
                              {"ms", ms},
                              {"context", slot.worker->model().context_tokens_max},
                              {"landlock_abi", sandbox.landlock_abi},
                              {"seccomp", sandbox.seccomp},
                              {"no_new_privileges", sandbox.no_new_privileges},
                              {"core_dumps_off", sandbox.core_dumps_off}});
    const std::scoped_lock lock{mutex};
    loaded[name] = slot.worker;
  } else {
    slot.error = started.error();
    slot.failed_at = std::chrono::steady_clock::now();
    log.error("model.load_failed", {{"model", PublicText{name}},
                                    {"ms", ms},
                                    {"code", slot.error->code()},
                                    {"why", PublicText{slot.error->message()}}});
  }
  for (const auto& waiter : std::exchange(slot.waiters, {})) deliver(waiter, started);
}

void ModelPool::State::refresh_list() {
  std::vector<domain::ModelInfo> fresh;
  for (const auto& model : registry.installed()) {
    fresh.push_back({model.name, model.weights.with_prefix(), model.size_bytes, 0});
  }
  for (const auto& path : options.local_files) fresh.push_back({path.stem().string(), "", 0, 0});
  if (options.promised)
    std::erase_if(fresh,
                  [&](const auto& model) { return !options.promised->contains(model.name); });
  const std::scoped_lock lock{mutex};
  known = std::move(fresh);
}

ModelPool::ModelPool(async::Runtime& runtime, registry::Registry& registry, Logger& log,
                     ModelPoolOptions options)
    : state_{std::make_shared<State>(runtime, registry, log, std::move(options))} {
  for (std::size_t i = 0; i < runtime.size(); ++i) {
    state_->providers.push_back(std::make_unique<ShardProvider<State>>(*state_, i));
  }
  state_->refresh_list();
}

ModelPool::~ModelPool() = default;

domain::ModelProvider& ModelPool::provider(std::size_t shard_index) {
  return *state_->providers[shard_index];
}

std::vector<ModelGauges> ModelPool::gauges() const {
  std::vector<ModelGauges> out;
  const std::scoped_lock lock{state_->mutex};
  for (const auto& [name, worker] : state_->loaded) {
    const auto stats = worker->stats();
    out.push_back({name, stats.running, stats.waiting, stats.kv_cache_usage});
  }
  return out;
}

Task<> ModelPool::housekeeping() {
  const auto state = state_;
  while (!state->stopping) {
    if (!co_await async::sleep_for(kListInterval)) co_return;  // cancelled
    state->refresh_list();
    for (auto& [name, slot] : state->slots) {
      if (!slot.worker || slot.worker->alive()) continue;
      state->log.error("model.worker_ended",
                       {{"model", PublicText{name}}, {"pid", slot.worker->pid()}});
      slot.worker.reset();
      const std::scoped_lock lock{state->mutex};
      state->loaded.erase(name);
    }
  }
}

Task<> ModelPool::shut_down(Deadline deadline) {
  state_->stopping = true;
  co_await state_->tasks.join(deadline);
  for (auto& [name, slot] : state_->slots) {
    if (slot.worker) co_await slot.worker->drain(deadline);
  }
  state_->blocking.join();
}

}  // namespace tacit::gateway
