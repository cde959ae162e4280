// Strict reading of small JSON documents with Boost.JSON. Private to this module.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "core/error.hpp"

namespace tacit::registry {

// parse_json refuses documents that are too large, too deep (32), not UTF-8 or followed by
// anything. Errors: too_large, malformed (with the offset).
Result<boost::json::value> parse_json(std::string_view text, std::size_t bytes_max);

// Fields takes the members of one object by name and type; done() refuses those nobody asked for.
// Borrows the object.
class Fields {
 public:
  // Errors: malformed when `value` is not an object.
  static Result<Fields> of(const boost::json::value& value);

  // Text of 1 to `bytes_max` bytes without control characters. Errors: malformed (naming the
  // member).
  Result<std::string> text(std::string_view name, std::size_t bytes_max = 256);
  Result<std::uint64_t> number(std::string_view name);
  Result<const boost::json::array*> array(std::string_view name);
  // A number within [low, high]; nullopt when the member is missing.
  Result<std::optional<double>> optional_real(std::string_view name, double low, double high);
  // An object; null when the member is missing.
  Result<const boost::json::value*> optional_object(std::string_view name);
  bool contains(std::string_view name) const { return object_->contains(name); }
  Result<void> done() const;

 private:
  explicit Fields(const boost::json::object& object) : object_{&object} {}
  const boost::json::value* find(std::string_view name);
  const boost::json::object* object_;
  std::set<std::string_view> taken_;
};

}  // namespace tacit::registry
