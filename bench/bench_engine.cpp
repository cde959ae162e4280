// Tokens per second of a worker at 1 and 8 streams, beside llama.cpp's own plain decode loop over
// the same model, in the same run on the same machine.
//
//   bench_engine [MODEL.gguf] [ROUNDS] [THREADS]
//   default: the tiny model of TACIT_FIXTURES, 5 rounds, every core
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include "async/runtime.hpp"
#include "core/log.hpp"
#include "engine/engine.hpp"

#include "llama.h"

namespace {

using namespace tacit;  // NOLINT: a program of one file

constexpr std::uint32_t kContext = 512;
constexpr std::uint32_t kTokens = 128;
constexpr std::uint32_t kBatch = 512;

// What all streams of one round had to compute.
struct Answered {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// CPU seconds that a process has used: what a crowded machine does not distort.
double cpu_seconds(pid_t pid) {
  clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct Measured {
  std::vector<double> per_second;
  std::vector<double> cpu_ms;  // per token
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// llama.cpp alone: `streams` sequences in one batch per step, greedy, no text.
class Plain {
 public:
  Plain(const std::string& path, int threads) {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_backend_init();
    model_ = llama_model_load_from_file(path.c_str(), llama_model_default_params());
    auto params = llama_context_default_params();
    params.n_ctx = kContext * 8;
    params.n_batch = params.n_ubatch = kBatch;
    params.n_seq_max = 8;
    params.n_outputs_max = 8;
    params.n_threads = params.n_threads_batch = threads;
    context_ = model_ == nullptr ? nullptr : llama_init_from_model(model_, params);
  }
  ~Plain() {
    llama_batch_free(batch_);
    llama_free(context_);
    llama_model_free(model_);
  }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  bool ok() const { return context_ != nullptr; }

  // Does the same work: for each stream a prompt of that many tokens, then as many steps as answers
  // took.
  double tokens_per_second(int streams, const Answered& work) {
    llama_memory_clear(llama_get_memory(context_), false);
    batch_.n_tokens = 0;
    auto* greedy = llama_sampler_init_greedy();
    const auto each = static_cast<std::uint32_t>(streams);
    const auto prompt = work.prompt_tokens / each;
    const auto steps = work.completion_tokens / each;
    std::vector<llama_token> last(each, 1);
    const auto start = std::chrono::steady_clock::now();
    for (std::uint32_t position = 0; position < prompt + steps - 1; ++position) {
      const bool answering = position + 1 >= prompt;
      for (int i = 0; i < streams; ++i)
        add(last[static_cast<std::size_t>(i)], position, i, answering);
      if (!answering && batch_.n_tokens + streams <= static_cast<int>(kBatch)) continue;
      if (llama_decode(context_, batch_) != 0) return 0;
      for (int i = 0; answering && i < streams; ++i) {
        last[static_cast<std::size_t>(i)] =
            llama_sampler_sample(greedy, context_, batch_.n_tokens - streams + i);
      }
      batch_.n_tokens = 0;
    }
    const auto seconds = seconds_since(start);
    llama_sampler_free(greedy);
    return work.completion_tokens / seconds;
  }

 private:
  void add(llama_token token, std::uint32_t position, int stream, bool output) {
    const auto at = batch_.n_tokens++;
    batch_.token[at] = token;
    batch_.pos[at] = static_cast<llama_pos>(position);
    batch_.n_seq_id[at] = 1;
    batch_.seq_id[at][0] = stream;
    batch_.logits[at] = output ? 1 : 0;
  }

  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
  llama_batch batch_ = llama_batch_init(kBatch, 0, 1);
};

// One answer through the worker.
Task<Answered> answer(std::shared_ptr<domain::Backend> backend, std::uint32_t number) {
  domain::GenerateRequest request;
  request.messages.push_back(
      {domain::Role::user,
       domain::Content{"Write a long story about " + std::to_string(number) + " horses."}});
  request.sampling.temperature = 0.0f;
  request.max_tokens = kTokens;
  const auto deadline = Deadline::after(Seconds{600});
  auto generation = co_await backend->generate(std::move(request), deadline);
  Answered out;
  for (bool more = generation.has_value(); more;) {
    auto batch = co_await (*generation)->next(deadline);
    if (!batch) break;
    for (const auto& event : *batch) {
      if (const auto* finished = std::get_if<domain::Finished>(&event)) {
        out = {finished->usage.prompt_tokens, finished->usage.completion_tokens};
      }
      more = more && !domain::is_last(event);
    }
  }
  co_return out;
}

struct Round {
  double per_second;
  Answered work;
};
Round worker_round(async::Runtime& runtime, engine::Worker& worker, int streams) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::future<Answered>> answers;
  for (int i = 0; i < streams; ++i) {
    answers.push_back(asio::co_spawn(runtime.shard(0).io,
                                     answer(worker.backend(0), static_cast<std::uint32_t>(i + 2)),
                                     asio::use_future));
  }
  Answered all;
  for (auto& each : answers) {
    const auto one = each.get();
    all.prompt_tokens += one.prompt_tokens;
    all.completion_tokens += one.completion_tokens;
  }
  return {all.completion_tokens / seconds_since(start), all};
}

std::string default_model() {
  const char* fixtures = std::getenv("TACIT_FIXTURES");
  return std::string{fixtures != nullptr ? fixtures : "../shared/fixtures"} +
         "/models/stories260K.gguf";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : default_model();
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  if (!std::filesystem::exists(path)) {
    std::fprintf(stderr, "SKIPPED: %s not found\n", path.c_str());
    return 0;
  }
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int threads = argc > 3 ? std::atoi(argv[3]) : cores;
  Plain plain{path, threads};
  if (!plain.ok()) return 1;
  async::Runtime runtime{1};
  runtime.start();
  NullLogger log;
  engine::WorkerOptions options;
  options.program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "tacit_worker_for_tests";
  options.weights = UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  options.context_tokens = kContext;
  options.threads = static_cast<std::uint32_t>(threads);
  auto worker =
      asio::co_spawn(runtime.shard(0).io, engine::Worker::start(runtime, log, std::move(options)),
                     asio::use_future)
          .get();
  if (!worker) {
    std::fprintf(stderr, "worker: %s\n", worker.error().explain().c_str());
    return 1;
  }
  std::fprintf(stderr,
               "%s\n%d threads, %d rounds, medians; CPU is milliseconds per token\n"
               "streams  plain tok/s  worker tok/s  plain CPU  worker CPU\n",
               engine::engine_description().c_str(), threads, rounds);
  std::printf("{\"bench\": \"engine\", \"threads\": %d, \"rows\": [", threads);
  bool first = true;
  for (const int streams : {1, 4, 8}) {
    Measured a;
    Measured b;
    for (int i = 0; i < rounds; ++i) {  // in pairs, so that a slow moment of the machine meets both
      const auto worker_before = cpu_seconds((*worker)->pid());
      const auto round = worker_round(runtime, **worker, streams);
      const auto plain_before = cpu_seconds(::getpid());
      b.per_second.push_back(round.per_second);
      b.cpu_ms.push_back((cpu_seconds((*worker)->pid()) - worker_before) * 1000 /
                         round.work.completion_tokens);
      a.per_second.push_back(plain.tokens_per_second(streams, round.work));
      a.cpu_ms.push_back((cpu_seconds(::getpid()) - plain_before) * 1000 /
                         round.work.completion_tokens);
    }
    std::fprintf(stderr, "%7d  %11.1f  %12.1f  %9.2f  %10.2f\n", streams, median(a.per_second),
                 median(b.per_second), median(a.cpu_ms), median(b.cpu_ms));
    std::printf(
        "%s{\"streams\": %d, \"plain\": %.1f, \"worker\": %.1f, \"plain_cpu_ms\": %.3f, "
        "\"worker_cpu_ms\": %.3f}",
        first ? "" : ", ", streams, median(a.per_second), median(b.per_second), median(a.cpu_ms),
        median(b.cpu_ms));
    first = false;
  }
  std::printf("]}\n");
  return 0;
}
