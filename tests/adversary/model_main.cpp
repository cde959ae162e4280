// The model: random schedules of the sealed channel, both ends simulated.
//
//   tacit_adversary_model [--schedules N] [--seed S] [--only K]
//
// Schedule K of seed S is the same whenever it is run: --only K repeats one that failed.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "core/text.hpp"
#include "schedule.hpp"

using namespace tacit;

namespace {

struct Options {
  std::uint64_t schedules = 5000;
  std::uint64_t seed = 1;
  std::optional<std::uint64_t> only;
};

std::optional<Options> options_of(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name{argv[i]};
    const auto value = parse_u64(argv[i + 1]);
    if (!value) return std::nullopt;
    if (name == "--schedules") options.schedules = *value;
    if (name == "--seed") options.seed = *value;
    if (name == "--only") options.only = *value;
  }
  return argc % 2 == 1 ? std::optional{options} : std::nullopt;
}

constexpr std::string_view kMoods[] = {"calm", "rough", "hostile"};

}  // namespace

int main(int argc, char** argv) {
  const auto options = options_of(argc, argv);
  if (!options) {
    std::puts("usage: tacit_adversary_model [--schedules N] [--seed S] [--only K]");
    return 2;
  }
  adversary::Cast cast;
  struct {
    std::uint64_t schedules = 0;
    std::size_t requests = 0;
    std::size_t done = 0;
    std::size_t attacks = 0;
  } sums[3];
  std::uint64_t num_bad = 0;
  const auto first = options->only.value_or(0);
  const auto end = options->only ? first + 1 : options->schedules;
  for (auto k = first; k < end; ++k) {
    const auto outcome = adversary::run_schedule(cast, options->seed * 1'000'003 + k);
    auto& sum = sums[static_cast<std::size_t>(outcome.mood)];
    ++sum.schedules;
    sum.requests += outcome.num_requests;
    sum.done += outcome.num_done;
    sum.attacks += outcome.num_attacks;
    if (outcome.violations.empty()) continue;
    ++num_bad;
    for (const auto& violation : outcome.violations) {
      fmt::print("schedule {} ({}): {}\n", k, kMoods[static_cast<std::size_t>(outcome.mood)],
                 violation);
    }
    fmt::print("  repeat it with --seed {} --only {}\n", options->seed, k);
    if (num_bad == 20) break;
  }
  fmt::print("{:<8} {:>10} {:>10} {:>10} {:>10}\n", "mood", "schedules", "requests", "answered",
             "attacks");
  for (std::size_t i = 0; i < 3; ++i) {
    fmt::print("{:<8} {:>10} {:>10} {:>10} {:>10}\n", kMoods[i], sums[i].schedules,
               sums[i].requests, sums[i].done, sums[i].attacks);
  }
  fmt::print("{} schedules break a property\n", num_bad);
  return num_bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
