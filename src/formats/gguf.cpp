#include "formats/gguf.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "formats/ggml_types.hpp"

namespace tacit::formats {
namespace {

enum Kind : std::uint32_t {  // gguf_metadata_value_type
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

constexpr std::uint64_t kPairBytesMin = 8 + 1 + 4 + 1;  // key, type, value
constexpr std::uint64_t kTensorBytesMin =
    8 + 1 + 4 + 8 + 4 + 8;                           // name, rank, 1 dimension, type, offset
constexpr std::uint64_t kTensorNameBytesMax = 63;    // ggml's GGML_MAX_NAME less its NUL
constexpr std::uint64_t kPreviewElementsMax = 4096;  // of one array
constexpr std::uint64_t kPreviewTotalElementsMax = 65'536;
constexpr std::uint64_t kPreviewTotalBytesMax = 1024 * 1024;
constexpr std::uint64_t kAlignmentDefault = 32;
constexpr std::string_view kAlignmentKey = "general.alignment";

// Smallest number of bytes that one value of this kind takes; 0 for an unknown kind.
constexpr std::uint64_t bytes_min(std::uint32_t kind) {
  switch (kind) {
    case kU8:
    case kI8:
    case kBool: return 1;
    case kU16:
    case kI16: return 2;
    case kU32:
    case kI32:
    case kF32: return 4;
    case kString:
    case kU64:
    case kI64:
    case kF64: return 8;
    case kArray: return 12;
    default: return 0;
  }
}

// Foreign text for an error: printable ASCII, bounded.
PublicText printable(std::string_view foreign) {
  constexpr std::size_t shown_max = 64;
  std::string out;
  for (const char c : foreign.substr(0, shown_max)) out += c >= ' ' && c <= '~' ? c : '?';
  if (foreign.size() > shown_max) out += "...";
  return PublicText{std::move(out)};
}

std::int64_t number_of(std::uint64_t value) {
  constexpr auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(value, max));
}

// Cursor over the head of a file of known size. It tells bytes that are not there at all from bytes
// that are merely not in `head`.
class Cursor {
 public:
  Cursor(BytesView head, std::uint64_t file_bytes, std::uint64_t header_bytes_max)
      : head_{head}, file_bytes_{file_bytes}, header_bytes_max_{header_bytes_max} {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t remaining_in_file() const { return file_bytes_ - offset_; }

  Result<BytesView> take(std::uint64_t n) {
    if (n > remaining_in_file()) {
      return fail(Error{Code::malformed, "truncated: the header goes on past the end of the file"}
                      .with("file_bytes", number_of(file_bytes_))
                      .with("at", number_of(offset_)));
    }
    if (n > header_bytes_max_ || offset_ > header_bytes_max_ - n) {
      return fail(Error{Code::too_large, "the header is too long"}.with(
          "limit", number_of(header_bytes_max_)));
    }
    if (n > head_.size() - offset_) {
      return fail(
          Error{Code::unavailable, "header continues"}.with("have", number_of(head_.size())));
    }
    const auto bytes =
        head_.subspan(static_cast<std::size_t>(offset_), static_cast<std::size_t>(n));
    offset_ += n;
    return bytes;
  }

  template <class T> Result<T> integer() {
    TACIT_TRY(const auto raw, take(sizeof(T)));
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) {
      value = value << 8 | std::to_integer<std::uint64_t>(raw[i]);
    }
    return static_cast<T>(value);
  }

  // u64 length, then the text, which borrows from the input.
  Result<std::string_view> text(std::uint64_t size_max) {
    TACIT_TRY(const auto size, integer<std::uint64_t>());
    if (size > remaining_in_file()) {
      return fail(Error{Code::malformed, "a string is longer than the rest of the file"}
                      .with("bytes", number_of(size))
                      .with("at", number_of(offset_)));
    }
    if (size > size_max) {
      return fail(Error{Code::too_large, "a string is too long"}
                      .with("bytes", number_of(size))
                      .with("limit", number_of(size_max)));
    }
    TACIT_TRY(const auto bytes, take(size));
    return as_text(bytes);
  }

