// Writing JSON by hand for the hot path: no tree, one buffer, wiped on release.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/secret.hpp"

namespace tacit::api {

// JsonText appends pieces of JSON. It does not check structure: its users are small and tested.
class JsonText {
 public:
  // Appends as is.
  JsonText& raw(std::string_view json) {
    out_.append(json);
    return *this;
  }
  // Appends a JSON string with quotes (RFC 8259 section 7; `text` is UTF-8).
  JsonText& string(std::string_view text);
  // The same for bytes that may be no UTF-8: what is none becomes U+FFFD.
  JsonText& string_of_bytes(std::string_view bytes);
  JsonText& number(std::int64_t value);
  // The shortest text that reads back as the same value; one that is not finite becomes null.
  JsonText& real(double value);
  JsonText& real(float value);
  JsonText& boolean(bool value) { return raw(value ? "true" : "false"); }

  bool empty() const noexcept { return out_.empty(); }
  const SecretText& text() const noexcept { return out_; }
  SecretText take() && noexcept { return std::move(out_); }

 private:
  SecretText out_;
};

// `text` when it is one JSON object, else "{}": arguments of a tool call that was cut off.
std::string_view valid_object(std::string_view text);

}  // namespace tacit::api
