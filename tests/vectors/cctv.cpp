// ML-KEM vectors of C2SP's CCTV: texts of "name = hex" lines, and lists of bad encapsulation keys.
#include <algorithm>
#include <array>
#include <map>
#include <sstream>

#include "crypto/hash.hpp"
#include "crypto/testing/kem_testing.hpp"
#include "json.hpp"

namespace tacit::vectors {
namespace {

using namespace crypto;  // a file about one module

// Sizes of encapsulation and expanded decapsulation keys.
struct ParameterSet {
  std::string_view name;
  std::size_t public_bytes, expanded_bytes;
};
constexpr ParameterSet kOffered{"ML-KEM-768", 1184, 2400};
constexpr std::array kOthers{ParameterSet{"ML-KEM-512", 800, 1632},
                             ParameterSet{"ML-KEM-1024", 1568, 3168}};

bool is_hex(std::string_view text) {
  return !text.empty() && text.size() % 2 == 0 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The values that are hexadecimal, by name; of a name that comes twice the first.
std::map<std::string, std::string> values(const File& file) {
  std::map<std::string, std::string> found;
  std::istringstream lines{file.text};
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find(" = ");
    if (equals == std::string::npos) continue;
    const auto value = line.substr(equals + 3);
    if (is_hex(value)) found.emplace(line.substr(0, equals), value);
  }
  return found;
}

bool is_exchange(const File& file) {
  if (file.json || file.text.find(" = ") == std::string::npos) return false;
  const auto found = values(file);
  return found.contains("dk") && found.contains("c") && found.contains("K");
}

// FIPS 203's draft of 2023 hashed d without the parameter set's number; some vectors stayed so.
bool is_draft_key(BytesView d, BytesView ek) {
  Bytes rho_sigma(64);
  digest(HashId::sha3_512, {d}, rho_sigma);
  return std::ranges::equal(ek.last(32), BytesView{rho_sigma}.first(32));
}

void check_keygen(const std::map<std::string, std::string>& in, Tally& tally) {
  if (is_draft_key(hex(in.at("d")), hex(in.at("ek")))) {
    return tally.skip("key generation as in the draft of FIPS 203");
  }
  const auto seed = hex(in.at("d") + in.at("z"));
  const auto key = KemPrivateKey::parse(KemId::ml_kem_768, seed);
  const auto expanded = testing::ml_kem_expanded_key(seed);
  tally.check(key && expanded && to_hex(key->public_bytes()) == in.at("ek") &&
                  to_hex(*expanded) == in.at("dk"),
              "key generation", "other keys");
}

void run_exchange(const File& file, Tally& tally) {
  const auto in = values(file);
  for (const auto& other : kOthers) {
    if (in.at("dk").size() == 2 * other.expanded_bytes) {
      return tally.skip(std::string{other.name} + " not offered");
    }
  }
  const auto secret = testing::ml_kem_decapsulate_expanded(hex(in.at("dk")), hex(in.at("c")));
  tally.check(secret && to_hex(secret->reveal()) == in.at("K"), "decapsulation", "another secret");
  if (!in.contains("ek")) return;
  if (in.contains("d") && in.contains("z")) check_keygen(in, tally);
  if (!in.contains("m")) return;
  const auto key = KemPublicKey::parse(KemId::ml_kem_768, hex(in.at("ek")));
  if (!key) return tally.fail("encapsulation", "ek is refused");
  const auto made = testing::encapsulate_from(*key, hex(in.at("m")));
  tally.check(
      made && to_hex(made->enc) == in.at("c") && to_hex(made->shared_secret.reveal()) == in.at("K"),
      "encapsulation", "other bytes");
}

// The size of every line, if they are hexadecimal and equally long.
std::optional<std::size_t> line_size(const File& file) {
  std::istringstream lines{file.text};
  std::optional<std::size_t> size;
  for (std::string line; std::getline(lines, line);) {
    if (!is_hex(line) || (size && *size != line.size())) return std::nullopt;
    size = line.size();
  }
  return size;
}

bool is_bad_keys(const File& file) {
  if (file.json || !is_hex(std::string_view{file.text}.substr(0, 64))) return false;
  const auto size = line_size(file);
  return size && (*size == 2 * kOffered.public_bytes ||
                  std::ranges::any_of(kOthers, [&](const ParameterSet& other) {
                    return *size == 2 * other.public_bytes;
                  }));
}

void run_bad_keys(const File& file, Tally& tally) {
  std::istringstream lines{file.text};
  std::size_t index = 0;
  for (std::string line; std::getline(lines, line);) {
    ++index;
    if (line.size() != 2 * kOffered.public_bytes) {
      tally.skip("ML-KEM-512 and -1024 not offered");
      continue;
    }
    tally.check(!KemPublicKey::parse(KemId::ml_kem_768, hex(line)), "line " + std::to_string(index),
                "a coefficient outside the field was accepted");
  }
}

}  // namespace

Kinds cctv_kinds() {
  return {{"CCTV ML-KEM exchange", is_exchange, run_exchange},
          {"CCTV ML-KEM bad encapsulation keys", is_bad_keys, run_bad_keys}};
}

}  // namespace tacit::vectors