 private:
  BytesView head_;
  std::uint64_t file_bytes_;
  std::uint64_t header_bytes_max_;
  std::uint64_t offset_ = 0;
};

class Parser {
 public:
  Parser(BytesView head, std::uint64_t file_bytes, const GgufLimits& limits)
      : in_{head, file_bytes, limits.header_bytes_max}, limits_{limits} {
    file_.file_bytes = file_bytes;
  }

  Result<GgufFile> parse() {
    TACIT_CHECK(magic_and_version());
    TACIT_TRY(const auto num_tensors, in_.integer<std::uint64_t>());
    TACIT_TRY(const auto num_pairs, in_.integer<std::uint64_t>());
    if (num_tensors > in_.remaining_in_file() / kTensorBytesMin) {
      return count_cannot_fit("more tensors are claimed than the file can hold", num_tensors);
    }
    if (num_pairs > in_.remaining_in_file() / kPairBytesMin) {
      return count_cannot_fit("more metadata is claimed than the file can hold", num_pairs);
    }
    if (num_tensors > limits_.tensors_max) {
      return over_limit("too many tensors", num_tensors, limits_.tensors_max);
    }
    if (num_pairs > limits_.metadata_pairs_max) {
      return over_limit("too many metadata pairs", num_pairs, limits_.metadata_pairs_max);
    }
    for (std::uint64_t i = 0; i < num_pairs; ++i) TACIT_CHECK(pair());
    TACIT_CHECK(alignment());
    file_.tensors.reserve(static_cast<std::size_t>(num_tensors));
    for (std::uint64_t i = 0; i < num_tensors; ++i) TACIT_CHECK(tensor());
    file_.header_bytes = in_.offset();
    TACIT_CHECK(place_data());
    return std::move(file_);
  }

 private:
  static std::unexpected<Error> count_cannot_fit(Literal what, std::uint64_t count) {
    return fail(Error{Code::malformed, what}.with("count", number_of(count)));
  }
  static std::unexpected<Error> over_limit(Literal what, std::uint64_t value, std::uint64_t limit) {
    return fail(Error{Code::too_large, what}
                    .with("value", number_of(value))
                    .with("limit", number_of(limit)));
  }

  Result<void> magic_and_version() {
    auto magic = in_.take(4);
    if (!magic) {
      if (magic.error().code() == Code::unavailable) return fail(std::move(magic).error());
      return fail(Error{Code::malformed, "not a GGUF file"}.with("file_bytes",
                                                                 number_of(file_.file_bytes)));
    }
    if (as_text(*magic) != "GGUF") return fail(Code::malformed, "not a GGUF file");
    TACIT_TRY(file_.version, in_.integer<std::uint32_t>());
    if (file_.version != 0 && (file_.version & 0xFFFF) == 0) {
      return fail(Error{Code::unsupported, "a big-endian GGUF file"}.fix(
          "Convert it to little-endian (gguf-py: gguf-convert-endian)"));
    }
    if (file_.version < 2 || file_.version > 3) {
      return fail(Error{Code::unsupported, "this version of GGUF is not supported"}
                      .with("version", file_.version)
                      .fix("Versions 2 and 3 are; convert the model again with a current tool"));
    }
    return {};
  }

  Result<void> pair() {
    TACIT_TRY(const auto key, in_.text(limits_.key_bytes_max));
    const bool plain =
        !key.empty() && std::ranges::all_of(key, [](char c) { return c > ' ' && c <= '~'; });
    if (!plain) {
      return fail(Error{Code::malformed, "a metadata key is not printable ASCII"}
                      .with("at", number_of(in_.offset() - key.size()))
                      .about(printable(key)));
    }
    const auto [place, is_new] = file_.metadata.try_emplace(std::string{key});
    if (!is_new) {
      return fail(Error{Code::malformed, "two metadata keys are the same"}.about(printable(key)));
    }
    TACIT_TRY(const auto kind, in_.integer<std::uint32_t>());
    auto parsed = value(kind);
    if (!parsed) return fail(std::move(parsed).error().about(printable(key)));
    // Alignment is the one key whose exact type the format depends on.
    if (key == kAlignmentKey && kind != kU32) {
      return fail(Code::malformed, "general.alignment is not a 32-bit number");
    }
    place->second = *std::move(parsed);
    return {};
  }

