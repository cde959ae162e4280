#include "cli/http_environment.hpp"

#include "core/text.hpp"
#include "store/file.hpp"

namespace tacit::cli {
namespace {

constexpr std::size_t kKeyFileBytesMax = 4096;

}  // namespace

http::ClientOptions http_options(const Environment& environment) {
  http::ClientOptions out;
  // As curl: upper case for https only, because a CGI program's HTTP_PROXY comes from its client.
  const auto variable = [&](const char* lower, const char* upper) {
    return environment.variable(lower).value_or(environment.variable(upper).value_or(""));
  };
  out.https_proxy = variable("https_proxy", "HTTPS_PROXY");
  out.http_proxy = environment.variable("http_proxy").value_or("");
  out.no_proxy = variable("no_proxy", "NO_PROXY");
  out.limits.redirects_max = 0;
  return out;
}

std::string server_url(std::string given) {
  while (given.ends_with('/')) given.pop_back();
  if (given.find("://") == std::string::npos) given.insert(0, "https://");
  return given;
}

Result<SecretText> api_key(const Environment& environment, const std::string& file) {
  if (file.empty()) return SecretText{environment.variable("TACIT_API_KEY").value_or("")};
  TACIT_TRY(auto bytes, store::read_file(file, kKeyFileBytesMax));
  auto text = as_text(bytes);
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  SecretText key{trim_ascii(text)};
  wipe(bytes);
  return key;
}

}  // namespace tacit::cli
