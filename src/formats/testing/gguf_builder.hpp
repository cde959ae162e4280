// Makes small GGUF files. For tests only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bytes.hpp"
#include "formats/ggml_types.hpp"

namespace tacit::formats::testing {

// GgufBuilder writes what it is told, right or wrong. Tensors are laid out one after the other,
// aligned, and the file ends with the last byte of the last of them.
class GgufBuilder {
 public:
  std::uint32_t version = 3;
  std::uint64_t alignment =
      32;  // of the layout; the key is written by add_u32("general.alignment", n)

  GgufBuilder& add_u32(std::string_view key, std::uint32_t v) {
    ByteWriter value;
    value.u32(v);
    return add_raw(key, 4, value.bytes());
  }
  GgufBuilder& add_i32(std::string_view key, std::int32_t v) {
    ByteWriter value;
    value.u32(static_cast<std::uint32_t>(v));
    return add_raw(key, 5, value.bytes());
  }
  GgufBuilder& add_f32(std::string_view key, float v) {
    ByteWriter value;
    value.f32(v);
    return add_raw(key, 6, value.bytes());
  }
  GgufBuilder& add_bool(std::string_view key, std::uint8_t v) {
    ByteWriter value;
    value.u8(v);
    return add_raw(key, 7, value.bytes());
  }
  GgufBuilder& add_text(std::string_view key, std::string_view v) {
    ByteWriter value;
    text(value, v);
    return add_raw(key, 8, value.bytes());
  }
  GgufBuilder& add_texts(std::string_view key, const std::vector<std::string>& items) {
    ByteWriter value;
    value.u32(8);
    value.u64(items.size());
    for (const auto& item : items) text(value, item);
    return add_raw(key, 9, value.bytes());
  }
  GgufBuilder& add_u32s(std::string_view key, const std::vector<std::uint32_t>& items) {
    ByteWriter value;
    value.u32(4);
    value.u64(items.size());
    for (const auto item : items) value.u32(item);
    return add_raw(key, 9, value.bytes());
  }
  // Any value of any type, as it is in the file.
  GgufBuilder& add_raw(std::string_view key, std::uint32_t type, BytesView value) {
    text(pairs_, key);
    pairs_.u32(type);
    pairs_.raw(value);
    ++num_pairs_;
    return *this;
  }

  // A tensor at the next aligned place.
  GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                      std::uint32_t type) {
    std::uint64_t size = 1;
    for (const auto n : dimensions) size *= n;
    if (const auto* known = find_ggml_type(type)) {
      size = size / known->block_elements * known->block_bytes;
    }
    const auto offset = (data_bytes_ + alignment - 1) / alignment * alignment;
    data_bytes_ = offset + size;
    return tensor_at(name, dimensions, type, offset);
  }
  // A tensor's description alone; the data section does not grow.
  GgufBuilder& tensor_at(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                         std::uint32_t type, std::uint64_t offset) {
    text(tensors_, name);
    tensors_.u32(static_cast<std::uint32_t>(dimensions.size()));
    for (const auto n : dimensions) tensors_.u64(n);
    tensors_.u32(type);
    tensors_.u64(offset);
    ++num_tensors_;
    return *this;
  }

  // Counts as claimed in the header, when they shall differ from what is there.
  GgufBuilder& claim(std::uint64_t num_tensors, std::uint64_t num_pairs) {
    num_tensors_ = num_tensors;
    num_pairs_ = num_pairs;
    return *this;
  }

  Bytes build() const {
    ByteWriter out;
    out.raw("GGUF");
    out.u32(version);
    out.u64(num_tensors_);
    out.u64(num_pairs_);
    out.raw(pairs_.bytes());
    out.raw(tensors_.bytes());
    if (data_bytes_ > 0) {
      while (out.size() % alignment != 0) out.u8(0);
      for (std::uint64_t i = 0; i < data_bytes_; ++i) out.u8(static_cast<std::uint8_t>(i * 37));
    }
    return std::move(out).take();
  }

  // A complete small model of no use: every kind of metadata, three tensors of different types.
  static GgufBuilder example() {
    GgufBuilder builder;
    builder.add_text("general.architecture", "llama")
        .add_text("general.name", "tiny")
        .add_u32("general.alignment", 32)
        .add_u32("llama.context_length", 2048)
        .add_f32("llama.rope.freq_base", 10000.0F)
        .add_i32("example.negative", -3)
        .add_bool("tokenizer.ggml.add_bos_token", 1)
        .add_text("tokenizer.chat_template", "{{ messages }}")
        .add_texts("tokenizer.ggml.tokens", {"<s>", "</s>", "hello"})
        .add_u32s("tokenizer.ggml.token_type", {3, 3, 1})
        .tensor("token_embd.weight", {32, 3}, 3)
        .tensor("blk.0.attn_norm.weight", {5}, 0)
        .tensor("output.weight", {256, 2}, 14);
    return builder;
  }

 private:
  static void text(ByteWriter& out, std::string_view value) {
    out.u64(value.size());
    out.raw(value);
  }

  ByteWriter pairs_;
  ByteWriter tensors_;
  std::uint64_t num_pairs_ = 0;
  std::uint64_t num_tensors_ = 0;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace tacit::formats::testing