  Result<GgufValue> value(std::uint32_t kind) {
    switch (kind) {
      case kU8: return unsigned_value<std::uint8_t>();
      case kI8: return signed_value<std::int8_t>();
      case kU16: return unsigned_value<std::uint16_t>();
      case kI16: return signed_value<std::int16_t>();
      case kU32: return unsigned_value<std::uint32_t>();
      case kI32: return signed_value<std::int32_t>();
      case kU64: return unsigned_value<std::uint64_t>();
      case kI64: return signed_value<std::int64_t>();
      case kF32: {
        TACIT_TRY(const auto bits, in_.integer<std::uint32_t>());
        return GgufValue{static_cast<double>(std::bit_cast<float>(bits))};
      }
      case kF64: {
        TACIT_TRY(const auto bits, in_.integer<std::uint64_t>());
        return GgufValue{std::bit_cast<double>(bits)};
      }
      case kBool: {
        TACIT_TRY(const auto byte, in_.integer<std::uint8_t>());
        if (byte > 1) return bad_bool();
        return GgufValue{byte == 1};
      }
      case kString: {
        TACIT_TRY(const auto text, in_.text(limits_.string_bytes_max));
        return GgufValue{std::string{text}};
      }
      case kArray: {
        GgufArray array;
        TACIT_CHECK(elements(array, 1));
        return GgufValue{std::move(array)};
      }
      default: return unknown_kind(kind);
    }
  }

  template <class T> Result<GgufValue> unsigned_value() {
    TACIT_TRY(const auto v, in_.integer<T>());
    return GgufValue{std::uint64_t{v}};
  }
  template <class T> Result<GgufValue> signed_value() {
    TACIT_TRY(const auto v, in_.integer<T>());
    return GgufValue{std::int64_t{v}};
  }
  std::unexpected<Error> bad_bool() const {
    return fail(Error{Code::malformed, "a boolean is neither 0 nor 1"}.with(
        "at", number_of(in_.offset() - 1)));
  }
  std::unexpected<Error> unknown_kind(std::uint32_t kind) const {
    return fail(Error{Code::malformed, "unknown type of metadata"}
                    .with("type", kind)
                    .with("at", number_of(in_.offset() - 4)));
  }

  // Reads an array's type, count and elements. Elements that are arrays are only checked and
  // counted.
  Result<void> elements(GgufArray& array, unsigned depth) {
    if (depth > limits_.array_depth_max) {
      return over_limit("arrays are nested too deeply", depth, limits_.array_depth_max);
    }
    TACIT_TRY(array.element_type, in_.integer<std::uint32_t>());
    const auto size_min = bytes_min(array.element_type);
    if (size_min == 0) return unknown_kind(array.element_type);
    TACIT_TRY(array.count, in_.integer<std::uint64_t>());
    if (array.count > in_.remaining_in_file() / size_min) {
      return count_cannot_fit("an array claims more elements than the file can hold", array.count);
    }
    if (array.count > limits_.array_elements_max) {
      return over_limit("an array has too many elements", array.count, limits_.array_elements_max);
    }
    if (array.element_type == kArray) {
      for (std::uint64_t i = 0; i < array.count; ++i) {
        GgufArray inner;
        TACIT_CHECK(elements(inner, depth + 1));
      }
      return {};
    }
    if (depth == 1 && array.count <= kPreviewElementsMax &&
        array.count <= kPreviewTotalElementsMax - preview_elements_) {
      return previewed_elements(array);
    }
    return counted_elements(array);
  }

  Result<void> previewed_elements(GgufArray& array) {
    preview_elements_ += array.count;
    for (std::uint64_t i = 0; i < array.count; ++i) {
      TACIT_TRY(auto element, value(array.element_type));
      auto text = std::visit(
          [](auto& v) -> std::string {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, std::string>)
              return std::move(v);
            else if constexpr (std::is_same_v<T, bool>)
              return v ? "true" : "false";
            else if constexpr (std::is_same_v<T, GgufArray>)
              return {};
            else
              return std::to_string(v);
          },
          element);
      if (preview_full_ || text.size() > kPreviewTotalBytesMax - preview_bytes_) {
        preview_full_ = true;  // from here on the rest is checked, but not kept
        array.preview.clear();
        continue;
      }
      preview_bytes_ += text.size();
      array.preview.push_back(std::move(text));
    }
    return {};
  }

