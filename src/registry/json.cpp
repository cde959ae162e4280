#include "registry/json.hpp"

#include <algorithm>

#include <boost/system/error_code.hpp>

#include "core/text.hpp"
#include "registry/name.hpp"

namespace tacit::registry {
namespace json = boost::json;

namespace {

std::unexpected<Error> bad(Literal what, std::string_view member) {
  return fail(Error{Code::malformed, what}.about(printable(member)));
}

}  // namespace

Result<json::value> parse_json(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return fail(Error{Code::too_large, "the JSON document is too large"}
                    .with("bytes", static_cast<std::int64_t>(text.size()))
                    .with("limit", static_cast<std::int64_t>(bytes_max)));
  }
  json::parse_options options;
  options.max_depth = 32;
  json::stream_parser parser{{}, options};
  boost::system::error_code error;
  const auto used = parser.write_some(text, error);
  if (!error && used == text.size()) parser.finish(error);
  const bool trailing =
      used < text.size() && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos;
  if (error || trailing || !parser.done()) {
    return fail(
        Error{Code::malformed, "not valid JSON"}.with("at", static_cast<std::int64_t>(used)));
  }
  return parser.release();
}

Result<Fields> Fields::of(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::malformed, "a JSON object was expected");
  return Fields{*object};
}

const json::value* Fields::find(std::string_view name) {
  taken_.insert(name);
  return object_->if_contains(name);
}

Result<std::string> Fields::text(std::string_view name, std::size_t bytes_max) {
  const auto* value = find(name);
  if (value == nullptr) return bad("a JSON member is missing", name);
  const auto* text = value->if_string();
  if (text == nullptr || text->empty() || text->size() > bytes_max ||
      std::ranges::any_of(*text, [](char c) { return static_cast<unsigned char>(c) < ' '; })) {
    return bad("a JSON member is not text of sensible length", name);
  }
  return std::string{text->data(), text->size()};
}

Result<std::uint64_t> Fields::number(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr) return bad("a JSON member is missing", name);
  if (const auto* number = value->if_uint64()) return *number;
  const auto* number = value->if_int64();
  if (number == nullptr || *number < 0) return bad("a JSON member is not a whole number", name);
  return static_cast<std::uint64_t>(*number);
}

Result<const json::array*> Fields::array(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr) return bad("a JSON member is missing", name);
  const auto* array = value->if_array();
  if (array == nullptr) return bad("a JSON member is not an array", name);
  return array;
}

Result<std::optional<double>> Fields::optional_real(std::string_view name, double low,
                                                    double high) {
  const auto* value = find(name);
  if (value == nullptr) return std::optional<double>{};
  boost::system::error_code error;
  const auto number = value->to_number<double>(error);
  if (error || !(number >= low && number <= high))
    return bad("a JSON member is not a number in range", name);
  return std::optional{number};
}

Result<const json::value*> Fields::optional_object(std::string_view name) {
  const auto* value = find(name);
  if (value != nullptr && !value->is_object()) return bad("a JSON member is not an object", name);
  return value;
}

Result<void> Fields::done() const {
  for (const auto& member : *object_) {
    const std::string_view name{member.key().data(), member.key().size()};
    if (!taken_.contains(name)) return bad("unknown JSON member", name);
  }
  return {};
}

}  // namespace tacit::registry
