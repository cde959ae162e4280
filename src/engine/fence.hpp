// Keeps what people write apart from the control tokens of a chat template.
//
// A rendered prompt is one text, in which "<|im_end|>" from the template and "<|im_end|>" from a
// person look the same; tokenized as a whole, a message could end its own turn and begin one of the
// system's. So every control token's text in a message is replaced by a mark before rendering, and
// after it the prompt is cut at the marks: what the template wrote is tokenized with control
// tokens, what a person wrote there is tokenized as plain text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tacit::engine {

// ControlTexts finds the texts of a vocabulary's control tokens. Built once; then thread-safe.
class ControlTexts {
 public:
  void add(std::string_view text);
  struct Match {
    std::size_t at = 0;
    std::size_t size = 0;
    std::uint32_t index = 0;  // in the order of add()
  };
  // The first one at or after `from`, the longest of those that begin there.
  std::optional<Match> find(std::string_view text, std::size_t from) const;
  std::size_t size() const noexcept { return texts_.size(); }
  std::string_view operator[](std::uint32_t index) const { return texts_[index]; }

 private:
  static std::uint64_t edge(std::uint32_t node, char byte) noexcept;
  std::array<bool, 256> starts_{};
  std::vector<std::string> texts_;
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;  // a trie: node and byte to node
  std::vector<std::int64_t> ends_{-1};                      // per node: the text that ends here
};

// Fence serves one prompt: see() every message, choose_mark(), shield() each, render, split().
class Fence {
 public:
  explicit Fence(const ControlTexts& texts) : texts_{texts} {}

  // Notes what in `message` looks like a mark, so that ours will be another.
  void see(std::string_view message);
  // Chooses the mark; after the last see().
  void choose_mark();
  // The message with every control text replaced by a mark.
  std::string shield(std::string_view message) const;
  struct Piece {
    std::string_view text;
    bool by_template = true;
  };
  // The rendered prompt in pieces, in order. Views into `rendered` and into the control texts.
  std::vector<Piece> split(std::string_view rendered) const;

 private:
  const ControlTexts& texts_;
  std::uint64_t number_ = 0;          // of the mark
  std::vector<std::uint64_t> taken_;  // numbers that messages hold in the place of a mark's
};

}  // namespace tacit::engine
