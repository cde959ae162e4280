// The whole way: a real worker process in its sandbox, a real (tiny) model, sockets in between.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <future>
#include <set>
#include <thread>

#include "async/wait.hpp"
#include "engine/engine_testing.hpp"

namespace tacit::engine {
namespace {

using testing_support::Answer;
using testing_support::model_path;
using testing_support::open_file;
using testing_support::worker_program;
using testing_support::WorkerTest;

TEST_F(WorkerTest, AnswersWithUsageAndReport) {
  const auto worker = start();
  ASSERT_TRUE(worker);
  EXPECT_TRUE(worker->alive());
  EXPECT_GT(worker->model().context_tokens_max, 0u);
  const auto offered = probe_sandbox();
  EXPECT_EQ(worker->sandbox().landlock_abi, offered.landlock_abi);
  EXPECT_EQ(worker->sandbox().seccomp, offered.seccomp);
  EXPECT_TRUE(worker->sandbox().no_new_privileges);
  const auto answer = ask(*worker, "Once upon a time", 20);
  ASSERT_TRUE(answer.finished) << (answer.failed ? answer.failed->message() : "");
  EXPECT_TRUE(answer.started);
  EXPECT_FALSE(answer.text.empty());
  EXPECT_EQ(answer.finished->usage.completion_tokens, 20u);
  EXPECT_GT(answer.finished->usage.prompt_tokens, 0u);
  EXPECT_EQ(answer.finished->reason, domain::FinishReason::length);
}

TEST_F(WorkerTest, ManyAtOnceAreNotMixedAndEqualThemselvesAlone) {
  const auto worker = start();
  ASSERT_TRUE(worker);
  std::vector<std::string> prompts;
  for (int i = 0; i < 12; ++i)
    prompts.push_back("Tell me about number " + std::string(static_cast<std::size_t>(i), 'x'));
  std::vector<std::string> alone;
  for (const auto& prompt : prompts) alone.push_back(ask(*worker, prompt, 40).text);
  std::vector<std::future<Answer>> together;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto shard = i % kShards;
    together.push_back(asio::co_spawn(runtime_.shard(shard).io,
                                      read_all(worker->backend(shard), request(prompts[i], 40)),
                                      asio::use_future));
  }
  // Batches of another size may round otherwise, so a text may leave its lonely twin somewhere; it
  // may never be another's.
  std::size_t same = 0;
  std::set<std::string> texts;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto answer = together[i].get();
    ASSERT_TRUE(answer.finished) << answer.failed->message();
    same += answer.text == alone[i] ? 1 : 0;
    EXPECT_EQ(answer.text.substr(0, 4), alone[i].substr(0, 4));
    texts.insert(answer.text);
  }
  EXPECT_GE(same, prompts.size() / 2);
}

TEST_F(WorkerTest, ASeedGivesTheSameAnswerAgain) {
  const auto worker = start();
  ASSERT_TRUE(worker);
  const auto sampled = [&](std::uint32_t seed) {
    auto wish = request("Once upon a time", 40);
    wish.sampling = {.temperature = 1.0f, .seed = seed};
    return run(read_all(worker->backend(0), std::move(wish))).text;
  };
  EXPECT_EQ(sampled(7), sampled(7));
  EXPECT_NE(sampled(7), sampled(8));
}

TEST_F(WorkerTest, StopTextsEndTheAnswer) {
  const auto worker = start();
  ASSERT_TRUE(worker);
  const auto whole = ask(*worker, "Once upon a time", 60).text;
  ASSERT_GT(whole.size(), 20u);
  const auto stop = whole.substr(10, 4);
  auto wish = request("Once upon a time", 60);
  wish.stop.emplace_back(stop);
  const auto answer = run(read_all(worker->backend(0), std::move(wish)));
  ASSERT_TRUE(answer.finished);
  EXPECT_EQ(answer.finished->reason, domain::FinishReason::stop);
  EXPECT_EQ(answer.text, whole.substr(0, whole.find(stop)));
}

TEST_F(WorkerTest, APromptTooLongIsRefusedWithBothNumbers) {
  const auto worker = start();
  ASSERT_TRUE(worker);
  std::string text;
  while (text.size() < 20'000) text += "word ";
  const auto answer = ask(*worker, text, 5);
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->code(), Code::context_exceeded);
  EXPECT_EQ(answer.failed->value("limit"), worker->model().context_tokens_max);
  EXPECT_GT(answer.failed->value("tokens"), answer.failed->value("limit"));
  EXPECT_TRUE(ask(*worker, "short", 2).finished);
}

