#include "cli/process_limits.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

namespace tacit::cli {
namespace {

TEST(ProcessLimits, ACrashLeavesNoCore) {
  const auto child = ::fork();
  if (child == 0) {
    forbid_core_dumps();
    rlimit limit{};
    if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) ::_exit(1);
    std::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
    ::_exit(2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  EXPECT_FALSE(WCOREDUMP(status));
}

TEST(ProcessLimits, LockedMemoryIsLocked) {
  const auto child = ::fork();
  if (child == 0) {
    const auto lock = lock_memory();
    std::string touched(1 << 20, 'x');
    std::ifstream status{"/proc/self/status"};
    std::string line;
    while (std::getline(status, line) && !line.starts_with("VmLck:")) {}
    const bool some = std::strtoul(line.c_str() + 6, nullptr, 10) >= 1024;
    ::_exit(some == (lock == MemoryLock::locked) && touched[1] == 'x' ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(ProcessLimits, ClosedStandardDescriptorsAreTakenByNothingElse) {
  const auto child = ::fork();
  if (child == 0) {
    ::close(STDIN_FILENO);
    ::close(STDERR_FILENO);
    open_standard_descriptors();
    ::_exit(::dup(STDOUT_FILENO) > STDERR_FILENO ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(ProcessLimits, DescriptorsAreRaisedToTheHardLimitAtMost) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{std::min<rlim_t>(64, before.rlim_max), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(raise_descriptor_limit(32), low.rlim_cur) << "it never lowers";
  EXPECT_EQ(raise_descriptor_limit(100), std::min<rlim_t>(100, before.rlim_max));
  EXPECT_LE(raise_descriptor_limit(static_cast<std::size_t>(-1)), before.rlim_max);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(ProcessLimits, TooFewDescriptorsAreRefusedWithBothNumbers) {
  const auto child = ::fork();
  if (child == 0) {
    const rlimit few{8, 40};
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) ::_exit(1);
    if (!need_descriptors(1)) ::_exit(2);  // within the hard limit
    const auto refused = need_descriptors(100);
    if (refused || refused.error().value("limit") != 40) ::_exit(3);
    ::_exit(refused.error().value("needed") > 500 ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace tacit::cli
