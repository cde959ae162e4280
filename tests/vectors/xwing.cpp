// X-Wing vectors (draft-connolly-cfrg-xwing-kem): objects with seed, eseed, sk, pk, ct, ss.
#include <algorithm>

#include "crypto/testing/kem_testing.hpp"
#include "json.hpp"

namespace tacit::vectors {
namespace {

using namespace crypto;  // a file about one module
using boost::json::object;

std::string_view check(const object& vector) {
  const auto key = KemPrivateKey::parse(KemId::mlkem768_x25519, bytes(vector, "sk"));
  if (!key || !std::ranges::equal(key->public_bytes(), bytes(vector, "pk"))) return "pk";
  const auto public_key = KemPublicKey::parse(KemId::mlkem768_x25519, bytes(vector, "pk"));
  if (!public_key) return "pk is refused";
  const auto made = testing::encapsulate_from(*public_key, bytes(vector, "eseed"));
  if (!made || made->enc != bytes(vector, "ct")) return "ct";
  const auto secret = key->decapsulate(bytes(vector, "ct"));
  const auto expected = bytes(vector, "ss");
  if (!secret || !std::ranges::equal(secret->reveal(), expected) ||
      !std::ranges::equal(made->shared_secret.reveal(), expected)) {
    return "ss";
  }
  return {};
}

void run(const File& file, Tally& tally) {
  std::size_t index = 0;
  for (const auto* vector : objects(file)) {
    const auto wrong = check(*vector);
    tally.check(wrong.empty(), "vector " + std::to_string(index++), wrong);
  }
}

bool recognises(const File& file) {
  const auto found = objects(file);
  return !found.empty() && std::ranges::all_of(found, [](const object* vector) {
    return has_all(*vector, {"eseed", "sk", "pk", "ct", "ss"});
  });
}

}  // namespace

Kinds xwing_kinds() { return {{"X-Wing", recognises, run}}; }

}  // namespace tacit::vectors
