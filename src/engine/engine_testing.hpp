// For tests of this module: a runtime on threads of its own, a worker with the tiny real model, and
// coroutines driven from the test's thread.
#pragma once

#include <fcntl.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include "async/runtime.hpp"
#include "core/log.hpp"
#include "engine/engine.hpp"

namespace tacit::engine::testing_support {

inline std::filesystem::path model_path(const char* name) {
  const char* given = std::getenv("TACIT_FIXTURES");
  return std::filesystem::path{given != nullptr ? given : TACIT_FIXTURES_DEFAULT} / "models" / name;
}

inline std::string worker_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "tacit_worker_for_tests";
}

inline UniqueFd open_file(const std::filesystem::path& path) {
  return UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
}

// What a generation said, from start to end.
struct Answer {
  std::string text;
  bool started = false;
  std::uint32_t num_events = 0;
  std::optional<domain::Finished> finished;
  std::optional<Error> failed;
};

class WorkerTest : public testing::Test {
 protected:
  static constexpr std::size_t kShards = 2;

  void SetUp() override {
    if (!std::filesystem::exists(model_path("stories260K.gguf")))
      GTEST_SKIP() << "SKIPPED: fixtures not found";
    runtime_.start();
  }

  // Runs a coroutine on a shard and waits for it here.
  template <class T> T run(Task<T> task, std::size_t shard = 0) {
    return asio::co_spawn(runtime_.shard(shard).io, std::move(task), asio::use_future).get();
  }

  WorkerOptions options(const std::filesystem::path& path) {
    WorkerOptions out;
    out.program = worker_program();
    out.model.name = "test";
    out.weights = open_file(path);
    out.threads = 1;
    out.load_timeout = Seconds{60};
    return out;
  }
  Result<std::shared_ptr<Worker>> start(WorkerOptions worker_options) {
    return run(Worker::start(runtime_, log_, std::move(worker_options)));
  }
  std::shared_ptr<Worker> start() {
    auto worker = start(options(model_path("stories260K.gguf")));
    EXPECT_TRUE(worker) << worker.error().explain();
    return worker ? *worker : nullptr;
  }

  static domain::GenerateRequest request(const std::string& text, std::uint32_t max_tokens) {
    domain::GenerateRequest out;
    out.model = "test";
    out.messages.push_back({domain::Role::user, domain::Content{text}});
    out.sampling.temperature = 0.0f;
    out.max_tokens = max_tokens;
    return out;
  }

  // Reads a generation to its end.
  static Task<Answer> read_all(std::shared_ptr<domain::Backend> backend,
                               domain::GenerateRequest request) {
    Answer answer;
    auto generation = co_await backend->generate(std::move(request), Deadline::after(Seconds{30}));
    if (!generation) {
      answer.failed = generation.error();
      co_return answer;
    }
    while (!answer.finished && !answer.failed) {
      auto batch = co_await (*generation)->next(Deadline::after(Seconds{60}));
      if (!batch) {
        answer.failed = batch.error();
        break;
      }
      for (auto& event : *batch) note(answer, event);
    }
    co_return answer;
  }
  static void note(Answer& answer, domain::Event& event) {
    ++answer.num_events;
    if (std::holds_alternative<domain::Started>(event)) answer.started = true;
    if (auto* delta = std::get_if<domain::TextDelta>(&event)) answer.text += delta->text.reveal();
    if (auto* finished = std::get_if<domain::Finished>(&event)) answer.finished = *finished;
    if (auto* failed = std::get_if<domain::Failed>(&event)) answer.failed = failed->error;
  }
  Answer ask(Worker& worker, const std::string& text, std::uint32_t max_tokens,
             std::size_t shard = 0) {
    return run(read_all(worker.backend(shard), request(text, max_tokens)), shard);
  }

  NullLogger log_;
  async::Runtime runtime_{kShards};
};

}  // namespace tacit::engine::testing_support
