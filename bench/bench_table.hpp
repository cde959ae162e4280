// For benchmarks with a loop of their own: a table, a line of JSON, and the machine's name.
#pragma once

#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#if defined(__OPTIMIZE__) && defined(NDEBUG)
#define TACIT_BENCH_BUILD "release"
#else
#define TACIT_BENCH_BUILD "not a release build"
#endif

namespace tacit::bench {

struct Row {
  std::string name;  // "request.p50"
  double value = 0;
  std::string unit;  // "us"
  double limit = 0;  // 0: none
};

inline std::string cpu_model() {
  std::ifstream info{"/proc/cpuinfo"};
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

inline double percentile(std::vector<double>& values, double p) {
  const auto at = static_cast<std::size_t>(p * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

inline void print(const std::string& title, const std::vector<Row>& rows) {
  utsname kernel{};
  ::uname(&kernel);
  const auto machine = cpu_model() + ", " + std::to_string(std::thread::hardware_concurrency()) +
                       " threads, Linux " + kernel.release;
  std::printf("%s  (%s; build %s)\n", title.c_str(), machine.c_str(), TACIT_BENCH_BUILD);
  for (const auto& row : rows) {
    std::printf("  %-42s %10.2f %-6s", row.name.c_str(), row.value, row.unit.c_str());
    if (row.limit > 0)
      std::printf("  limit %.0f%s", row.limit, row.value <= row.limit ? "" : "  EXCEEDED");
    std::printf("\n");
  }
  std::printf("{\"bench\":\"%s\",\"machine\":\"%s\",\"build\":\"%s\"", title.c_str(),
              machine.c_str(), TACIT_BENCH_BUILD);
  for (const auto& row : rows)
    std::printf(",\"%s_%s\":%.3f", row.name.c_str(), row.unit.c_str(), row.value);
  std::printf("}\n");
}

}  // namespace tacit::bench
