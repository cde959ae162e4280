#include "engine/engine.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "engine/control_link.hpp"
#include "engine/front_link.hpp"
#include "engine/worker_options.hpp"

namespace tacit::engine {
namespace {

struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};

Result<SocketPair> socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    const int number = errno;
    auto error = Error{Code::io, "cannot make a socket pair"}.with("errno", number);
    if (number == EMFILE || number == ENFILE) {
      error = std::move(error).fix("Too many open files: raise the limit (ulimit -n)");
    }
    return fail(std::move(error));
  }
  return SocketPair{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

// The worker inherits nothing of our environment. A sanitizer, where one is built in, may not look
// for leaks: it would trace the process, which the sandbox forbids.
std::vector<std::string> worker_environment() {
  return {"LC_ALL=C", "GGML_NO_BACKTRACE=1", "ASAN_OPTIONS=detect_leaks=0"};
}

class EngineGeneration final : public domain::Generation {
 public:
  EngineGeneration(std::shared_ptr<Worker> worker, std::shared_ptr<FrontLink> link,
                   std::shared_ptr<GenerationState> state)
      : worker_{std::move(worker)}, link_{std::move(link)}, state_{std::move(state)} {}
  ~EngineGeneration() override { link_->abandon(*state_); }

  Async<domain::EventBatch> next(Deadline deadline) override {
    while (state_->events.empty()) TACIT_CO_CHECK(co_await state_->ready.wait(deadline));
    co_return link_->take(*state_);
  }

 private:
  std::shared_ptr<Worker> worker_;  // kept alive
  std::shared_ptr<FrontLink> link_;
  std::shared_ptr<GenerationState> state_;
};

class EngineBackend final : public domain::Backend {
 public:
  EngineBackend(std::shared_ptr<Worker> worker, std::shared_ptr<WorkerState> state,
                std::shared_ptr<FrontLink> link, std::uint32_t in_flight_max)
      : worker_{std::move(worker)},
        state_{std::move(state)},
        link_{std::move(link)},
        in_flight_max_{in_flight_max} {}

  const domain::ModelInfo& model() const override { return worker_->model(); }

  Async<std::unique_ptr<domain::Generation>> generate(domain::GenerateRequest request,
                                                      Deadline deadline) override {
    if (!state_->alive || !link_) co_return fail(Code::worker_lost, "engine worker has ended");
    request.sampling = domain::with_defaults(request.sampling, model().defaults);
    if (state_->draining) co_return fail(Code::shutting_down, "engine is shutting down");
    if (const auto running = state_->in_flight.load(); running >= in_flight_max_) {
      co_return fail(Error{Code::overloaded, "engine queue is full"}
                         .with("requests", running)
                         .with("limit", in_flight_max_)
                         .fix("Retry later"));
    }
    TACIT_CO_CHECK(check_request(request));
    TACIT_CO_TRY(auto generation, link_->start(std::move(request), deadline));
    co_return std::make_unique<EngineGeneration>(worker_, link_, std::move(generation));
  }

 private:
  std::shared_ptr<Worker> worker_;
  std::shared_ptr<WorkerState> state_;
  std::shared_ptr<FrontLink> link_;
  std::uint32_t in_flight_max_;
};

class EngineWorker final : public Worker, public std::enable_shared_from_this<EngineWorker> {
 public:
  EngineWorker(std::shared_ptr<WorkerState> state, const std::shared_ptr<ControlLink>& control)
      : state_{std::move(state)}, control_{control} {}

  // The links find their sockets ended, and end themselves.
  ~EngineWorker() override { state_->give_up(); }

  const domain::ModelInfo& model() const noexcept override { return model_; }
  const SandboxReport& sandbox() const noexcept override { return sandbox_; }
  pid_t pid() const noexcept override { return state_->pid(); }
  bool alive() const noexcept override { return state_->alive; }

  std::shared_ptr<domain::Backend> backend(std::size_t shard_index) override {
    return std::make_shared<EngineBackend>(shared_from_this(), state_,
                                           links_.at(shard_index).lock(), in_flight_max_);
  }

  Stats stats() const noexcept override {
    if (!state_->alive) return {};
    return {state_->running, state_->waiting, static_cast<double>(state_->kv_cache_usage)};
  }

  Task<> drain(Deadline deadline) override {
    state_->draining = true;
    // Generations end on every shard; looking now and then costs less than telling this one of
    // each.
    constexpr Milliseconds kLook{10};
    while (state_->in_flight > 0 && state_->alive &&
           !deadline.passed(std::chrono::steady_clock::now())) {
      const auto slept = co_await async::sleep_until(deadline.at_most(kLook).when());
      if (!slept) break;
    }
    // Requests that are left fail now; a worker without sockets ends by itself, unless it hangs.
    constexpr Milliseconds kOrderlyEnd{2000};
    const auto control = control_.lock();
    if (control) asio::post(control->executor(), [control] { control->close(); });
    const bool hurry = state_->in_flight > 0 || !control;
    if (hurry || !co_await control->wait_exit(Deadline::after(kOrderlyEnd))) state_->give_up();
    state_->alive = false;
    close_links();
  }

  // Completes the object once the model is loaded.
  void open(const std::vector<std::shared_ptr<FrontLink>>& links, domain::ModelInfo model,
            const Ready& ready, const SandboxReport& sandbox, std::uint32_t queue_max) {
    links_.assign(links.begin(), links.end());
    model_ = std::move(model);
    model_.context_tokens_max = ready.context_tokens_max;
    if (model_.size_bytes == 0) model_.size_bytes = ready.size_bytes;
    sandbox_ = sandbox;
    in_flight_max_ = queue_max + ready.sequences_max;
    for (const auto& link : links) asio::post(link->executor(), [link] { link->begin(); });
  }

 private:
  void close_links() {
    for (const auto& weak : links_) {
      if (const auto link = weak.lock()) asio::post(link->executor(), [link] { link->close(); });
    }
    if (const auto control = control_.lock())
      asio::post(control->executor(), [control] { control->close(); });
  }

  // The links belong to their shards. This object may die on any of them, and even after some of
  // them, so it holds none.
  std::shared_ptr<WorkerState> state_;
  std::weak_ptr<ControlLink> control_;
  std::vector<std::weak_ptr<FrontLink>> links_;
  domain::ModelInfo model_;
  SandboxReport sandbox_;
  std::uint32_t in_flight_max_ = 0;
};

struct Spawned {
  std::shared_ptr<WorkerState> state;
  std::shared_ptr<ControlLink> control;
  std::vector<UniqueFd> data;  // our end, one per shard
};

Result<Spawned> spawn_worker(std::size_t num_shards, const asio::any_io_executor& home, Logger& log,
                             const WorkerOptions& options) {
  Spawned out;
  std::vector<UniqueFd> theirs;
  TACIT_TRY(auto control, socket_pair());
  async::SpawnOptions spawn{
      .program = options.program, .arguments = {"worker"}, .environment = worker_environment()};
  const WorkerArguments arguments{.shards = static_cast<std::uint32_t>(num_shards),
                                  .context_tokens = options.context_tokens,
                                  .sequences_max = options.sequences_max,
                                  .queue_max = options.queue_max,
                                  .threads = options.threads,
                                  .kv_type = options.kv_type,
                                  .memory_bytes_max = options.memory_bytes_max};
  for (auto& argument : format_worker_arguments(arguments))
    spawn.arguments.push_back(std::move(argument));
  spawn.descriptors = {options.weights.get(), control.theirs.get()};
  for (std::size_t i = 0; i < num_shards; ++i) {
    TACIT_TRY(auto pair, socket_pair());
    spawn.descriptors.push_back(pair.theirs.get());
    theirs.push_back(std::move(pair.theirs));
    out.data.push_back(std::move(pair.ours));
  }
  out.state = std::make_shared<WorkerState>(log);
  TACIT_TRY(auto process, async::Subprocess::spawn(home, spawn));
  out.control =
      std::make_shared<ControlLink>(home, std::move(control.ours), std::move(process), out.state);
  return out;
}

void log_start(Logger& log, const domain::ModelInfo& model, pid_t pid,
               const SandboxReport& sandbox) {
  log.info("worker.ready", {{"model", PublicText{model.name}},
                            {"pid", pid},
                            {"context_tokens", model.context_tokens_max},
                            {"landlock_abi", sandbox.landlock_abi},
                            {"seccomp", sandbox.seccomp}});
  if (sandbox.landlock_abi == 0)
    log.warning("worker.sandbox_incomplete", {{"missing", Literal{"landlock"}}});
  if (!sandbox.seccomp) log.warning("worker.sandbox_incomplete", {{"missing", Literal{"seccomp"}}});
}

}  // namespace

