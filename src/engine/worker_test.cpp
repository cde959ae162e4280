// The whole way: a real worker process in its sandbox, a real (tiny) model, sockets in between.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <future>
#include <random>
#include <set>
#include <thread>

#include "async/wait.hpp"
#include "engine/engine_testing.hpp"
#include "engine/protocol.hpp"
#include "engine/worker_options.hpp"

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
  auto settings = options(model_path("stories260K.gguf"));
  settings.context_tokens = 200;
  const auto worker = start(std::move(settings));
  ASSERT_TRUE(worker);
  EXPECT_EQ((*worker)->model().context_tokens_max, 200u);
  auto wish = request("Once upon a time", 1);
  wish.max_tokens.reset();
  const auto answer = run(read_all((*worker)->backend(0), std::move(wish)));
  ASSERT_TRUE(answer.finished);
  const auto used = answer.finished->usage.prompt_tokens + answer.finished->usage.completion_tokens;
  EXPECT_LE(used, 201u);
  if (answer.finished->reason == domain::FinishReason::length) EXPECT_EQ(used, 201u);
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
  while (worker->stats().running + worker->stats().waiting == 0) std::this_thread::yield();
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

TEST_F(BadModelTest, FlippedBitsAreAnErrorOrAnotherModelNeverTheFrontsEnd) {
  std::mt19937 random{5};
  const auto path =
      std::filesystem::temp_directory_path() / ("tacit-flipped-" + std::to_string(::getpid()));
  for (int round = 0; round < 25; ++round) {
    auto bytes = good();
    for (int flips = 0; flips < 4; ++flips) {
      auto& byte = bytes[random() % 14'176];  // the header; past it there are only weights
      byte = static_cast<char>(byte ^ (1 << random() % 8));
    }
    std::ofstream{path, std::ios::binary} << bytes;
    const auto worker = start(options(path));
    if (!worker) {
      EXPECT_FALSE(worker.error().what().empty());
      EXPECT_NE(worker.error().code(), Code::deadline_exceeded);
      continue;
    }
    const auto answer = ask(**worker, "hello", 3);
    EXPECT_TRUE(answer.finished || answer.failed);
  }
  std::filesystem::remove(path);
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

// Programs that end before they have loaded anything: the error says how they ended, and what to
// look at.
TEST_F(WorkerTest, AWorkerThatEndsWhileItLoadsSaysHow) {
  struct Case {
    const char* script;
    const char* name;
    int value;
    const char* advice;
  };
  const auto path = std::filesystem::temp_directory_path() /
                    ("tacit-worker-" + std::to_string(::getpid()) + ".sh");
  for (const auto& c : {Case{"exit 3", "status", 3, "library"},
                        Case{"kill -KILL $$", "signal", SIGKILL, "want of memory"},
                        Case{"kill -ABRT $$", "signal", SIGABRT, "damaged or hostile"}}) {
    std::filesystem::remove(path);
    std::ofstream{path} << "#!/bin/sh\n" << c.script << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    auto wish = options(model_path("stories260K.gguf"));
    wish.program = path.string();
    const auto worker = start(std::move(wish));
    ASSERT_FALSE(worker);
    EXPECT_EQ(worker.error().code(), Code::unavailable);
    EXPECT_EQ(worker.error().value(c.name, -1), c.value) << worker.error().explain();
    EXPECT_NE(worker.error().fix().find(c.advice), std::string_view::npos)
        << worker.error().explain();
  }
  std::filesystem::remove(path);
}

// A worker process with sockets in the test's own hand.
class RawWorker {
 public:
  RawWorker(std::size_t num_data, std::vector<const char*> extra) {
    const auto weights = open_file(model_path("stories260K.gguf"));
    const auto program = worker_program();
    const auto shards = std::to_string(num_data);
    std::vector<const char*> arguments{program.c_str(), "worker",    "--shards",
                                       shards.c_str(),  "--threads", "1"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    arguments.push_back(nullptr);
    std::vector<UniqueFd> theirs;
    for (std::size_t i = 0; i < num_data + 1; ++i) {
      int ends[2];
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
      sockets_.emplace_back(ends[0]);
      theirs.emplace_back(ends[1]);
    }
    child_ = ::fork();
    if (child_ != 0) return;
    constexpr int kAside = 100;  // first out of the way, then to their places
    ::dup2(weights.get(), kAside + kWeightsDescriptor);
    int place = kControlDescriptor;
    for (const auto& fd : theirs) ::dup2(fd.get(), kAside + place++);
    for (int i = kWeightsDescriptor; i < place; ++i) ::dup2(kAside + i, i);
    const char* const environment[] = {"ASAN_OPTIONS=detect_leaks=0",
                                       nullptr};  // it traces, at exit
    ::execve(program.c_str(), const_cast<char* const*>(arguments.data()),
             const_cast<char* const*>(environment));
    ::_exit(127);
  }
  ~RawWorker() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  RawWorker(const RawWorker&) = delete;
  RawWorker& operator=(const RawWorker&) = delete;

  UniqueFd& control() { return sockets_[0]; }
  UniqueFd& data(std::size_t i) { return sockets_[1 + i]; }
  // The exit status, or minus the signal.
  int wait() {
    int status = 0;
    EXPECT_EQ(::waitpid(child_, &status, 0), child_);
    child_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  static void say(const UniqueFd& socket, BytesView bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  // The next frame, blocking; nullopt at the end of the socket.
  static std::optional<Bytes> hear(const UniqueFd& socket) {
    std::byte raw[4];
    if (::recv(socket.get(), raw, 4, MSG_WAITALL) != 4) return std::nullopt;
    const auto size = *ByteReader{raw}.u32();
    Bytes frame(size);
    if (::recv(socket.get(), frame.data(), size, MSG_WAITALL) != static_cast<ssize_t>(size))
      return std::nullopt;
    return frame;
  }
  // Reads a generation to its last event.
  static std::optional<domain::Event> hear_last(const UniqueFd& socket) {
    while (auto frame = hear(socket)) {
      auto update = decode_update(*frame);
      if (!update) return std::nullopt;
      if (domain::is_last(update->event)) return std::move(update->event);
    }
    return std::nullopt;
  }

 private:
  pid_t child_ = 0;
  std::vector<UniqueFd> sockets_;
};

class RawWorkerTest : public WorkerTest {
 protected:
  static SecretBytes generate(RequestId id, std::uint32_t max_tokens,
                              std::uint32_t credit = 60'000) {
    return encode_command(Generate{id, credit, request("Once upon a time", max_tokens)});
  }
};

TEST_F(RawWorkerTest, TheSandboxStandsAroundALoadedModel) {
  RawWorker worker{1, {"--sandbox-selftest"}};
  EXPECT_EQ(worker.wait(), 0)
      << "number of escapes (see the output above), or 64 and up: not started";
}

TEST_F(RawWorkerTest, AHostileFrontLosesItsOwnSocketOnly) {
  RawWorker worker{5, {}};
  RawWorker::say(worker.data(1), as_bytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(RawWorker::hear(worker.data(1)));
  RawWorker::say(worker.data(2), as_bytes(std::string_view{"\xff\xff\xff\xff", 4}));
  EXPECT_FALSE(RawWorker::hear(worker.data(2)));
  RawWorker::say(worker.data(3), encode_update({1, domain::Started{}}).reveal());
  EXPECT_FALSE(RawWorker::hear(worker.data(3)));
  RawWorker::say(worker.data(4), generate(1, 3000).reveal());
  RawWorker::say(worker.data(4), generate(1, 3000).reveal());  // the same id again
  while (RawWorker::hear(worker.data(4))) {}
  RawWorker::say(worker.data(0), generate(1, 5).reveal());
  const auto last = RawWorker::hear_last(worker.data(0));
  ASSERT_TRUE(last);
  EXPECT_TRUE(std::holds_alternative<domain::Finished>(*last));
}

TEST_F(RawWorkerTest, CancelAndCreditOfUnknownRequestsAreLateAndHarmless) {
  RawWorker worker{1, {}};
  RawWorker::say(worker.data(0), encode_command(Cancel{9}).reveal());
  RawWorker::say(worker.data(0), encode_command(Credit{9, 5}).reveal());
  RawWorker::say(worker.data(0), generate(9, 3000).reveal());
  RawWorker::say(worker.data(0), encode_command(Cancel{9}).reveal());
  const auto last = RawWorker::hear_last(worker.data(0));
  ASSERT_TRUE(last);
  ASSERT_TRUE(std::holds_alternative<domain::Failed>(*last));
  EXPECT_EQ(std::get<domain::Failed>(*last).error.code(), Code::cancelled);
}

TEST_F(RawWorkerTest, CreditIsKeptTo) {
  RawWorker worker{1, {}};
  RawWorker::say(worker.data(0), generate(1, 40, /*credit=*/3).reveal());
  RawWorker::say(worker.data(0), generate(2, 10).reveal());
  std::uint32_t deltas = 0;
  bool second_ended = false;
  while (!second_ended) {
    const auto frame = RawWorker::hear(worker.data(0));
    ASSERT_TRUE(frame);
    const auto update = decode_update(*frame);
    ASSERT_TRUE(update);
    if (update->id == 1 && std::holds_alternative<domain::TextDelta>(update->event)) ++deltas;
    second_ended = update->id == 2 && domain::is_last(update->event);
  }
  EXPECT_LE(deltas, 3u);
  RawWorker::say(worker.data(0), encode_command(Credit{1, 100}).reveal());
  const auto last = RawWorker::hear_last(worker.data(0));
  ASSERT_TRUE(last);
  EXPECT_EQ(std::get<domain::Finished>(*last).usage.completion_tokens, 40u);
}

TEST_F(RawWorkerTest, TheFrontsEndIsItsEnd) {
  RawWorker worker{2, {}};
  RawWorker::say(worker.data(0), generate(1, 3000).reveal());
  ASSERT_TRUE(RawWorker::hear(worker.data(0)));
  worker.control().reset();
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(RawWorkerTest, UnknownArgumentsAreRefused) {
  RawWorker worker{1, {"--no-such-thing", "1"}};
  EXPECT_EQ(worker.wait(), 64);
}

}  // namespace
}  // namespace tacit::engine