  Result<void> counted_elements(const GgufArray& array) {
    if (array.element_type == kString) {
      for (std::uint64_t i = 0; i < array.count; ++i) {
        TACIT_CHECK(in_.text(limits_.string_bytes_max));
      }
      return {};
    }
    TACIT_TRY(const auto bytes, in_.take(array.count * bytes_min(array.element_type)));
    if (array.element_type == kBool &&
        std::ranges::any_of(bytes, [](std::byte b) { return std::to_integer<int>(b) > 1; })) {
      return bad_bool();
    }
    return {};
  }

  Result<void> alignment() {
    file_.alignment = file_.number(kAlignmentKey).value_or(kAlignmentDefault);
    if (!std::has_single_bit(file_.alignment) || file_.alignment < 8) {
      return fail(Error{Code::malformed, "general.alignment is not a power of two from 8 up"}.with(
          "alignment", number_of(file_.alignment)));
    }
    return {};
  }

  Result<void> tensor() {
    TACIT_TRY(const auto name, in_.text(limits_.string_bytes_max));
    if (name.empty() || name.size() > kTensorNameBytesMax || name.contains('\0')) {
      return fail(Error{Code::malformed, "a tensor's name is empty, too long or holds a NUL"}
                      .with("bytes", number_of(name.size()))
                      .with("limit", kTensorNameBytesMax)
                      .about(printable(name)));
    }
    GgufTensor tensor;
    tensor.name = name;
    if (!names_.insert(name).second) {
      return fail(Error{Code::malformed, "two tensors have the same name"}.about(printable(name)));
    }
    auto described = describe(tensor);
    if (!described) return fail(std::move(described).error().about(printable(name)));
    file_.tensors.push_back(std::move(tensor));
    return {};
  }

  // Everything about a tensor but its name.
  Result<void> describe(GgufTensor& tensor) {
    TACIT_TRY(const auto rank, in_.integer<std::uint32_t>());
    if (rank < 1 || rank > 4) {
      return fail(
          Error{Code::malformed, "a tensor has 1 to 4 dimensions"}.with("dimensions", rank));
    }
    // Elements are counted in a signed number by whoever loads them.
    std::uint64_t num_elements = 1;
    for (std::uint32_t i = 0; i < rank; ++i) {
      TACIT_TRY(const auto size, in_.integer<std::uint64_t>());
      constexpr auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      if (size == 0 || size > max / num_elements) {
        return fail(Error{Code::malformed, "a tensor's dimension is zero or far too large"}.with(
            "size", number_of(size)));
      }
      num_elements *= size;
      tensor.dimensions.push_back(size);
    }
    TACIT_TRY(tensor.type, in_.integer<std::uint32_t>());
    const auto* type = find_ggml_type(tensor.type);
    if (type == nullptr) {
      return fail(Error{Code::unsupported, "unknown type of tensor"}.with("type", tensor.type));
    }
    if (tensor.dimensions[0] % type->block_elements != 0) {
      return fail(Error{Code::malformed, "a tensor's row is not a whole number of blocks"}
                      .with("row", number_of(tensor.dimensions[0]))
                      .with("block", type->block_elements));
    }
    const auto num_blocks = num_elements / type->block_elements;
    TACIT_TRY(tensor.offset, in_.integer<std::uint64_t>());
    if (num_blocks > file_.file_bytes / type->block_bytes) {
      return fail(Error{Code::malformed, "a tensor is larger than the whole file"}
                      .with("blocks", number_of(num_blocks))
                      .with("file_bytes", number_of(file_.file_bytes)));
    }
    tensor.size_bytes = num_blocks * type->block_bytes;
    if (tensor.offset % file_.alignment != 0) {
      return fail(Error{Code::malformed, "a tensor's data is misaligned"}
                      .with("offset", number_of(tensor.offset))
                      .with("alignment", number_of(file_.alignment)));
    }
    return {};
  }

