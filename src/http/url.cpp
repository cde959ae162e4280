#include "http/url.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>
#include <boost/url/url_view.hpp>

#include "core/text.hpp"

namespace tacit::http {

namespace {

namespace urls = boost::urls;

// Boost.URL's own string views, whose names differ from version to version.
std::string_view plain(const auto& text) { return {text.data(), text.size()}; }

Error bad_url() { return Error{Code::invalid_argument, "not an absolute http or https URL"}; }

Result<std::uint16_t> port_of(const urls::url_view& url, std::uint16_t standard) {
  const auto text = plain(url.port());
  if (text.empty()) return standard;
  const auto port = parse_u64(text);
  if (!port || *port == 0 || *port > 65'535) return fail(bad_url());
  return static_cast<std::uint16_t>(*port);
}

Result<Url> take_apart(const urls::url_view& url) {
  Url out;
  const auto scheme = to_lower_ascii(plain(url.scheme()));
  if (scheme != "http" && scheme != "https") return fail(bad_url());
  if (!url.has_authority() || url.encoded_host().empty()) return fail(bad_url());
  if (url.has_userinfo()) {
    return fail(
        Error{Code::invalid_argument, "user information in a URL"}.fix("send a header instead"));
  }
  out.secure = scheme == "https";
  const auto host = to_lower_ascii(plain(url.encoded_host()));
  if (host.find('%') != std::string::npos) return fail(bad_url());
  out.host = host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
  const std::uint16_t standard = out.secure ? 443 : 80;
  TACIT_TRY(out.port, port_of(url, standard));
  out.authority = host;
  if (out.port != standard) out.authority += ':' + std::to_string(out.port);
  out.target = plain(url.encoded_path());
  if (out.target.empty()) out.target = "/";
  if (url.has_query()) out.target.append("?").append(plain(url.encoded_query()));
  return out;
}

}  // namespace

std::string Url::text() const { return (secure ? "https://" : "http://") + authority + target; }

Result<Url> parse_url(std::string_view text) {
  const auto parsed = urls::parse_uri({text.data(), text.size()});
  if (!parsed) return fail(bad_url());
  return take_apart(*parsed);
}

Result<Url> resolve_url(const Url& base, std::string_view reference) {
  const auto base_text = base.text();
  const auto parsed_base = urls::parse_uri(base_text);
  const auto parsed = urls::parse_uri_reference({reference.data(), reference.size()});
  if (!parsed_base || !parsed) return fail(bad_url());
  urls::url resolved;
  if (!urls::resolve(*parsed_base, *parsed, resolved)) return fail(bad_url());
  return take_apart(resolved);
}

Result<Proxy> parse_proxy(std::string_view setting) {
  const auto error = [] {
    return fail(Error{Code::invalid_argument, "proxy setting"}.fix("use http://host:port"));
  };
  const auto parsed = urls::parse_uri({setting.data(), setting.size()});
  if (!parsed || to_lower_ascii(plain(parsed->scheme())) != "http") return error();
  if (!parsed->has_authority() || parsed->encoded_host().empty()) return error();
  Proxy proxy;
  proxy.host = to_lower_ascii(plain(parsed->encoded_host()));
  if (proxy.host.starts_with('[')) proxy.host = proxy.host.substr(1, proxy.host.size() - 2);
  const auto port = port_of(*parsed, 3128);
  if (!port) return error();
  proxy.port = *port;
  if (parsed->has_userinfo()) {
    const auto userinfo = parsed->user() + ":" + parsed->password();
    proxy.authorization = "Basic " + to_base64(as_bytes(userinfo));
  }
  return proxy;
}

bool is_excluded(std::string_view host, std::string_view no_proxy) noexcept {
  while (!no_proxy.empty()) {
    const auto comma = no_proxy.find(',');
    auto entry = trim_ascii(no_proxy.substr(0, comma));
    no_proxy.remove_prefix(comma == std::string_view::npos ? no_proxy.size() : comma + 1);
    if (entry == "*") return true;
    if (entry.starts_with('.')) entry.remove_prefix(1);
    if (entry.empty() || entry.size() > host.size()) continue;
    const auto start = host.size() - entry.size();
    if (!iequals_ascii(host.substr(start), entry)) continue;
    if (start == 0 || host[start - 1] == '.') return true;
  }
  return false;
}

}  // namespace tacit::http
