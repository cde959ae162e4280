// What the tests of this module share: the folder of public fixtures, and asking questions of it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "attest/appraise.hpp"
#include "core/text.hpp"

namespace tacit::attest::testing {

inline std::filesystem::path fixtures() {
  const char* given = std::getenv("TACIT_FIXTURES");
  return given != nullptr ? given : TACIT_FIXTURES_DEFAULT;
}

inline Bytes read_fixture(const std::string& name) {
  std::ifstream in{fixtures() / name, std::ios::binary};
  EXPECT_TRUE(in.good()) << name;
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

// Fixture is a test that needs the fixtures and is skipped, saying so, where they are absent.
class Fixture : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(fixtures() / "intel-tdx"))
      GTEST_SKIP() << "SKIPPED: fixtures not found; set TACIT_FIXTURES";
  }
};

struct Ask {
  std::vector<std::string> evidence;
  std::vector<std::string> collateral;
  std::string at;
  Policy policy = {};
  std::string nonce = {};
  std::string report_data = {};
};

inline Answer ask_bytes(const Ask& ask, std::vector<Input> evidence) {
  std::vector<Input> collateral;
  for (const auto& name : ask.collateral) collateral.push_back({name, read_fixture(name)});
  Question question{evidence, collateral, ask.policy, parse_time(ask.at).value(), {}, {}};
  if (!ask.nonce.empty()) question.nonce = from_hex(ask.nonce);
  if (!ask.report_data.empty()) question.report_data = from_hex(ask.report_data);
  return appraise(question);
}

inline Answer ask(const Ask& ask) {
  std::vector<Input> evidence;
  for (const auto& name : ask.evidence) evidence.push_back({name, read_fixture(name)});
  return ask_bytes(ask, std::move(evidence));
}

// Whether some reason is of this rule; its texts are shown when a test fails.
inline bool has_rule(const Answer& answer, std::string_view rule) {
  for (const auto& one : answer.reasons)
    if (one.rule == rule) return true;
  for (const auto& piece : answer.pieces)
    for (const auto& one : piece.reasons())
      if (one.rule == rule) return true;
  return false;
}

inline std::string claim(const Answer& answer, std::string_view name) {
  for (const auto& piece : answer.pieces)
    if (const auto value = piece.claim_value(name); !value.empty()) return std::string{value};
  return {};
}

inline bool has_warning(const Answer& answer, std::string_view id) {
  for (const auto& piece : answer.pieces)
    for (const auto& one : piece.warnings())
      if (one.id == id) return true;
  return false;
}

// For every byte of `original`, flips one of its bits (another one each time) and asks again: no
// damaged copy may be accepted. Returns the offsets that were.
inline std::vector<std::size_t> accepted_when_damaged(const Ask& question, const Bytes& original,
                                                      std::size_t step = 1) {
  std::vector<Input> collateral;
  for (const auto& name : question.collateral) collateral.push_back({name, read_fixture(name)});
  std::vector<std::size_t> accepted;
  SignatureMemory memory;
  for (std::size_t i = 0; i < original.size(); i += step) {
    std::vector<Input> evidence{{"damaged", original}};
    evidence[0].bytes[i] ^= static_cast<std::byte>(1U << (i % 8));
    const Question again{evidence, collateral, question.policy, parse_time(question.at).value(),
                         {},       {}};
    if (appraise(again, memory).verdict == Verdict::accept) accepted.push_back(i);
  }
  return accepted;
}

}  // namespace tacit::attest::testing
