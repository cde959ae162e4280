// Private to api: a bounded JSON tree whose memory is wiped, and typed access that names the field.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "core/error.hpp"

namespace tacit::api {

struct JsonLimits {
  std::size_t body_bytes_max = 32 * 1024 * 1024;
  std::size_t depth_max = 64;
  std::size_t values_max = 500'000;  // a body of "[1,1,1..." costs 25 times its size in memory
};

// JsonDocument owns a parsed body. Duplicate keys: the last one counts (as Python's json). Invalid
// UTF-8, NaN, comments and trailing commas are malformed (RFC 8259).
class JsonDocument {
 public:
  static Result<JsonDocument> parse(std::string_view body, const JsonLimits& limits);
  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) = delete;
  ~JsonDocument();
  const boost::json::value& root() const noexcept;

 private:
  struct State;
  explicit JsonDocument(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

// Field reads one member of an object. A member that is null counts as absent, as OpenAI's API has
// it. Errors name the field by its path ("messages[3].role").
class Field {
 public:
  Field(const boost::json::object& object, std::string_view name, std::string prefix = {});

  const boost::json::value* value() const noexcept { return value_; }  // null when absent
  const std::string& path() const noexcept { return path_; }
  Error error(Code code, Literal what) const;

  Result<std::optional<std::string_view>> text() const;
  Result<std::optional<bool>> boolean() const;
  Result<std::optional<double>> number(double low, double high) const;
  Result<std::optional<std::int64_t>> integer(std::int64_t low, std::int64_t high) const;
  Result<const boost::json::object*> object() const;  // null when absent
  Result<const boost::json::array*> array() const;

  // The same for what must be there. Further error: invalid_argument "is required". A name is not
  // empty, either.
  Result<std::string_view> required_text() const;
  Result<std::string_view> required_name() const;
  Result<const boost::json::object*> required_object() const;
  Error missing() const { return error(Code::invalid_argument, "is required"); }

 private:
  const boost::json::value* value_ = nullptr;
  std::string path_;
};

}  // namespace tacit::api
