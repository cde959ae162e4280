#include "formats/safetensors.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include <boost/json.hpp>

#include "core/text.hpp"

namespace tacit::formats {
namespace json = boost::json;
namespace {

constexpr std::size_t kDimensionsMax = 16;
constexpr std::size_t kTensorsMax = 1'000'000;

struct Type {
  std::string_view name;
  unsigned bits;
};
constexpr auto kTypes = std::to_array<Type>(
    {{"F64", 64},    {"I64", 64},    {"U64", 64},        {"F32", 32},        {"I32", 32},
     {"U32", 32},    {"C64", 64},    {"F16", 16},        {"BF16", 16},       {"I16", 16},
     {"U16", 16},    {"I8", 8},      {"U8", 8},          {"BOOL", 8},        {"F8_E4M3", 8},
     {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6},
     {"F6_E3M2", 6}, {"F4", 4}});

std::unexpected<Error> bad(Literal what, std::string_view name) {
  std::string shown;
  for (const char c : name.substr(0, 80)) shown += c >= ' ' && c <= '~' ? c : '?';
  return fail(Error{Code::malformed, what}.about(PublicText{std::move(shown)}));
}

// A whole number that is not negative; JSON's 5 may also be a uint64 to the parser.
bool whole(const json::value& value, std::uint64_t& out) {
  if (value.is_uint64()) {
    out = value.get_uint64();
    return true;
  }
  if (!value.is_int64() || value.get_int64() < 0) return false;
  out = static_cast<std::uint64_t>(value.get_int64());
  return true;
}

Result<void> check_length(const SafetensorsTensor& tensor) {
  const auto type = std::ranges::find(kTypes, tensor.dtype, &Type::name);
  if (type == kTypes.end()) {
    return fail(
        Error{Code::unsupported, "unknown type of a tensor"}.about(PublicText{"safetensors"}));
  }
  std::uint64_t bits = type->bits;
  for (const auto n : tensor.shape) {
    if (n != 0 && bits > std::numeric_limits<std::uint64_t>::max() / n) {
      return bad("a tensor's size overflows", tensor.name);
    }
    bits *= n;
  }
  if (bits % 8 != 0 || tensor.end < tensor.begin || tensor.end - tensor.begin != bits / 8) {
    return bad("a tensor is not as long as its shape and type say", tensor.name);
  }
  return {};
}

Result<SafetensorsTensor> parse_tensor(std::string_view name, const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr || object->size() != 3) return bad("a tensor has other members", name);
  const auto* dtype = object->if_contains("dtype");
  const auto* shape = object->if_contains("shape");
  const auto* offsets = object->if_contains("data_offsets");
  if (dtype == nullptr || !dtype->is_string() || shape == nullptr || !shape->is_array() ||
      offsets == nullptr || !offsets->is_array() || offsets->get_array().size() != 2 ||
      shape->get_array().size() > kDimensionsMax) {
    return bad("a tensor has no sensible type, shape or place", name);
  }
  SafetensorsTensor tensor;
  tensor.name = name;
  tensor.dtype = std::string_view{dtype->get_string()};
  for (const auto& n : shape->get_array()) {
    if (!whole(n, tensor.shape.emplace_back())) return bad("a tensor's shape is no shape", name);
  }
  if (!whole(offsets->get_array()[0], tensor.begin) ||
      !whole(offsets->get_array()[1], tensor.end)) {
    return bad("a tensor's place is no place", name);
  }
  TACIT_CHECK(check_length(tensor));
  return tensor;
}

// Boost.JSON keeps the last of two members of the same name; here it must not come to that.
// Whether the header's text has as many members at its top as the object that was made of it.
bool names_are_unique(std::string_view text, std::size_t members) {
  std::size_t depth = 0;
  std::size_t commas = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 1) {
      ++commas;
    }
  }
  return members == 0 ? commas == 0 : commas + 1 == members;
}

Result<void> check_places(std::vector<SafetensorsTensor>& tensors, std::uint64_t data_bytes) {
  std::ranges::sort(tensors, [](const auto& a, const auto& b) {
    return std::pair{a.begin, a.end} < std::pair{b.begin, b.end};
  });
  std::uint64_t at = 0;
  for (const auto& tensor : tensors) {
    if (tensor.begin != at) return bad("a hole or an overlap before a tensor", tensor.name);
    at = tensor.end;
  }
  if (at != data_bytes) {
    return fail(Error{Code::malformed, "the tensors do not end where the file ends"}
                    .with("ends_at", static_cast<std::int64_t>(at))
                    .with("data_bytes", static_cast<std::int64_t>(data_bytes)));
  }
  return {};
}

Result<void> parse_metadata(const json::value& value, std::map<std::string, std::string>& out) {
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::malformed, "the metadata is not an object");
  for (const auto& [key, text] : *object) {
    if (!text.is_string()) return bad("a value of the metadata is not text", key);
    out[std::string{std::string_view{key}}] = std::string_view{text.get_string()};
  }
  return {};
}

}  // namespace

Result<SafetensorsFile> parse_safetensors(BytesView head, std::uint64_t file_bytes) {
  if (head.size() > file_bytes) return fail(Code::invalid_argument, "more bytes than the file has");
  ByteReader reader{head};
  const auto size = reader.u64();
  if (!size) {
    if (head.size() < file_bytes) return fail(Code::unavailable, "header continues");
    return fail(Code::malformed, "not a safetensors file: too short");
  }
  if (*size > kSafetensorsHeaderBytesMax) {
    return fail(Error{Code::too_large, "the safetensors header is too long"}.with(
        "limit", static_cast<std::int64_t>(kSafetensorsHeaderBytesMax)));
  }
  if (*size > file_bytes - sizeof(std::uint64_t)) {
    return fail(Code::malformed, "the safetensors header runs past the end of the file");
  }
  if (reader.remaining() < *size) return fail(Code::unavailable, "header continues");
  const auto text = as_text(*reader.take(static_cast<std::size_t>(*size)));
  if (!text.starts_with('{')) return fail(Code::malformed, "not a safetensors file: no header");
  json::parse_options options;
  options.max_depth = 4;
  boost::system::error_code error;
  const auto document = json::parse(text, error, {}, options);
  const auto* object = error ? nullptr : document.if_object();
  if (object == nullptr || object->size() > kTensorsMax) {
    return fail(Code::malformed, "the safetensors header is not sensible JSON");
  }
  if (!names_are_unique(text, object->size())) {
    return fail(Code::malformed, "a name is twice in the safetensors header");
  }
  SafetensorsFile file;
  file.header_bytes = sizeof(std::uint64_t) + *size;
  for (const auto& [key, value] : *object) {
    if (key == "__metadata__") {
      TACIT_CHECK(parse_metadata(value, file.metadata));
      continue;
    }
    TACIT_TRY(auto tensor, parse_tensor(key, value));
    file.tensors.push_back(std::move(tensor));
  }
  TACIT_CHECK(check_places(file.tensors, file_bytes - file.header_bytes));
  return file;
}

}  // namespace tacit::formats