TEST_F(WorkerTest, TheContextsEndIsLength) {
  const auto worker = start();
  ASSERT_TRUE(worker);
  auto wish = request("Once upon a time", 1);
  wish.max_tokens.reset();
  const auto answer = run(read_all(worker->backend(0), std::move(wish)));
  ASSERT_TRUE(answer.finished);
  const auto used = answer.finished->usage.prompt_tokens + answer.finished->usage.completion_tokens;
  EXPECT_LE(used, worker->model().context_tokens_max + 1);
}

TEST_F(WorkerTest, KillingItEndsRunningAnswersWithAClearError) {
  auto worker = start();
  ASSERT_TRUE(worker);
  auto running = run([](std::shared_ptr<domain::Backend> backend,
                        domain::GenerateRequest wish) -> Task<std::unique_ptr<domain::Generation>> {
    auto generation = co_await backend->generate(std::move(wish), Deadline::after(Seconds{30}));
    co_await (*generation)->next(Deadline::after(Seconds{30}));  // started
    co_return *std::move(generation);
  }(worker->backend(0), request("Once upon a time", 4000)));
  ASSERT_EQ(::kill(worker->pid(), SIGKILL), 0);
  const auto last = run([](domain::Generation& generation) -> Task<Answer> {
    Answer answer;
    while (!answer.finished && !answer.failed) {
      auto batch = co_await generation.next(Deadline::after(Seconds{30}));
      if (!batch) break;
      for (auto& event : *batch) note(answer, event);
    }
    co_return answer;
  }(*running));
  ASSERT_TRUE(last.failed);
  EXPECT_EQ(last.failed->code(), Code::worker_lost);
  EXPECT_EQ(last.failed->what(), "engine worker ended during the request");
  EXPECT_FALSE(worker->alive());
  const auto refused = ask(*worker, "again", 1, 1);
  ASSERT_TRUE(refused.failed);
  EXPECT_EQ(refused.failed->code(), Code::worker_lost);
  run([](std::unique_ptr<domain::Generation> gone) -> Task<> {
    gone.reset();
    co_return;
  }(std::move(running)));
  const auto next = start();  // and a new one can be had at once
  ASSERT_TRUE(next);
  EXPECT_TRUE(ask(*next, "again", 3).finished);
}

TEST_F(WorkerTest, GoingAwayFreesThePlace) {
  auto wish = options(model_path("stories260K.gguf"));
  wish.sequences_max = 1;
  wish.queue_max = 0;
  const auto started = start(std::move(wish));
  ASSERT_TRUE(started) << started.error().message();
  const auto& worker = *started;
  for (int i = 0; i < 20; ++i) {
    const bool accepted = run([](std::shared_ptr<domain::Backend> backend,
                                 domain::GenerateRequest long_one) -> Task<bool> {
      for (int tries = 0; tries < 500; ++tries) {
        auto generation =
            co_await backend->generate(long_one.clone(), Deadline::after(Seconds{30}));
        if (generation) {
          auto batch = co_await (*generation)->next(Deadline::after(Seconds{30}));
          co_return batch.has_value();  // and away
        }
        co_await async::sleep_for(Milliseconds{10});  // the one before it is just leaving
      }
      co_return false;
    }(worker->backend(0), request("Once upon a time", 4000)));
    EXPECT_TRUE(accepted) << "round " << i;
  }
}

TEST_F(WorkerTest, AReaderThatStallsHoldsNobodyUpAndCanGoOn) {
  auto wish = options(model_path("stories260K.gguf"));
  wish.sequences_max = 1;
  const auto started = start(std::move(wish));
  ASSERT_TRUE(started);
  const auto& worker = *started;
  const auto whole = ask(*worker, "Once upon a time", 100).text;
  auto stalled = run([](std::shared_ptr<domain::Backend> backend,
                        domain::GenerateRequest r) -> Task<std::unique_ptr<domain::Generation>> {
    co_return *co_await backend->generate(std::move(r), Deadline::after(Seconds{30}));
  }(worker->backend(0), request("Once upon a time", 100)));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ask(*worker, "Somebody else", 30, 1).finished);
  const auto answer = run([](std::unique_ptr<domain::Generation> generation) -> Task<Answer> {
    Answer out;
    while (!out.finished && !out.failed) {
      auto batch = co_await generation->next(Deadline::after(Seconds{30}));
      if (!batch) break;
      for (auto& event : *batch) note(out, event);
    }
    co_return out;
  }(std::move(stalled)));
  ASSERT_TRUE(answer.finished);
  EXPECT_EQ(answer.text.substr(0, 30), whole.substr(0, 30));
  EXPECT_EQ(answer.finished->usage.completion_tokens, 100u);
}

