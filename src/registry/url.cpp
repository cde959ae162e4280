#include "registry/url.hpp"

#include <algorithm>
#include <cstddef>

#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>
#include <boost/url/url_view.hpp>

#include "core/bytes.hpp"
#include "core/text.hpp"

namespace tacit::registry {
namespace urls = boost::urls;

namespace {

constexpr std::size_t kUrlBytesMax = 8192;

bool is_http(const urls::url_view& url) {
  return url.scheme_id() == urls::scheme::http || url.scheme_id() == urls::scheme::https;
}

// How many '@' there are between "//" and the path. Boost.URL 1.81 lets some authorities with
// several pass, which the grammar does not know; where the host starts must not be a matter of
// opinion.
std::ptrdiff_t ats_in_authority(std::string_view url) {
  const auto start = url.find("//");
  if (start == std::string_view::npos) return 0;
  const auto authority = url.substr(start + 2);
  return std::ranges::count(authority.substr(0, authority.find_first_of("/?#")), '@');
}

// RFC 3986 section 5.2.4: "/a/b/../c" is "/a/c"; what would lead above the root stays at it.
std::string without_dot_segments(std::string_view path) {
  std::string out;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const auto slash = path.find('/');
    const auto segment = path.substr(0, slash);
    const bool last = slash == std::string_view::npos;
    if (segment == "..") out.resize(out.empty() ? 0 : out.rfind('/'));
    if (segment != "." && segment != "..")
      out.append("/").append(segment);
    else if (last)
      out += '/';
    if (last) return out;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

Result<IndexUrl> parse_index_url(std::string_view text) {
  const auto bad = [] {
    return fail(
        Error{Code::invalid_argument, "the package index's address is not an http(s) URL"}.fix(
            "Set PIP_INDEX_URL, or index-url in pip's configuration, to one such as "
            "https://pypi.org/simple"));
  };
  if (text.size() > kUrlBytesMax) return bad();
  const auto parsed = urls::parse_uri(text);
  if (!parsed || !is_http(*parsed) || parsed->host().empty() || ats_in_authority(text) > 1) {
    return bad();
  }
  urls::url url{*parsed};
  IndexUrl out;
  if (url.has_userinfo()) {
    const std::string credentials = url.user() + ":" + url.password();
    out.authorization = "Basic " + to_base64(as_bytes(credentials));
    url.remove_userinfo();
  }
  url.remove_fragment();
  url.remove_query();
  out.url = std::string{url.buffer().data(), url.buffer().size()};
  while (out.url.ends_with('/')) out.url.pop_back();
  out.origin = origin_of(out.url);
  return out;
}

// By text, because resolving with Boost.URL also decodes what may stay encoded: to some servers "+"
// and
// "%2B" in a file's name are two files.
Result<std::string> resolve_url(std::string_view base, std::string_view reference) {
  const auto bad = [] {
    return fail(Code::malformed, "an address on the index page is not a URL");
  };
  reference = reference.substr(0, reference.find('#'));
  if (base.size() > kUrlBytesMax || reference.size() > kUrlBytesMax || reference.empty()) {
    return bad();
  }
  const auto from = urls::parse_uri(base);
  const auto to = urls::parse_uri_reference(reference);
  if (!from || !to || !is_http(*from)) return bad();
  const std::string scheme{from->scheme().data(), from->scheme().size()};
  const std::string authority{from->encoded_authority().data(), from->encoded_authority().size()};
  std::string out;
  if (to->has_scheme()) {
    out = reference;
  } else if (to->has_authority()) {
    out = scheme + ":" + std::string{reference};
  } else {
    std::string path{reference};
    if (!path.starts_with('/')) {
      const std::string folder{from->encoded_path().data(), from->encoded_path().size()};
      path = folder.substr(0, folder.rfind('/') + 1) + path;
    }
    const auto query = path.find('?');
    out = scheme + "://" + authority + without_dot_segments(path.substr(0, query));
    if (query != std::string::npos) out += path.substr(query);
  }
  const auto whole = urls::parse_uri(out);
  if (!whole || !is_http(*whole) || whole->host().empty() || ats_in_authority(out) > 0)
    return bad();
  return out;
}

std::string origin_of(std::string_view url) {
  const auto parsed = urls::parse_uri(url);
  if (!parsed || !is_http(*parsed)) return {};
  const bool secure = parsed->scheme_id() == urls::scheme::https;
  const std::string port = parsed->has_port() && !parsed->port().empty()
                               ? std::string{parsed->port().data(), parsed->port().size()}
                           : secure ? "443"
                                    : "80";
  return (secure ? "https://" : "http://") + to_lower_ascii(parsed->host()) + ":" + port;
}

std::string host_of(std::string_view url) {
  const auto parsed = urls::parse_uri(url);
  if (!parsed) return {};
  return std::string{parsed->encoded_host_and_port().data(),
                     parsed->encoded_host_and_port().size()};
}

}  // namespace tacit::registry