Async<std::shared_ptr<Worker>> Worker::start(async::Runtime& runtime, Logger& log,
                                             WorkerOptions options) {
  const auto home = co_await asio::this_coro::executor;
  if (!options.weights) co_return fail(Code::invalid_argument, "no model file was given");
  TACIT_CO_TRY(auto spawned, spawn_worker(runtime.size(), home, log, options));
  options.weights.reset();
  // From here on the worker ends with this object, on every way out.
  const auto worker = std::make_shared<EngineWorker>(spawned.state, spawned.control);
  spawned.control->begin();
  auto ready = co_await spawned.control->wait_ready(Deadline::after(options.load_timeout));
  if (!ready) {
    spawned.state->draining = true;  // its end is expected
    co_return fail(std::move(ready).error().about(PublicText{options.model.name}));
  }
  std::vector<std::shared_ptr<FrontLink>> links;
  for (std::size_t i = 0; i < runtime.size(); ++i) {
    links.push_back(std::make_shared<FrontLink>(runtime.shard(i).io, std::move(spawned.data[i]),
                                                spawned.state));
  }
  const auto sandbox = spawned.control->hello()->sandbox;
  worker->open(links, std::move(options.model), *ready, sandbox, options.queue_max);
  log_start(log, worker->model(), worker->pid(), sandbox);
  co_return worker;
}

}  // namespace tacit::engine
