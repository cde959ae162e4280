#include "api/fields.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <boost/json/serialize.hpp>

namespace tacit::api {
namespace json = boost::json;

namespace {

constexpr double kMany = 1'000'000;
constexpr std::size_t kToolNameBytesMax = 256;

struct RealField {
  std::string_view name;
  double low;
  double high;
  std::optional<float> domain::Sampling::* member;
};
struct IntegerField {
  std::string_view name;
  std::int64_t low;
  std::int64_t high;
  std::optional<std::int32_t> domain::Sampling::* member;
};

using S = domain::Sampling;
constexpr std::array<RealField, 13> kReals{{
    {"temperature", 0, 2, &S::temperature},
    {"top_p", 0, 1, &S::top_p},
    {"min_p", 0, 1, &S::min_p},
    {"typical_p", 0, 1, &S::typical_p},
    {"frequency_penalty", -2, 2, &S::frequency_penalty},
    {"presence_penalty", -2, 2, &S::presence_penalty},
    {"repeat_penalty", 0.01, 10, &S::repeat_penalty},
    {"dry_multiplier", 0, 100, &S::dry_multiplier},
    {"dry_base", 1, 100, &S::dry_base},
    {"xtc_probability", 0, 1, &S::xtc_probability},
    {"xtc_threshold", 0, 1, &S::xtc_threshold},
    {"mirostat_tau", 0, 100, &S::mirostat_tau},
    {"mirostat_eta", 0, 1, &S::mirostat_eta},
}};
constexpr std::array<IntegerField, 5> kIntegers{{
    {"top_k", -1, static_cast<std::int64_t>(kMany), &S::top_k},
    {"repeat_last_n", -1, static_cast<std::int64_t>(kMany), &S::repeat_last_n},
    {"dry_allowed_length", 0, static_cast<std::int64_t>(kMany), &S::dry_allowed_length},
    {"dry_penalty_last_n", -1, static_cast<std::int64_t>(kMany), &S::dry_penalty_last_n},
    {"mirostat", 0, 2, &S::mirostat},
}};

}  // namespace

Result<const json::object*> root_object(const JsonDocument& document) {
  const auto* root = document.root().if_object();
  if (root == nullptr) return fail(Code::invalid_argument, "request body must be a JSON object");
  return root;
}

JsonLimits json_limits(const Limits& limits) {
  return {.body_bytes_max = limits.body_bytes_max, .depth_max = limits.json_depth_max};
}

std::string at(const std::string& path, std::size_t index) {
  return path + '[' + std::to_string(index) + ']';
}

Result<const json::object*> object_at(const json::array& list, std::size_t index,
                                      const std::string& path) {
  const auto* object = list.at(index).if_object();
  if (object == nullptr) {
    return fail(
        Error{Code::invalid_argument, "must be an object"}.about(PublicText{at(path, index)}));
  }
  return object;
}

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

domain::Content json_of(const json::value& value) {
  auto text = json::serialize(value);
  domain::Content out{text};
  wipe(std::as_writable_bytes(std::span{text}));
  return out;
}

bool is_empty(const json::value* value) {
  if (value == nullptr || value->is_null()) return true;
  if (const auto* list = value->if_array()) return list->empty();
  if (const auto* object = value->if_object()) return object->empty();
  const auto* flag = value->if_bool();
  return flag != nullptr && !*flag;
}

Result<std::string> read_model(const json::object& root, const Limits& limits) {
  const Field model{root, "model"};
  TACIT_TRY(const auto name, model.required_name());
  if (name.size() > limits.model_bytes_max)
    return fail(model.error(Code::invalid_argument, "name is too long"));
  return std::string{name};
}

Result<domain::Sampling> read_sampling(const json::object& object, const std::string& prefix) {
  domain::Sampling sampling;
  for (const auto& each : kReals) {
    TACIT_TRY(const auto value, Field(object, each.name, prefix).number(each.low, each.high));
    if (value) sampling.*each.member = static_cast<float>(*value);
  }
  for (const auto& each : kIntegers) {
    TACIT_TRY(const auto value, Field(object, each.name, prefix).integer(each.low, each.high));
    if (value) sampling.*each.member = static_cast<std::int32_t>(*value);
  }
  if (sampling.top_k) sampling.top_k = std::max(*sampling.top_k, 0);
  TACIT_TRY(const auto seed, Field(object, "seed", prefix)
                                 .integer(std::numeric_limits<std::int64_t>::min(),
                                          std::numeric_limits<std::int64_t>::max()));
  if (seed) {  // both halves count, so that seeds which differ anywhere stay different
    const auto bits = static_cast<std::uint64_t>(*seed);
    sampling.seed = static_cast<std::uint32_t>(bits ^ bits >> 32);
  }
  return sampling;
}

bool is_sampling_field(std::string_view name) {
  return name == "seed" ||
         std::ranges::any_of(kReals, [name](const auto& each) { return each.name == name; }) ||
         std::ranges::any_of(kIntegers, [name](const auto& each) { return each.name == name; });
}

Result<std::vector<domain::Content>> read_stops(const Field& field, const Limits& limits) {
  std::vector<domain::Content> stops;
  if (field.value() == nullptr) return stops;
  const auto add = [&](const json::value& value) -> Result<void> {
    const auto* text = value.if_string();
    if (text == nullptr)
      return fail(field.error(Code::invalid_argument, "must be a string or an array of strings"));
    if (text->empty())
      return fail(field.error(Code::invalid_argument, "a stop text may not be empty"));
    if (text->size() > limits.stop_bytes_max) {
      return fail(field.error(Code::too_large, "a stop text is too long")
                      .with("bytes", static_cast<std::int64_t>(text->size()))
                      .with("limit", static_cast<std::int64_t>(limits.stop_bytes_max)));
    }
    stops.emplace_back(view(*text));
    return {};
  };
  const auto* list = field.value()->if_array();
  if (list == nullptr) {
    TACIT_CHECK(add(*field.value()));
    return stops;
  }
  if (list->size() > limits.stops_max) {
    return fail(field.error(Code::invalid_argument, "too many stop texts")
                    .with("count", static_cast<std::int64_t>(list->size()))
                    .with("limit", static_cast<std::int64_t>(limits.stops_max)));
  }
  for (const auto& value : *list) TACIT_CHECK(add(value));
  return stops;
}

Result<std::optional<std::uint32_t>> read_tokens_max(const Field& field) {
  TACIT_TRY(const auto value, field.integer(1, std::numeric_limits<std::int32_t>::max()));
  if (!value) return std::optional<std::uint32_t>{};
  return std::optional{static_cast<std::uint32_t>(*value)};
}

Result<void> refuse(const json::object& object, std::initializer_list<std::string_view> names,
                    const std::string& prefix) {
  for (const auto name : names) {
    const Field field{object, name, prefix};
    if (!is_empty(field.value()))
      return fail(field.error(Code::unsupported, "this field is not supported by this server"));
  }
  return {};
}

std::uint32_t count_unknown(const json::object& object, std::span<const std::string_view> known) {
  std::uint32_t count = 0;
  for (const auto& member : object) {
    const std::string_view name{member.key().data(), member.key().size()};
    if (!is_sampling_field(name) && std::ranges::find(known, name) == known.end()) ++count;
  }
  return count;
}

Result<const json::array*> read_tool_list(const json::object& root, std::string_view name,
                                          const Limits& limits) {
  const Field field{root, name};
  TACIT_TRY(const auto* list, field.array());
  if (list != nullptr && list->size() > limits.tools_max) {
    return fail(field.error(Code::too_large, "too many tools")
                    .with("limit", static_cast<std::int64_t>(limits.tools_max)));
  }
  return list;
}

Result<domain::Tool> read_tool(const json::object& object, const std::string& path,
                               std::string_view schema) {
  const Field name{object, "name", path};
  TACIT_TRY(const auto text, name.required_name());
  if (text.size() > kToolNameBytesMax)
    return fail(name.error(Code::invalid_argument, "name is too long"));
  domain::Tool tool;
  tool.name = text;
  TACIT_TRY(const auto description, Field(object, "description", path).text());
  tool.description = domain::Content{description.value_or("")};
  const Field parameters{object, schema, path};
  TACIT_TRY(const auto* given, parameters.object());
  tool.parameters = given == nullptr || given->empty()
                        ? domain::Content{R"({"type":"object","properties":{}})"}
                        : json_of(*parameters.value());
  return tool;
}

Result<void> check_tools(const domain::GenerateRequest& request, const std::string& path) {
  const auto& choice = request.tool_choice;
  if (choice.use == domain::ToolUse::required && request.tools.empty()) {
    return fail(Error{Code::invalid_argument, "needs at least one tool"}.about(PublicText{path}));
  }
  if (choice.name.empty() ||
      std::ranges::any_of(request.tools, [&](const auto& t) { return t.name == choice.name; }))
    return {};
  return fail(
      Error{Code::invalid_argument, "names no tool of this request"}.about(PublicText{path}));
}

domain::Constraint any_object() {
  return {domain::Constraint::Kind::json_schema, domain::Content{R"({"type":"object"})"}};
}

}  // namespace tacit::api
