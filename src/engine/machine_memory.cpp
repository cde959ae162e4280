#include "engine/machine_memory.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "core/text.hpp"

namespace tacit::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMax = 64 * 1024;
constexpr const char* kControlGroups = "/sys/fs/cgroup";

std::string read_small_file(const fs::path& path) {
  std::string text(kFileBytesMax, '\0');
  std::ifstream file{path};
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

// The number of KiB in a line such as "MemAvailable:    8192 kB", as bytes.
std::optional<std::uint64_t> meminfo_line(std::string_view meminfo, std::string_view name) {
  while (!meminfo.empty()) {
    const auto end = std::min(meminfo.find('\n'), meminfo.size());
    auto line = meminfo.substr(0, end);
    meminfo.remove_prefix(std::min(end + 1, meminfo.size()));
    if (!line.starts_with(name) || !line.ends_with(" kB")) continue;
    line.remove_prefix(name.size());
    line.remove_suffix(3);
    const auto kib = parse_u64(trim_ascii(line));
    if (kib && *kib <= std::numeric_limits<std::uint64_t>::max() / 1024) return *kib * 1024;
  }
  return std::nullopt;
}

// What the control group `group` and those above it leave.
std::uint64_t control_group_free_bytes() {
  auto free = std::numeric_limits<std::uint64_t>::max();
  constexpr std::string_view unified = "0::/";
  const auto groups = read_small_file("/proc/self/cgroup");
  const auto at = groups.find(unified);
  if (at == std::string::npos) return free;
  const auto begin = at + unified.size();
  fs::path group = fs::path{kControlGroups} / groups.substr(begin, groups.find('\n', at) - begin);
  for (; group.string().starts_with(kControlGroups); group = group.parent_path()) {
    const auto limit = parse_u64(trim_ascii(read_small_file(group / "memory.max")));
    const auto used = parse_u64(trim_ascii(read_small_file(group / "memory.current")));
    if (limit && used) free = std::min(free, *limit - std::min(*limit, *used));
  }
  return free;
}

}  // namespace

std::optional<std::uint64_t> meminfo_free_bytes(std::string_view meminfo) {
  const auto available = meminfo_line(meminfo, "MemAvailable:");
  if (!available) return std::nullopt;
  const auto swap = meminfo_line(meminfo, "SwapFree:").value_or(0);
  return *available + std::min(swap, std::numeric_limits<std::uint64_t>::max() - *available);
}

std::uint64_t usable_memory_bytes() {
  const auto machine = meminfo_free_bytes(read_small_file("/proc/meminfo"));
  if (!machine) return 0;
  return std::min(*machine, control_group_free_bytes()) / 10 * 9;
}

}  // namespace tacit::engine
