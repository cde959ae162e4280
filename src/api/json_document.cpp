#include "api/json_document.hpp"

#include <cmath>
#include <limits>
#include <new>

#include <boost/json/memory_resource.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/stream_parser.hpp>

#include "api/json_text.hpp"
#include "core/secret.hpp"

namespace tacit::api {
namespace json = boost::json;

namespace {

// Memory that is wiped when given back: a request's body is content.
class WipingResource final : public json::memory_resource {
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    return ::operator new(bytes, std::align_val_t{alignment});
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    wipe({static_cast<std::byte*>(memory), bytes});
    ::operator delete(memory, std::align_val_t{alignment});
  }
  bool do_is_equal(const json::memory_resource& other) const noexcept override {
    return this == &other;
  }
};

}  // namespace

namespace {

// An upper bound of the values and keys in `body`, and exact for valid JSON but for one: each
// begins after a comma, a colon or a bracket that is in no string.
std::size_t count_values(std::string_view body) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (c != '"') {
      count += c == ',' || c == ':' || c == '[' || c == '{' ? 1 : 0;
      continue;
    }
    // A string is most of a long body: its end is looked for by the library's fast search. A quote
    // after an odd number of backslashes is a part of it.
    for (auto end = i;;) {
      end = body.find('"', end + 1);
      if (end == body.npos) return count;
      std::size_t slashes = 0;
      while (body[end - 1 - slashes] == '\\') ++slashes;
      if (slashes % 2 == 0) {
        i = end;
        break;
      }
    }
  }
  return count;
}

}  // namespace

struct JsonDocument::State {
  WipingResource wiping;
  json::monotonic_resource arena{4096, json::storage_ptr{&wiping}};
  json::value root = json::value(json::storage_ptr{&arena});
};

JsonDocument::JsonDocument(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;
const json::value& JsonDocument::root() const noexcept { return state_->root; }

Result<JsonDocument> JsonDocument::parse(std::string_view body, const JsonLimits& limits) {
  if (body.size() > limits.body_bytes_max) {
    return fail(Error{Code::too_large, "the request body is too large"}
                    .with("bytes", static_cast<std::int64_t>(body.size()))
                    .with("limit", static_cast<std::int64_t>(limits.body_bytes_max)));
  }
  if (const auto values = count_values(body); values > limits.values_max) {
    return fail(Error{Code::too_large, "JSON has too many values"}
                    .with("values", static_cast<std::int64_t>(values))
                    .with("limit", static_cast<std::int64_t>(limits.values_max)));
  }
  auto state = std::make_unique<State>();
  json::parse_options options;
  options.max_depth = limits.depth_max;
  json::error_code ec;
  // Scratch memory of the parser holds content too: it comes from a wiped resource of its own.
  WipingResource scratch;
  json::stream_parser parser{json::storage_ptr{&scratch}, options};
  parser.reset(json::storage_ptr{&state->arena});
  const auto parsed = parser.write_some(body.data(), body.size(), ec);
  const auto at = static_cast<std::int64_t>(parsed);
  if (!ec && parsed < body.size()) ec = json::error::extra_data;
  if (!ec) parser.finish(ec);
  if (ec == json::error::too_deep) {
    return fail(Error{Code::too_large, "JSON is nested too deeply"}.with(
        "limit", static_cast<std::int64_t>(limits.depth_max)));
  }
  if (ec == json::error::incomplete)
    return fail(Error{Code::malformed, "JSON ends too early"}.with("byte", at));
  if (ec == json::error::extra_data)
    return fail(Error{Code::malformed, "text after the JSON value"}.with("byte", at));
  if (ec)
    return fail(Error{Code::malformed, "request body is not valid JSON (RFC 8259, UTF-8)"}.with(
        "byte", at));
  state->root = parser.release();
  return JsonDocument{std::move(state)};
}

std::string_view valid_object(std::string_view text) {
  const auto document = JsonDocument::parse(text, {});
  return document && document->root().is_object() ? text : std::string_view{"{}"};
}

Field::Field(const json::object& object, std::string_view name, std::string prefix) {
  path_ = std::move(prefix);
  if (!path_.empty()) path_ += '.';
  path_ += name;
  const auto* found = object.if_contains(name);
  if (found != nullptr && !found->is_null()) value_ = found;
}

Error Field::error(Code code, Literal what) const {
  return Error{code, what}.about(PublicText{path_});
}

Result<std::optional<std::string_view>> Field::text() const {
  if (value_ == nullptr) return std::optional<std::string_view>{};
  const auto* found = value_->if_string();
  if (found == nullptr) return fail(error(Code::invalid_argument, "must be a string"));
  return std::optional{std::string_view{found->data(), found->size()}};
}

Result<std::optional<bool>> Field::boolean() const {
  if (value_ == nullptr) return std::optional<bool>{};
  const auto* found = value_->if_bool();
  if (found == nullptr) return fail(error(Code::invalid_argument, "must be true or false"));
  return std::optional{*found};
}

Result<std::optional<double>> Field::number(double low, double high) const {
  if (value_ == nullptr) return std::optional<double>{};
  double found = 0;
  if (value_->is_double())
    found = value_->get_double();
  else if (value_->is_int64())
    found = static_cast<double>(value_->get_int64());
  else if (value_->is_uint64())
    found = static_cast<double>(value_->get_uint64());
  else
    return fail(error(Code::invalid_argument, "must be a number"));
  if (!(found >= low && found <= high))
    return fail(error(Code::invalid_argument, "number is out of range"));
  return std::optional{found};
}

Result<std::optional<std::int64_t>> Field::integer(std::int64_t low, std::int64_t high) const {
  if (value_ == nullptr) return std::optional<std::int64_t>{};
  std::int64_t found = 0;
  if (value_->is_int64()) {
    found = value_->get_int64();
  } else if (value_->is_uint64()) {
    return fail(error(Code::invalid_argument, "integer is out of range").with("limit", high));
  } else if (value_->is_double() && std::trunc(value_->get_double()) == value_->get_double() &&
             std::abs(value_->get_double()) < 9e15) {
    found = static_cast<std::int64_t>(value_->get_double());  // 5.0 is an integer for many clients
  } else {
    return fail(error(Code::invalid_argument, "must be an integer"));
  }
  if (found < low)
    return fail(error(Code::invalid_argument, "integer is too small")
                    .with("value", found)
                    .with("minimum", low));
  if (found > high)
    return fail(error(Code::invalid_argument, "integer is too large")
                    .with("value", found)
                    .with("limit", high));
  return std::optional{found};
}

Result<const json::object*> Field::object() const {
  if (value_ == nullptr) return nullptr;
  if (!value_->is_object()) return fail(error(Code::invalid_argument, "must be an object"));
  return &value_->get_object();
}

Result<const json::array*> Field::array() const {
  if (value_ == nullptr) return nullptr;
  if (!value_->is_array()) return fail(error(Code::invalid_argument, "must be an array"));
  return &value_->get_array();
}

Result<std::string_view> Field::required_text() const {
  TACIT_TRY(const auto given, text());
  if (!given) return fail(missing());
  return *given;
}

Result<std::string_view> Field::required_name() const {
  TACIT_TRY(const auto given, required_text());
  if (given.empty()) return fail(missing());
  return given;
}

Result<const boost::json::object*> Field::required_object() const {
  TACIT_TRY(const auto* given, object());
  if (given == nullptr) return fail(missing());
  return given;
}

}  // namespace tacit::api
