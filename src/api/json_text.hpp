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
  JsonText& number(std::int64_t value);
  JsonText& boolean(bool value) { return raw(value ? "true" : "false"); }

  const SecretText& text() const noexcept { return out_; }
  SecretText take() && noexcept { return std::move(out_); }

 private:
  SecretText out_;
};

}  // namespace tacit::api
