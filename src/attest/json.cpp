#include "attest/json.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace tacit::attest {
namespace {

namespace json = boost::json;

// Walks the members of one object whose text is known to be valid JSON.
class MemberWalk {
 public:
  explicit MemberWalk(std::string_view text) : text_{text} {
    skip_blank();
    ++at_;  // '{'
  }
  // The next member's name (as written, escapes not resolved) and value.
  bool next(std::string_view& name, std::string_view& value) {
    skip_blank();
    if (at_ >= text_.size() || text_[at_] == '}') return false;
    if (text_[at_] == ',') ++at_;
    skip_blank();
    const auto quoted = take_value();
    if (quoted.size() < 2) return false;
    name = quoted.substr(1, quoted.size() - 2);
    skip_blank();
    ++at_;  // ':'
    skip_blank();
    value = take_value();
    return !value.empty();
  }

 private:
  void skip_blank() {
    while (at_ < text_.size() && std::string_view{" \t\r\n"}.contains(text_[at_])) ++at_;
  }
  void take_string() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_)
      if (text_[at_] == '\\') ++at_;
    ++at_;
  }
  std::string_view take_value() {
    const auto begin = at_;
    int depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        take_string();
      } else {
        if (depth == 0 && std::string_view{",:}] \t\r\n"}.contains(c)) break;
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') --depth;
        ++at_;
      }
      if (depth == 0 && at_ > begin && std::string_view{"\"}]"}.contains(text_[at_ - 1])) break;
    }
    return text_.substr(begin, std::min(at_, text_.size()) - begin);
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<json::value> parse_json(std::string_view text) {
  if (text.size() > kJsonBytesMax)
    return fail(Error{Code::too_large, "JSON document"}.with("limit", kJsonBytesMax));
  json::parse_options options;
  options.max_depth = 32;
  boost::system::error_code problem;
  auto value = json::parse(json::string_view{text.data(), text.size()}, problem, {}, options);
  if (problem) return fail(Code::malformed, "JSON document");
  if (value.is_object()) {
    std::size_t num_members = 0;
    MemberWalk walk{text};
    std::string_view name;
    std::string_view member;
    while (walk.next(name, member)) ++num_members;
    if (num_members != value.get_object().size())
      return fail(Code::malformed, "JSON object with a member given twice");
  }
  return value;
}

std::optional<std::string_view> raw_member(std::string_view text, std::string_view name) {
  MemberWalk walk{text};
  std::string_view found;
  std::string_view value;
  while (walk.next(found, value))
    if (found == name) return value;
  return std::nullopt;
}

std::optional<std::string_view> text_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  const auto& text = value->get_string();
  return std::string_view{text.data(), text.size()};
}

std::optional<std::uint64_t> number_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64() && value->get_int64() >= 0)
    return static_cast<std::uint64_t>(value->get_int64());
  return std::nullopt;
}

const json::array* array_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

const json::object* object_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

std::optional<Bytes> hex_member(const json::object& object, std::string_view name,
                                std::size_t size) {
  const auto text = text_member(object, name);
  if (!text || text->size() != 2 * size) return std::nullopt;
  return from_hex(*text);
}

}  // namespace tacit::attest
