// Reading vectors out of JSON. What a vector lacks is an exception, which main counts as a failure
// of the file: this is a test program, and its input is a file that somebody vouched for.
#pragma once

#include <boost/json.hpp>
#include <stdexcept>

#include "core/text.hpp"
#include "vectors.hpp"

namespace tacit::vectors {

inline Bytes hex(std::string_view text) {
  auto bytes = from_hex(text);
  if (!bytes) throw std::runtime_error("not hexadecimal");
  return *std::move(bytes);
}

inline bool has(const boost::json::object& object, std::string_view name) {
  return object.contains(name);
}
inline bool has_all(const boost::json::object& object,
                    std::initializer_list<std::string_view> names) {
  for (const auto name : names) {
    if (!object.contains(name)) return false;
  }
  return true;
}

inline std::string text(const boost::json::object& object, std::string_view name) {
  return std::string{object.at(name).as_string()};
}
inline std::string text_or(const boost::json::object& object, std::string_view name,
                           std::string otherwise) {
  return has(object, name) ? text(object, name) : otherwise;
}
inline Bytes bytes(const boost::json::object& object, std::string_view name) {
  return hex(object.at(name).as_string());
}
inline Bytes bytes_or_none(const boost::json::object& object, std::string_view name) {
  return has(object, name) ? bytes(object, name) : Bytes{};
}
inline std::size_t number(const boost::json::object& object, std::string_view name) {
  return object.at(name).to_number<std::size_t>();
}

// The objects of a file that is an array of them, or a single one.
inline std::vector<const boost::json::object*> objects(const File& file) {
  std::vector<const boost::json::object*> found;
  if (!file.json) return found;
  if (const auto* object = file.json->if_object()) found.push_back(object);
  if (const auto* array = file.json->if_array()) {
    for (const auto& element : *array) {
      const auto* object = element.if_object();
      if (object == nullptr) return {};
      found.push_back(object);
    }
  }
  return found;
}

}  // namespace tacit::vectors
