#include "cli/http_environment.hpp"

namespace tacit::cli {

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

}  // namespace tacit::cli
