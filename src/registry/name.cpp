#include "registry/name.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace tacit::registry {
namespace {

constexpr std::size_t kNameBytesMax = 128;

bool is_alphanumeric(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_part(std::string_view part) noexcept {
  return !part.empty() && is_alphanumeric(part.front()) && std::ranges::all_of(part, [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
  });
}

// Levenshtein's distance, one row at a time.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

bool is_model_name(std::string_view name) noexcept {
  if (name.size() > kNameBytesMax) return false;
  if (const auto colon = name.find(':'); colon != std::string_view::npos) {
    if (!is_part(name.substr(colon + 1))) return false;
    name = name.substr(0, colon);
  }
  if (const auto slash = name.find('/'); slash != std::string_view::npos) {
    if (!is_part(name.substr(0, slash))) return false;
    name = name.substr(slash + 1);
  }
  return is_part(name);
}

std::string file_name_of(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '/')
      out += "%2F";
    else if (c == ':')
      out += "%3A";
    else
      out += c;
  }
  return out;
}

PublicText printable(std::string_view foreign) {
  constexpr std::size_t shown_max = 80;
  std::string out;
  for (const char c : foreign.substr(0, shown_max)) out += c >= ' ' && c <= '~' ? c : '?';
  if (foreign.size() > shown_max) out += "...";
  return PublicText{std::move(out)};
}

std::vector<std::string> near_names(std::string_view name, const std::vector<std::string>& known) {
  name = name.substr(0, kNameBytesMax);
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const auto& candidate : known) {
    const bool begins = name.size() >= 3 && candidate.starts_with(name);
    const auto mistakes = begins ? 0 : distance(name, candidate);
    if (mistakes <= std::max<std::size_t>(1, name.size() / 4)) {
      ranked.emplace_back(mistakes, candidate);
    }
  }
  std::ranges::sort(ranked);
  std::vector<std::string> out;
  for (auto& [mistakes, candidate] : ranked) {
    if (out.size() < 3) out.push_back(std::move(candidate));
  }
  return out;
}

}  // namespace tacit::registry
