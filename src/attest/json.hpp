// Reading JSON with Boost.JSON: bounded, without exceptions. Private to this module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

inline constexpr std::size_t kJsonBytesMax = 2 * 1024 * 1024;

// Errors: too_large; malformed (not UTF-8, deeper than 32, bytes after it, a member given twice at
// the top, which two readers could read differently).
Result<boost::json::value> parse_json(std::string_view text);

// raw_member returns the text of the member `name` of the object `text`, exactly as written: signed
// JSON is signed as it was delivered. `text` must have passed parse_json. nullopt when absent.
std::optional<std::string_view> raw_member(std::string_view text, std::string_view name);

// Members by type; nullopt when absent or of another type.
std::optional<std::string_view> text_member(const boost::json::object& object,
                                            std::string_view name);
std::optional<std::uint64_t> number_member(const boost::json::object& object,
                                           std::string_view name);
const boost::json::array* array_member(const boost::json::object& object, std::string_view name);
const boost::json::object* object_member(const boost::json::object& object, std::string_view name);
// Hexadecimal text of exactly `size` bytes.
std::optional<Bytes> hex_member(const boost::json::object& object, std::string_view name,
                                std::size_t size);

}  // namespace tacit::attest
