// Figures that the engine and its memory plan agree on.
#pragma once

#include <cstdint>

namespace tacit::engine {

inline constexpr std::uint32_t kDefaultContextMax = 4096;
inline constexpr std::uint32_t kDefaultSequences = 8;
inline constexpr std::uint32_t kBatchTokens = 512;  // of all sequences, in one step
// A piece of a text whose embedding is computed. llama.cpp makes logits for every token that has an
// embedding: 512 took 200 MiB for a vocabulary of 49,000.
inline constexpr std::uint32_t kEmbeddingBatchTokens = 128;
inline constexpr std::uint32_t kSequencesMax = 256;  // of llama.cpp
inline constexpr std::uint32_t kContextMax = 64 * 1024 * 1024;

}  // namespace tacit::engine
