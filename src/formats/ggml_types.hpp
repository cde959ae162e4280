// Tensor types of ggml: how many elements a block holds and how many bytes it takes.
// Source: ggml.h (enum ggml_type) and ggml.c (type_traits) of llama.cpp v0.5.0.
#pragma once

#include <cstdint>
#include <string_view>

namespace tacit::formats {

struct GgmlType {
  std::uint32_t id = 0;
  std::string_view name;             // ggml's own, such as "q4_1"
  std::uint32_t block_elements = 0;  // a row is a whole number of blocks
  std::uint32_t block_bytes = 0;
};

// The type with this id, or nullptr: never given out, or withdrawn. The pointer is to a constant.
const GgmlType* find_ggml_type(std::uint32_t id) noexcept;

}  // namespace tacit::formats
