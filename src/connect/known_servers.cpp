#include "connect/known_servers.hpp"

#include <algorithm>
#include <vector>

#include "store/file.hpp"

namespace tacit::connect {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

}  // namespace

Result<std::vector<KnownServers::Entry>> KnownServers::read() const {
  const auto bytes = store::read_file(file_, kFileBytesMax);
  if (!bytes && bytes.error().code() == Code::not_found) return std::vector<Entry>{};
  if (!bytes) return fail(bytes.error());
  std::vector<Entry> entries;
  auto rest = as_text(*bytes);
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.empty() || line.starts_with('#')) continue;
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos || blank == 0 || blank + 1 == line.size()) {
      return fail(Error{Code::malformed, "the file of known servers has a line that is none"}
                      .about(PublicText{file_.string()})
                      .fix("Each line is a URL, a blank and a fingerprint"));
    }
    entries.push_back({std::string{line.substr(0, blank)}, std::string{line.substr(blank + 1)}});
  }
  return entries;
}

Result<void> KnownServers::write(const std::vector<Entry>& entries) {
  std::string text = "# Servers that tacit connect knows: URL and fingerprint of the identity.\n";
  for (const auto& entry : entries) text += entry.url + ' ' + entry.fingerprint + '\n';
  return store::write_file_atomically(file_, as_bytes(text), 0600);
}

Result<std::optional<std::string>> KnownServers::find(std::string_view url) const {
  const std::scoped_lock lock{mutex_};
  TACIT_TRY(const auto entries, read());
  const auto found = std::ranges::find(entries, url, &Entry::url);
  if (found == entries.end()) return std::nullopt;
  return found->fingerprint;
}

Result<void> KnownServers::pin(std::string_view url, std::string_view fingerprint) {
  const std::scoped_lock lock{mutex_};
  TACIT_TRY(auto entries, read());
  std::erase_if(entries, [url](const Entry& entry) { return entry.url == url; });
  entries.push_back({std::string{url}, std::string{fingerprint}});
  return write(entries);
}

Result<void> KnownServers::forget(std::string_view url) {
  const std::scoped_lock lock{mutex_};
  TACIT_TRY(auto entries, read());
  if (std::erase_if(entries, [url](const Entry& entry) { return entry.url == url; }) == 0) {
    return fail(
        Error{Code::not_found, "no such server is known"}.about(PublicText{std::string{url}}));
  }
  return write(entries);
}

}  // namespace tacit::connect
