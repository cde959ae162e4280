#include "async/subprocess.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <csignal>

#include "async/async_testing.hpp"
#include "async/runtime.hpp"
#include "async/signals.hpp"
#include "async/stream.hpp"

namespace tacit::async {
namespace {

SpawnOptions shell(std::string script) {
  SpawnOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", std::move(script)};
  return options;
}

TACIT_ASYNC_TEST(Subprocess, ExitCodeAndSignal) {
  auto child = Subprocess::spawn(io.get_executor(), shell("exit 7"));
  TACIT_CO_ASSERT(child);
  for (int twice = 0; twice < 2; ++twice) {
    const auto status = co_await (*child)->wait(Deadline::after(Seconds{20}));
    TACIT_CO_ASSERT(status);
    EXPECT_TRUE(status->exited);
    EXPECT_EQ(status->code, 7);
  }
  (*child)->kill(SIGKILL);  // after its end: nothing happens

  auto sleeper = Subprocess::spawn(io.get_executor(), shell("exec sleep 1000"));
  TACIT_CO_ASSERT(sleeper);
  const auto early = co_await (*sleeper)->wait(Deadline::after(Milliseconds{5}));
  TACIT_CO_ASSERT(!early);
  EXPECT_EQ(early.error().code(), Code::deadline_exceeded);
  (*sleeper)->kill(SIGTERM);
  const auto status = co_await (*sleeper)->wait(Deadline::after(Seconds{20}));
  TACIT_CO_ASSERT(status);
  EXPECT_FALSE(status->exited);
  EXPECT_EQ(status->signal, SIGTERM);
}

TACIT_ASYNC_TEST(Subprocess, ProgramThatCannotStart) {
  SpawnOptions options;
  options.program = "/no/such/program";
  const auto missing = Subprocess::spawn(io.get_executor(), options);
  TACIT_CO_ASSERT(!missing);
  EXPECT_EQ(missing.error().code(), Code::not_found);
  options.program = "/etc/passwd";
  const auto no_program = Subprocess::spawn(io.get_executor(), options);
  TACIT_CO_ASSERT(!no_program);
  EXPECT_EQ(no_program.error().code(), Code::permission);
}

TACIT_ASYNC_TEST(Subprocess, OutOfDescriptorsSaysWhatToRaise) {
  rlimit before{};
  TACIT_CO_ASSERT(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  auto none = before;
  none.rlim_cur = 0;
  TACIT_CO_ASSERT(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto child = Subprocess::spawn(io.get_executor(), shell("exit 0"));
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  TACIT_CO_ASSERT(!child);
  EXPECT_EQ(child.error().code(), Code::io);
  EXPECT_NE(child.error().fix().find("ulimit -n"), std::string_view::npos);
}

Async<std::string> read_to_end(Stream& stream) {
  std::string text;
  std::array<std::byte, 256> buffer;
  for (;;) {
    TACIT_CO_TRY(const auto n, co_await stream.read_some(buffer, Deadline::after(Seconds{20})));
    if (n == 0) co_return text;
    text += as_text(BytesView{buffer}.first(n));
  }
}

// The child sees exactly the descriptors it was given, in their places, and only its environment.
TACIT_ASYNC_TEST(Subprocess, InheritsNothingElse) {
  int a[2] = {-1, -1};
  int b[2] = {-1, -1};
  TACIT_CO_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0);  // inheritable on purpose
  TACIT_CO_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
  const UniqueFd a_child{a[1]};
  const UniqueFd b_child{b[1]};
  const UniqueFd keep_a{a[0]};
  const UniqueFd keep_b{b[0]};
  auto options =
      shell("echo /proc/self/fd/* >&3; read line; echo \"got ${line:-nothing} $NAME$HOME\" >&4");
  options.environment = {"NAME=value"};
  // The same one twice; its number may be the place of another.
  options.descriptors = {b_child.get(), b_child.get()};
  auto child = Subprocess::spawn(io.get_executor(), options);
  TACIT_CO_ASSERT(child);
  const auto status = co_await (*child)->wait(Deadline::after(Seconds{20}));
  TACIT_CO_ASSERT(status);
  EXPECT_EQ(status->code, 0);
  std::array<char, 512> text{};
  const auto n = ::recv(keep_b.get(), text.data(), text.size(), MSG_DONTWAIT);
  const std::string said{text.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
  EXPECT_NE(
      said.find("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3 /proc/self/fd/4"),
      std::string::npos)
      << said;
  EXPECT_NE(said.find("got nothing value\n"), std::string::npos) << said;
  // The shell itself holds one more while it lists the folder, never the pair that was not given.
  EXPECT_EQ(said.find("/proc/self/fd/6"), std::string::npos) << said;
}

TACIT_ASYNC_TEST(Subprocess, SpeaksOverAGivenSocket) {
  int ends[2] = {-1, -1};
  TACIT_CO_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  auto stream = wrap_fd(io.get_executor(), UniqueFd{ends[0]});
  UniqueFd theirs{ends[1]};
  auto options = shell("read line <&3; echo \"echo $line\" >&3");
  options.descriptors = {theirs.get()};
  auto child = Subprocess::spawn(io.get_executor(), options);
  TACIT_CO_ASSERT(child && stream);
  theirs.reset();
  EXPECT_TRUE((co_await (*stream)->write(as_bytes("hello\n"), Deadline::never())).has_value());
  EXPECT_EQ((co_await read_to_end(**stream)).value_or("failed"), "echo hello\n");
  EXPECT_TRUE((co_await (*child)->wait(Deadline::after(Seconds{20}))).has_value());
}

TACIT_ASYNC_TEST(Subprocess, DestructorKillsAndReaps) {
  pid_t pid = 0;
  {
    auto child = Subprocess::spawn(io.get_executor(), shell("exec sleep 1000"));
    TACIT_CO_ASSERT(child);
    pid = (*child)->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TACIT_ASYNC_TEST(SignalSet, CatchesSignals) {
  SignalSet signals{io.get_executor(), {SIGUSR1, SIGUSR2}};
  ::raise(SIGUSR2);
  EXPECT_EQ((co_await signals.next()).value_or(0), SIGUSR2);
  ::raise(SIGUSR1);
  EXPECT_EQ((co_await signals.next()).value_or(0), SIGUSR1);
}

Task<> count_and_stop(Runtime& runtime, std::atomic<int>& count) {
  if (++count == static_cast<int>(runtime.size())) runtime.stop();
  co_return;
}

TEST(Runtime, EveryShardRuns) {
  Runtime runtime{3};
  EXPECT_EQ(runtime.size(), 3U);
  std::atomic<int> count{0};
  std::vector<std::unique_ptr<TaskGroup>> groups;
  for (std::size_t i = 0; i < runtime.size(); ++i) {
    EXPECT_EQ(runtime.shard(i).index, i);
    groups.push_back(std::make_unique<TaskGroup>(runtime.shard(i).io.get_executor()));
    groups.back()->spawn(count_and_stop(runtime, count));
  }
  runtime.run();
  runtime.join();
  EXPECT_EQ(count, 3);
}

TEST(Runtime, StartReturnsAndStopEnds) {
  Runtime runtime{2};
  runtime.start();
  runtime.stop();
  runtime.stop();
  runtime.join();
}

}  // namespace
}  // namespace tacit::async