TEST_F(WorkerTest, DrainRefusesNewWaitsForRunningAndEndsTheProcess) {
  const auto worker = start();
  ASSERT_TRUE(worker);
  auto running = asio::co_spawn(runtime_.shard(1).io,
                                read_all(worker->backend(1), request("Once upon a time", 60)),
                                asio::use_future);
  std::this_thread::sleep_for(Milliseconds{5});
  run([](Worker& w) -> Task<int> {
    co_await w.drain(Deadline::after(Seconds{30}));
    co_return 0;
  }(*worker));
  EXPECT_TRUE(running.get().finished);
  EXPECT_FALSE(worker->alive());
  EXPECT_TRUE(ask(*worker, "late", 1).failed);
}

TEST_F(WorkerTest, RequestsOverALimitAreRefusedByTheFront) {
  const auto worker = start();
  ASSERT_TRUE(worker);
  auto wish = request("hello", 3);
  wish.sampling.temperature = 9.0f;
  const auto answer = run(read_all(worker->backend(0), std::move(wish)));
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->code(), Code::invalid_argument);
  EXPECT_TRUE(ask(*worker, "hello", 3).finished);
}

class BadModelTest : public WorkerTest {
 protected:
  Error load_bytes(const std::string& bytes) {
    const auto path =
        std::filesystem::temp_directory_path() / ("tacit-bad-model-" + std::to_string(::getpid()));
    std::ofstream{path, std::ios::binary} << bytes;
    auto worker = start(options(path));
    std::filesystem::remove(path);
    if (worker) {
      ADD_FAILURE() << "a bad model was loaded";
      return Error{Code::internal, "loaded"};
    }
    return worker.error();
  }
  static std::string good() {
    std::ifstream in{model_path("stories260K.gguf"), std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
};

TEST_F(BadModelTest, ATruncatedFileIsRefusedWithWhatIsWrong) {
  const auto error = load_bytes(good().substr(0, 700'000));
  EXPECT_EQ(error.code(), Code::malformed);
  EXPECT_EQ(error.what(), "tensor data runs past the end of the file");
  EXPECT_EQ(error.value("file_bytes"), 700'000);
  EXPECT_FALSE(error.fix().empty());
}

TEST_F(BadModelTest, OtherFilesAreRefusedWithWhatIsWrong) {
  EXPECT_EQ(load_bytes("not a model").what(), "not a GGUF file");
  EXPECT_EQ(load_bytes("").what(), "not a GGUF file");
  auto bytes = good();
  const auto at = bytes.find("llama");  // general.architecture
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 5, "nosuc");
  EXPECT_EQ(load_bytes(bytes).code(), Code::unsupported);
  bytes = good();
  bytes.resize(8192);
  EXPECT_EQ(load_bytes(bytes).code(), Code::malformed);
}

TEST_F(BadModelTest, AModelOfWordsAloneIsRefused) {
  const auto worker = start(options(model_path("ggml-vocab-phi-3.gguf")));
  ASSERT_FALSE(worker);
  EXPECT_NE(worker.error().code(), Code::internal) << worker.error().message();
}

TEST_F(WorkerTest, AProgramThatIsNotThereIsAClearError) {
  auto wish = options(model_path("stories260K.gguf"));
  wish.program = "/nonexistent/tacit";
  const auto worker = start(std::move(wish));
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code(), Code::not_found);
}

TEST_F(WorkerTest, TheSandboxStandsAroundALoadedModel) {
  const auto weights = open_file(model_path("stories260K.gguf"));
  int control[2];
  int data[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, control), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, data), 0);
  const auto program = worker_program();
  const auto child = ::fork();
  if (child == 0) {
    for (const auto& [fd, place] :
         {std::pair{weights.get(), 103}, {control[1], 104}, {data[1], 105}})
      ::dup2(fd, place);
    for (const int place : {3, 4, 5}) ::dup2(place + 100, place);
    const char* const environment[] = {"ASAN_OPTIONS=detect_leaks=0",
                                       nullptr};  // it traces, at exit
    ::execle(program.c_str(), program.c_str(), "worker", "--shards", "1", "--threads", "1",
             "--sandbox-selftest", nullptr, environment);
    ::_exit(127);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  for (const int fd : {control[0], control[1], data[0], data[1]}) ::close(fd);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0)
      << "number of escapes (see the output above), or 64 and up: not started";
}

}  // namespace
}  // namespace tacit::engine
