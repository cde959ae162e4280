#include "engine/machine_memory.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace tacit::engine {
namespace {

TEST(MeminfoFreeBytes, AddsAvailableMemoryAndSwap) {
  EXPECT_EQ(meminfo_free_bytes("MemTotal:       100 kB\nMemFree:  1 kB\nMemAvailable:    8192 kB\n"
                               "SwapTotal:  9 kB\nSwapFree:         16 kB\n"),
            8208u * 1024);
  EXPECT_EQ(meminfo_free_bytes("MemAvailable: 5 kB"), 5u * 1024);  // no swap, no newline
}

TEST(MeminfoFreeBytes, KnowsNothingFromOtherText) {
  for (const char* text : {"", "\n\n", "MemAvailable:", "MemAvailable: kB", "MemAvailable: -5 kB",
                           "MemAvailable: 5 MB", "NotMemAvailable: 5 kB", "MemAvailable: 5x kB"}) {
    EXPECT_EQ(meminfo_free_bytes(text), std::nullopt) << text;
  }
  const auto huge = std::to_string(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(meminfo_free_bytes("MemAvailable: " + huge + " kB\n"), std::nullopt);
  const auto most = std::to_string(std::numeric_limits<std::uint64_t>::max() / 1024);
  EXPECT_EQ(meminfo_free_bytes("MemAvailable: " + most + " kB\nSwapFree: " + most + " kB\n"),
            std::numeric_limits<std::uint64_t>::max());
}

TEST(UsableMemoryBytes, IsSomethingOnARealMachine) {
  EXPECT_GT(usable_memory_bytes(), std::uint64_t{1} << 20);
}

}  // namespace
}  // namespace tacit::engine
