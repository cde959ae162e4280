// The frame of Wycheproof files: groups with a type, tests with a verdict.
#pragma once

#include <algorithm>
#include <functional>

#include "core/error.hpp"
#include "core/secret.hpp"
#include "json.hpp"

namespace tacit::vectors {

enum class Verdict { valid, invalid, acceptable };

struct WycheproofTest {
  const boost::json::object& group;
  const boost::json::object& json;
  Verdict verdict;
  std::string name;  // "tcId 12 (comment)"

  bool has_flag(std::string_view flag) const {
    const auto* flags = json.if_contains("flags");
    return flags != nullptr && std::ranges::any_of(flags->as_array(), [&](const auto& value) {
             return value.as_string() == flag;
           });
  }
  // A result of ours that is either "accepted, and right" or "refused".
  void judge(bool accepted, Tally& tally) const {
    if (verdict == Verdict::acceptable) return tally.pass();
    tally.check(accepted == (verdict == Verdict::valid), name,
                accepted ? "accepted, but invalid" : "refused, but valid");
  }
};

// Whether the file is Wycheproof's, its groups are of `type` and its algorithm starts with
// `algorithm`.
inline bool is_wycheproof(const File& file, std::string_view type, std::string_view algorithm) {
  if (!file.json || !file.json->is_object()) return false;
  const auto& root = file.json->get_object();
  const auto* groups = root.if_contains("testGroups");
  if (groups == nullptr || !groups->is_array() || groups->get_array().empty()) return false;
  const auto* group = groups->get_array()[0].if_object();
  return group != nullptr && has_all(*group, {"type", "tests"}) && text(*group, "type") == type &&
         text_or(root, "algorithm", "").starts_with(algorithm);
}

inline Verdict verdict_of(const boost::json::object& test) {
  const auto result = text(test, "result");
  if (result == "valid") return Verdict::valid;
  if (result == "invalid") return Verdict::invalid;
  if (result == "acceptable") return Verdict::acceptable;
  throw std::runtime_error("unknown result");
}

template <class Run> void for_each_test(const File& file, Run run) {
  for (const auto& group_value : file.json->as_object().at("testGroups").as_array()) {
    const auto& group = group_value.as_object();
    for (const auto& test_value : group.at("tests").as_array()) {
      const auto& test = test_value.as_object();
      run(WycheproofTest{group, test, verdict_of(test),
                         "tcId " + std::to_string(number(test, "tcId")) + " (" +
                             text_or(test, "comment", "") + ")"});
    }
  }
}

inline std::string algorithm_of(const File& file) {
  return text_or(file.json->as_object(), "algorithm", "");
}

}  // namespace tacit::vectors
