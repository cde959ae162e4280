// What the runner of test vectors is made of: a file, its kinds, and how results are counted.
//
// A kind recognises files by their content and runs them. To add one, write a file with a function
// that returns Kinds and list it in kinds() (main.cpp).
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"

namespace tacit::vectors {

struct File {
  std::string text;                        // unpacked, when it was compressed
  std::optional<boost::json::value> json;  // when all of it is JSON
};

// Tally counts the tests of one file.
class Tally {
 public:
  void pass() { ++passed_; }
  // `test` names the test within the file.
  void fail(std::string test, std::string_view why);
  // What is not offered, or cannot be said with our interface; counted by reason.
  void skip(std::string reason) { ++skipped_[std::move(reason)]; }
  // pass or fail.
  void check(bool ok, const std::string& test, std::string_view why);

  std::size_t passed() const { return passed_; }
  std::size_t failed() const { return failed_; }
  std::size_t num_skipped() const;
  const std::map<std::string, std::size_t>& skipped() const { return skipped_; }
  // The first failures, one line each.
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  std::size_t passed_ = 0;
  std::size_t failed_ = 0;
  std::map<std::string, std::size_t> skipped_;
  std::vector<std::string> failures_;
};

struct Kind {
  std::string name;
  bool (*recognises)(const File&);
  void (*run)(const File&, Tally&);
};
using Kinds = std::vector<Kind>;

Kinds bhttp_kinds();
Kinds cctv_kinds();
Kinds hpke_kinds();
Kinds ohttp_kinds();
Kinds wycheproof_aead_kinds();
Kinds wycheproof_kdf_kinds();
Kinds wycheproof_kem_kinds();
Kinds wycheproof_mldsa_kinds();
Kinds wycheproof_sign_kinds();
Kinds xwing_kinds();

}  // namespace tacit::vectors
