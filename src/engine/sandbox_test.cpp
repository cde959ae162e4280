// Each test enters the sandbox in a forked child and reports through the child's exit status.
#include "engine/sandbox.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>

namespace tacit::engine {
namespace {

// Runs `body` in a child; its exit status, or minus the signal that killed it.
int in_child(const std::function<int()>& body) {
  const auto child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Names of the escapes that were not denied, written to `report` for the parent to show.
int num_escapes(const std::set<std::string_view>& only = {}) {
  int escaped = 0;
  for (const auto& escape : try_to_escape()) {
    if (!only.empty() && !only.contains(escape.name)) continue;
    if (escape.denied) continue;
    (void)!::write(STDERR_FILENO, escape.name.data(), escape.name.size());
    (void)!::write(STDERR_FILENO, " escaped\n", 9);
    ++escaped;
  }
  return escaped;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TACIT_UNDER_SANITIZER 1
#endif
#endif

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef TACIT_UNDER_SANITIZER
    // A sanitizer's own threads exist before main, and it may not be sandboxed in a forked child.
    GTEST_SKIP() << "SKIPPED: not under a sanitizer";
#endif
  }
};

TEST_F(SandboxTest, EveryEscapeIsDenied) {
  const auto bait = std::filesystem::path{"/tmp/tacit-sandbox-bait"};
  if (auto* file = std::fopen(bait.c_str(), "w")) std::fclose(file);
  const int status = in_child([] {
    if (!enter_sandbox({})) return 99;
    return num_escapes();
  });
  EXPECT_EQ(status, 0) << "number of escapes, or 99: not entered";
  EXPECT_TRUE(std::filesystem::exists(bait));
  EXPECT_FALSE(std::filesystem::exists("/tmp/tacit-sandbox-escape"));
  EXPECT_FALSE(std::filesystem::exists("/tmp/tacit-sandbox-escape.d"));
  std::filesystem::remove(bait);
}

TEST_F(SandboxTest, TheAttemptsSucceedWithoutIt) {
  // What shows that the self-test would notice: outside, several of its attempts do get through.
  const int status = in_child([] {
    int through = 0;
    for (const int fd : {::socket(AF_UNIX, SOCK_STREAM, 0), ::open("/etc/passwd", O_RDONLY)})
      through += fd >= 0;
    const auto child = ::fork();
    if (child == 0) ::_exit(0);
    through += child > 0;
    return through;
  });
  EXPECT_EQ(status, 3);
}

TEST_F(SandboxTest, LandlockAloneStopsFilesAndConnections) {
  const auto abi = probe_sandbox().landlock_abi;
  if (abi == 0) GTEST_SKIP() << "SKIPPED: this kernel has no Landlock";
  std::set<std::string_view> names{"open for reading", "write a file", "make a folder", "execve"};
  if (abi >= 4) names.insert("connect");
  if (abi >= 6) names.insert("signal parent");
  EXPECT_EQ(in_child([&] {
              if (!enter_sandbox({.use_seccomp = false})) return 99;
              return num_escapes(names);
            }),
            0);
}

TEST_F(SandboxTest, SeccompAloneStopsEverything) {
  if (!probe_sandbox().seccomp) GTEST_SKIP() << "SKIPPED: this kernel has no seccomp";
  EXPECT_EQ(in_child([] {
              if (!enter_sandbox({.use_landlock = false})) return 99;
              return num_escapes();
            }),
            0);
}

TEST_F(SandboxTest, TheReportSaysWhatStands) {
  const auto offered = probe_sandbox();
  EXPECT_EQ(in_child([&] {
              const auto report = enter_sandbox({.use_landlock = false});
              if (!report) return 99;
              if (report->landlock_abi != 0) return 1;
              if (report->seccomp != offered.seccomp) return 2;
              if (!report->no_new_privileges || !report->resource_limits || !report->core_dumps_off)
                return 3;
              return 0;
            }),
            0);
}

TEST_F(SandboxTest, WorkGoesOnInside) {
  EXPECT_EQ(in_child([] {
              int pair[2];
              if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 98;
              if (!enter_sandbox({})) return 99;
              int answer = 0;
              std::thread thread{[&answer] {
                std::vector<char> memory(8 << 20, 'x');
                answer = memory.back();
              }};
              thread.join();
              if (answer != 'x') return 1;
              if (::send(pair[0], "hi", 2, MSG_NOSIGNAL) != 2) return 2;
              char got[2];
              if (::read(pair[1], got, 2) != 2) return 3;
              std::random_device random;
              static_cast<void>(random());
              struct stat info{};
              return ::fstat(pair[0], &info) == 0 ? 0 : 4;
            }),
            0);
}

TEST_F(SandboxTest, ACrashInsideLeavesNoCoreAndIsReported) {
  EXPECT_EQ(in_child([] {
              if (!enter_sandbox({})) return 99;
              rlimit limit{};
              if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) return 1;
              std::abort();
            }),
            -SIGABRT);
}

TEST_F(SandboxTest, IsRefusedWithTwoThreads) {
  EXPECT_EQ(in_child([] {
              std::atomic<bool> stop{false};
              std::thread thread{[&stop] {
                while (!stop) std::this_thread::yield();
              }};
              const bool refused = !enter_sandbox({});
              stop = true;
              thread.join();
              return refused ? 0 : 1;
            }),
            0);
}

TEST_F(SandboxTest, MemoryLimitHolds) {
  EXPECT_EQ(in_child([] {
              if (!enter_sandbox({.memory_bytes_max = 1ull << 30})) return 99;
              void* const memory = ::mmap(nullptr, 2ull << 30, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return memory == MAP_FAILED ? 0 : 1;
            }),
            0);
}

TEST_F(SandboxTest, DataLimitHoldsButSparesMappedFiles) {
  EXPECT_EQ(in_child([] {
              if (!enter_sandbox({.data_bytes_max = 1ull << 30})) return 99;
              const auto map = [](int protection, int flags) {
                return ::mmap(nullptr, 2ull << 30, protection, flags | MAP_ANONYMOUS, -1, 0) !=
                       MAP_FAILED;
              };
              if (map(PROT_READ | PROT_WRITE, MAP_PRIVATE)) return 1;
              return map(PROT_READ, MAP_PRIVATE) ? 0 : 2;  // as weights are
            }),
            0);
}

TEST(SandboxDescriptors, StraysAreClosed) {
  EXPECT_EQ(in_child([] {
              const int fd = ::open("/dev/null", O_RDONLY);
              const int stray = ::fcntl(fd, F_DUPFD, 200);
              close_stray_descriptors(100);
              return ::fcntl(stray, F_GETFD) == -1 && ::fcntl(fd, F_GETFD) != -1 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace tacit::engine