  // Finds the data section, and checks that the tensors lie inside it without overlap.
  Result<void> place_data() {
    const auto padding = (file_.alignment - in_.offset() % file_.alignment) % file_.alignment;
    file_.data_offset =
        padding <= in_.remaining_in_file() ? in_.offset() + padding : file_.file_bytes;
    const auto data_bytes = file_.file_bytes - file_.data_offset;
    std::vector<const GgufTensor*> by_offset;
    by_offset.reserve(file_.tensors.size());
    for (const auto& tensor : file_.tensors) {
      if (tensor.offset > data_bytes || tensor.size_bytes > data_bytes - tensor.offset) {
        // For people only, so a sum that wraps around for absurd sizes does no harm.
        const auto start = std::uint64_t(number_of(tensor.offset)) + file_.data_offset;
        return fail(Error{Code::malformed, "tensor data runs past the end of the file"}
                        .with("ends_at", number_of(start + tensor.size_bytes))
                        .with("file_bytes", number_of(file_.file_bytes))
                        .about(printable(tensor.name)));
      }
      by_offset.push_back(&tensor);
    }
    std::ranges::sort(by_offset, {}, &GgufTensor::offset);
    for (std::size_t i = 1; i < by_offset.size(); ++i) {
      const auto& before = *by_offset[i - 1];
      if (before.offset + before.size_bytes > by_offset[i]->offset) {
        return fail(Error{Code::malformed, "two tensors overlap"}
                        .with("offset", number_of(by_offset[i]->offset))
                        .with("end_of_previous", number_of(before.offset + before.size_bytes))
                        .about(printable(by_offset[i]->name)));
      }
    }
    return {};
  }

  Cursor in_;
  const GgufLimits& limits_;
  GgufFile file_;
  std::unordered_set<std::string_view> names_;  // they borrow from the input
  std::uint64_t preview_elements_ = 0;
  std::uint64_t preview_bytes_ = 0;
  bool preview_full_ = false;
};

}  // namespace

std::optional<std::string> GgufFile::text(std::string_view key) const {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  const auto* value = std::get_if<std::string>(&found->second);
  return value != nullptr ? std::optional{*value} : std::nullopt;
}

std::optional<std::uint64_t> GgufFile::number(std::string_view key) const {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  if (const auto* value = std::get_if<std::uint64_t>(&found->second)) return *value;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  if (value == nullptr || *value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

std::string GgufFile::architecture() const { return text("general.architecture").value_or(""); }

std::optional<std::uint64_t> GgufFile::context_length() const {
  return number(architecture() + ".context_length");
}

std::optional<std::string> GgufFile::chat_template() const {
  return text("tokenizer.chat_template");
}

Result<GgufFile> parse_gguf(BytesView head, std::uint64_t file_bytes, const GgufLimits& limits) {
  if (head.size() > file_bytes) {
    return fail(Code::invalid_argument, "the head is longer than the file");
  }
  return Parser{head, file_bytes, limits}.parse();
}

Result<GgufFile> read_gguf(int fd, const GgufLimits& limits) {
  struct stat info{};
  if (::fstat(fd, &info) != 0)
    return fail(Error{Code::io, "cannot read the file"}.with("errno", errno));
  if (!S_ISREG(info.st_mode)) return fail(Code::malformed, "not a regular file");
  const auto file_bytes = static_cast<std::uint64_t>(info.st_size);
  // Read, not mapped: a file that somebody shortens meanwhile must not end the process (SIGBUS).
  // Most headers fit into the first attempt; the parser works off a larger one in no time.
  Bytes head;
  for (std::uint64_t want = 1024 * 1024;; want *= 4) {
    const auto size = std::min(want, file_bytes);
    auto have = head.size();
    head.resize(static_cast<std::size_t>(size));
    while (have < head.size()) {
      const auto got =
          ::pread(fd, head.data() + have, head.size() - have, static_cast<off_t>(have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(Error{Code::io, "cannot read the file"}.with("errno", errno));
      if (got == 0) return fail(Code::io, "the file became shorter while it was read");
      have += static_cast<std::size_t>(got);
    }
    auto parsed = parse_gguf(head, file_bytes, limits);
    if (parsed || parsed.error().code() != Code::unavailable) return parsed;
  }
}

}  // namespace tacit::formats
