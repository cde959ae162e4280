// Private to api: fields that several APIs have under the same names and rules.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/generation.hpp"
#include "api/json_document.hpp"
#include "domain/request.hpp"

namespace tacit::api {

// The body as an object; it lives in `document`.
Result<const boost::json::object*> root_object(const JsonDocument& document);
JsonLimits json_limits(const Limits& limits);

// "path[3]"
std::string at(const std::string& path, std::size_t index);
// Element `index` of an array as an object; the error names it.
Result<const boost::json::object*> object_at(const boost::json::array& list, std::size_t index,
                                             const std::string& path);
std::string_view view(const boost::json::string& text);
// JSON text of a value.
domain::Content json_of(const boost::json::value& value);
// Absent, null, false, [] and {}: what a client sends for "nothing".
bool is_empty(const boost::json::value* value);

// `model`, required.
Result<std::string> read_model(const boost::json::object& root, const Limits& limits);
// temperature, top_p, min_p, top_k, typical_p, the penalties, DRY, XTC, mirostat, seed: all of
// those that `object` has, by llama.cpp's and Ollama's names, which are a superset of OpenAI's.
Result<domain::Sampling> read_sampling(const boost::json::object& object,
                                       const std::string& prefix = {});
bool is_sampling_field(std::string_view name);
// A string or an array of strings.
Result<std::vector<domain::Content>> read_stops(const Field& field, const Limits& limits);
// A positive number of tokens.
Result<std::optional<std::uint32_t>> read_tokens_max(const Field& field);
// Refuses fields of `object` that are not empty, by name.
Result<void> refuse(const boost::json::object& object,
                    std::initializer_list<std::string_view> names, const std::string& prefix = {});
// How many members of `object` have a name in no list.
std::uint32_t count_unknown(const boost::json::object& object,
                            std::span<const std::string_view> known);
// The array `name`, which has tools; null when absent. Not more than the limit.
Result<const boost::json::array*> read_tool_list(const boost::json::object& root,
                                                 std::string_view name, const Limits& limits);
// A tool: `name`, `description` and, under `schema`, its parameters (an empty schema when absent).
Result<domain::Tool> read_tool(const boost::json::object& object, const std::string& path,
                               std::string_view schema);
// Checks names of tools, and that a named choice names one. `path` is the choice's.
Result<void> check_tools(const domain::GenerateRequest& request, const std::string& path);
// {"type":"object"}: any JSON object.
domain::Constraint any_object();

}  // namespace tacit::api
