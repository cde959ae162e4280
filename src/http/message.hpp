// HTTP messages without their bodies (RFC 9110), shared by server, client and sealed exchanges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tacit::http {

// Headers keep order and allow repeats; names compare without case. Small by nature: a vector.
class Headers {
 public:
  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  // Replaces every field of that name.
  void set(std::string name, std::string value);
  void remove(std::string_view name);
  // The first value of that name.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  std::size_t count(std::string_view name) const noexcept;
  bool contains(std::string_view name) const noexcept { return find(name).has_value(); }
  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }
  std::size_t size() const noexcept { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Whether a field speaks of one connection only (RFC 9110 section 7.6.1, and Expect, which the
// connection answers): it is not passed on with the message.
bool is_connection_field(std::string_view name) noexcept;

struct RequestHead {
  std::string method;  // "GET"; a token as received, case-sensitive
  std::string target;  // origin-form as received: path and query, percent-encoded
  Headers headers;
  std::string_view path() const noexcept;   // target up to '?'
  std::string_view query() const noexcept;  // after '?', may be empty
};

struct ResponseHead {
  int status = 200;
  Headers headers;
};

// "Not Found" for 404; "" when unknown.
std::string_view reason_phrase(int status) noexcept;

// The API key that a request brings: "Authorization: Bearer KEY" or, without that field,
// "X-Api-Key: KEY". Empty when there is none. Borrows the headers.
std::string_view api_key_of(const Headers& headers) noexcept;

}  // namespace tacit::http
